"""Layers in a row: which may be left out, and what the next one then answers."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.bypass import bypass, without
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.layout import Layout
from edgesft.stages.prune.plan import make_plan
from edgesft.stages.prune.sizes import allowed
from edgesft.train.normalisation import recalibrate
from edgesft.train.placeholders import absences, restore
from tests.stages.prune import models, nets

BYPASSED = {
    nets.Plain: {"stem.0", "body.0.0"},
    nets.Residual: set(),
    nets.Branches: set(),
    nets.Depthwise: {"stem.0"},
    nets.Concat: set(),
    nets.Twice: set(),
    nets.Shuffled: {f"units.{number}.0.0" for number in range(5)},
    nets.Split: {"stem.0"},
    nets.Grouped: set(),
    nets.Tied: set(),
    nets.Flattened: {"stem.0"},
    nets.Chain: {"stem.0", "linear.0", "linear.1", "point.0", "next.0"},
}
"""Of each net the layers that the next one can do without; of `Chain` not the one by whose stride pixels get lost."""


def rows(count: int = 3) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(5)
    return [{"x": torch.randn(16, 3, 4, 4, generator=generator)} for _ in range(count)]


def without_widths(net: nn.Module, layout: Layout, sizes: dict[str, int], given: Any = ()) -> nn.Module:
    smaller = copy.deepcopy(net)
    plan = make_plan(layout, sizes, models.random_scores(layout))
    apply_plan(smaller, plan, nets.inputs(), nets.logits, lambda: given)
    return smaller


@pytest.mark.parametrize("kind", BYPASSED, ids=lambda kind: kind.__name__)
def test_finds_layers_that_the_next_can_do_without(kind: type[nets.Net]) -> None:
    net = nets.build(kind)
    before = {name: id(module) for name, module in net.named_modules()}
    found = {width.name: width for width in nets.layout_of(net).widths}
    assert {name for name, width in found.items() if width.bypass} == BYPASSED[kind]
    assert {name: id(module) for name, module in net.named_modules()} == before
    for name, width in found.items():
        assert (allowed(width, 4, 1.0)[-1] == 0) == (name in BYPASSED[kind] or width.branch)
        assert allowed(width, 4, 0.5)[-1] != 0


def test_layers_of_transformers_are_found() -> None:
    from transformers import MobileNetV1Config, MobileNetV1ForImageClassification

    net = MobileNetV1ForImageClassification(MobileNetV1Config(depth_multiplier=0.25, image_size=32)).eval()
    inputs = {"pixel_values": torch.randn(2, 3, 32, 32)}
    layout = find_widths(net, trace(net, inputs, lambda outputs: outputs.logits))
    found = [width for width in layout.widths if width.bypass]
    assert [width.size for width in found] == [32, 64, *[128] * 5, 256], "those before a depthwise one without a stride"
    candidate = copy.deepcopy(net)
    bypass(candidate, found, [{"pixel_values": torch.randn(4, 3, 32, 32)}])
    assert torch.isfinite(candidate(**inputs).logits).all()


def test_branches_whose_padding_is_computed_may_go() -> None:
    from transformers import MobileNetV2Config, MobileNetV2ForImageClassification

    net = MobileNetV2ForImageClassification(MobileNetV2Config(depth_multiplier=0.25, image_size=32)).eval()
    inputs = {"pixel_values": torch.randn(2, 3, 32, 32)}

    def logits(outputs: Any) -> torch.Tensor:
        return outputs.logits

    layout = find_widths(net, trace(net, inputs, logits))
    gone = {width.name: 0 for width in layout.widths if width.branch}
    apply_plan(net, make_plan(layout, gone, models.random_scores(layout)), inputs, logits)
    assert gone and len(list(absences(net))) > len(gone)


def test_of_linear_layers_nothing_is_lost() -> None:
    net = nets.build(nets.Chain)
    smaller = without_widths(net, nets.layout_of(net), {"linear.0": 0}, rows())
    torch.testing.assert_close(nets.answers(smaller), nets.answers(net), rtol=1e-2, atol=1e-3)


def test_a_layer_learns_to_answer_as_before() -> None:
    net = nets.build(nets.Chain)
    recalibrate(net, rows())
    layout = nets.layout_of(net)
    widths = {width.name: width for width in layout.widths}
    batches = [{**batch, "labels": torch.zeros(16, dtype=torch.long)} for batch in rows()]

    def drift(outputs: Any, whole: Any, _: Any) -> torch.Tensor:
        return (outputs["logits"] - whole["logits"]).square().mean()

    learnt, nothing = copy.deepcopy(net), copy.deepcopy(net)
    bypass(learnt, [widths["point.0"]], rows())
    bypass(nothing, [widths["point.0"]])
    (one,) = rows(1)
    far, near = (float(drift(each(**one), net(**one), None)) for each in (nothing, learnt))
    assert near < far / 4
    assert without(net, widths["point.0"], batches, drift) < far / 4
    assert without(net, widths["linear.0"], batches, drift) < 1e-4


def test_all_layers_in_a_row_and_half_of_the_others() -> None:
    net = nets.build(nets.Chain)
    layout = nets.layout_of(net)
    sizes = {**dict.fromkeys(BYPASSED[nets.Chain] - {"next.0"}, 0), "next.0": 6, "far": 8}
    smaller = without_widths(net, layout, sizes, rows())
    assert sum(each.numel() for each in smaller.parameters()) == layout.parameters(sizes)
    assert smaller.next[0].weight.shape == (6, 3, 3, 3), "reads the picture"
    assert {name for name, _ in absences(smaller)} >= {"stem.0", "stem.1", "point.0", "deep.0", "deep.1"}
    again = nets.build(nets.Chain)
    restore(again, dict(absences(smaller)), smaller.state_dict())
    assert dict(absences(again)) == dict(absences(smaller))
    smaller.train()
    smaller(**nets.inputs(4))["logits"].square().sum().backward()
    assert all(each.grad is not None for each in smaller.parameters())
    found = {width.name: width.size for width in nets.layout_of(smaller.eval()).widths}
    assert found == {"next.0": 6, "far": 8, "last": 16}


@pytest.mark.parametrize("kind", [kind for kind, names in BYPASSED.items() if names], ids=lambda kind: kind.__name__)
def test_each_alone_counts_as_it_is(kind: type[nets.Net]) -> None:
    net = nets.build(kind)
    layout = nets.layout_of(net)
    for name in BYPASSED[kind]:
        smaller = without_widths(net, layout, {name: 0})
        assert sum(each.numel() for each in smaller.parameters()) == layout.parameters({name: 0})
