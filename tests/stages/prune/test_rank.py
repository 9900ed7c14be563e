"""Linears of a lower rank as widths of a plan."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.stages.export.graph import convert, save
from edgesft.stages.prune import rank
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.costs import Parameters
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.layout import Layout
from edgesft.stages.prune.plan import PrunePlan, make_plan
from edgesft.stages.prune.select import select
from edgesft.stages.prune.sizes import allowed
from edgesft.tasks.base import Graph
from edgesft.train import widths
from edgesft.train.factors import Factors, ranks
from tests.stages.prune import models

QUERY = "bert.encoder.layer.0.attention.self.query"


def layout_of(model: nn.Module, *targets: str) -> Layout:
    found = find_widths(model, trace(model, models.inputs(model), models.logits), ranks=True)
    return select(found, targets, ())


def planned(layout: Layout, sizes: dict[str, int]) -> PrunePlan:
    return make_plan(layout, sizes, {width.name: np.zeros(width.size) for width in layout.widths})


def reduced(model: nn.Module, plan: PrunePlan, rows: int = 4) -> nn.Module:
    smaller = copy.deepcopy(model)
    batches = [models.inputs(model, count) for count in range(2, 2 + rows)]
    apply_plan(smaller, plan, models.inputs(model), models.logits, lambda: batches)
    return smaller


@pytest.mark.parametrize("name", ["bert", "distilbert", "albert", "vit"])
def test_what_lies_in_few_directions_needs_no_more(name: str) -> None:
    model = models.build(name)
    layout = layout_of(model, "rank")
    few = {width.name: 4 for width in layout.widths}
    with torch.no_grad():
        for width in layout.widths:
            weight = model.get_submodule(str(width.linear)).weight
            weight.copy_(torch.randn(len(weight), 4) @ torch.randn(4, weight.shape[1]) * 0.1)
    plan = planned(layout, few)
    smaller = reduced(model, plan)
    assert plan.parameters_after < plan.parameters_before
    assert dict(ranks(smaller)) == {str(width.linear): 4 for width in layout.widths}
    assert torch.allclose(models.answers(smaller), models.answers(model), atol=1e-4)
    assert PrunePlan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


def test_directions_are_those_of_the_answers() -> None:
    model = models.build("bert")
    layout = layout_of(model, "rank")
    plan = planned(layout, {f"{QUERY}.rank": 8})
    weight = model.get_submodule(QUERY).weight.detach()

    def error(change: nn.Module, name: str = QUERY) -> float:
        batch, seen = models.inputs(model, 4), list[torch.Tensor]()
        for each in (model, change):
            hook = each.get_submodule(name).register_forward_hook(lambda *given: seen.append(given[2]))
            each(**batch)
            hook.remove()
        return float((seen[0] - seen[1]).square().sum().detach())

    truncated = copy.deepcopy(model)
    left, values, right = torch.linalg.svd(weight)
    with torch.no_grad():
        truncated.get_submodule(QUERY).weight.copy_(left[:, :8] * values[:8] @ right[:8])
    assert error(reduced(model, plan)) < 0.9 * error(truncated)


def test_a_rank_that_saves_nothing_is_not_to_be_had() -> None:
    layout = layout_of(models.build("bert"), "rank")
    by_name = {width.name: width for width in layout.widths}
    width = by_name[f"{QUERY}.rank"]
    assert (width.size, width.most) == (32, 15)
    assert allowed(width, 4, 1.0) == (32, 12, 8, 4)
    assert "classifier.rank" not in by_name, "two answers"
    for size in (12, 8, 4):
        assert layout.parameters() - layout.parameters({width.name: size}) == 32 * 32 - size * 64
    costs = Parameters(layout, {name: allowed(each, 4, 1.0) for name, each in by_name.items()})
    blocks = costs.block(width, {})
    assert blocks[-1] == 0 and blocks[0] == pytest.approx((1024 - 256) / layout.parameters())


def test_only_linears_that_no_other_target_lies_in() -> None:
    model = models.build("bert")
    found = {width.linear for width in layout_of(model, "heads", "rank").widths if width.linear}
    assert "bert.encoder.layer.0.intermediate.dense" in found and QUERY not in found
    assert {width.linear for width in layout_of(model, "heads", "ffn", "rank").widths if width.linear} == {
        "bert.pooler.dense"
    }
    with pytest.raises(InputError, match="patterns that match all"):
        found = find_widths(model, trace(model, models.inputs(model), models.logits), ranks=True)
        select(found, ("rank",), ("bert.*",))


def test_harm_falls_with_the_rank_and_leaves_the_model_alone() -> None:
    model = models.build("bert")
    layout = layout_of(model, "rank")
    before = models.answers(model)
    batches = [{**models.inputs(model, 3), "labels": torch.zeros(3)}]

    def drift(found: Any, whole: Any, _: Any) -> torch.Tensor:
        return (found.logits - whole.logits).square().mean()

    sizes = {width.name: (width.size, 12, 2) for width in layout.widths}
    harms = rank.harms(model, layout.widths, sizes, batches, drift)
    assert all(found[0] == 0 and found[1] >= 0 for found in harms.values())
    assert sum(found[2] for found in harms.values()) > sum(found[1] for found in harms.values()) > 0
    assert torch.equal(models.answers(model), before)
    cut = planned(layout, {layout.widths[0].name: 2})
    smaller = copy.deepcopy(model)
    apply_plan(smaller, cut, models.inputs(model), models.logits, lambda: [models.inputs(model, 3)])
    batch = models.inputs(model, 3)
    assert harms[layout.widths[0].name][2] == pytest.approx(float(drift(smaller(**batch), model(**batch), 0)), rel=1e-3)


def test_it_goes_on_from_factors_and_heads_stay(tmp_path: Path) -> None:
    model = models.build("bert")
    once = reduced(model, planned(layout_of(model, "rank"), {f"{QUERY}.rank": 12}))
    layout = layout_of(once, "rank")
    width = next(each for each in layout.widths if each.linear == QUERY)
    assert (width.size, allowed(width, 4, 1.0)) == (12, (12, 8, 4))
    plan = planned(layout, {width.name: 8})
    twice = reduced(once, plan)
    assert dict(ranks(twice)) == {QUERY: 8} and plan.parameters_before - plan.parameters_after == 4 * 64
    found = json.loads(json.dumps(widths.record(twice)))
    fresh = type(model)(copy.deepcopy(model.config))
    widths.fit(fresh, {name: tensor.clone() for name, tensor in twice.state_dict().items()}, found)
    assert isinstance(fresh.get_submodule(QUERY), Factors)
    assert torch.equal(models.answers(fresh.eval()), models.answers(twice))
    assert {each.kind for each in models.layout_of(twice).widths} >= {"ffn"}
    inputs = models.inputs(twice, 4)
    axes = {name: {0: "batch", 1: "sequence"} for name in inputs}
    save(convert(Graph("model", twice, inputs, axes, ("logits",)), opset=20), tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx")
    (said,) = session.run(["logits"], {name: tensor.numpy() for name, tensor in inputs.items()})
    assert np.allclose(said, models.answers(twice).numpy(), atol=1e-5)


def test_a_state_without_the_factors_is_refused() -> None:
    model = models.build("bert")
    once = reduced(model, planned(layout_of(model, "rank"), {f"{QUERY}.rank": 12}))
    fresh = type(model)(copy.deepcopy(model.config))
    with pytest.raises(InputError, match="lacks the tensors"):
        widths.fit(fresh, {}, widths.record(once))
