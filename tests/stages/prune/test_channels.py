"""Convolutional nets: what is found, and that cutting it is silencing it."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from edgesft.stages.export.graph import convert
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.costs import Parameters
from edgesft.stages.prune.importance import taylor
from edgesft.stages.prune.layout import Layout, Reader
from edgesft.stages.prune.plan import make_plan, top
from edgesft.stages.prune.search import counted
from edgesft.stages.prune.sensitivity import sensitivity
from edgesft.stages.prune.sizes import allowed
from edgesft.tasks.base import Graph
from edgesft.train.placeholders import absences, restore
from tests.stages.prune import models, nets

FOUND = {
    nets.Plain: {"stem.0": 16, "body.0.0": 24, "body.1.0": 16},
    nets.Residual: {"stem.0": 16, "first.0": 24},
    nets.Branches: {"stem.0": 16, "one.0.0": 24, "two.0.0": 24},
    nets.Depthwise: {"stem.0": 16, "point.0": 16},
    nets.Concat: {"stem.0": 16, "left.0": 8, "right.0": 12, "join.0": 16},
    nets.Split: {"stem.0": 16, "one.0": 16},
    nets.Grouped: {"after.0": 16},
    nets.Tied: {"stem.0": 16},
    nets.Flattened: {"stem.0": 16, "body.0": 8},
    nets.Twice: {"stem.0": 16, "join.0": 16},
    nets.Shuffled: {f"units.{number}.0.0": 12 for number in range(5)},
}
"""Of each net the widths that can shrink; halves of a split and groups are left alone."""


def pruned(net: nets.Net, layout: Layout, sizes: dict[str, int], scores: dict[str, np.ndarray]) -> nets.Net:
    smaller = copy.deepcopy(net)
    apply_plan(smaller, make_plan(layout, sizes, scores), nets.inputs(), nets.logits)
    return smaller


@pytest.mark.parametrize("kind", FOUND, ids=lambda kind: kind.__name__)
def test_finds_what_goes_together(kind: type[nets.Net]) -> None:
    net = nets.build(kind)
    layout = nets.layout_of(net)
    assert {width.name: width.size for width in layout.widths} == FOUND[kind]
    assert {width.kind for width in layout.widths} == {"channels"}
    assert layout.parameters() == sum(each.numel() for each in net.parameters())


def test_what_cannot_shrink_is_named() -> None:
    left = {kind.__name__: nets.layout_of(nets.build(kind)).left_alone for kind in FOUND}
    assert left == {
        "Plain": (), "Residual": (), "Branches": (), "Depthwise": (), "Concat": (), "Tied": (), "Flattened": ("head",),
        "Twice": (), "Split": ("both.0",), "Grouped": ("stem.0", "groups.0"),
        "Shuffled": ("stem.0", *(f"units.{number}.2.0" for number in range(5))),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "left", "found"),
    [
        (nets.Normed, ("stem.0", "normed"), {"after.0", "last.0"}),
        (nets.Recurrent, ("body.0", "over", "out"), {"stem.0"}),
    ],
)
def test_what_cannot_be_followed_is_named(kind: type[nets.Net], left: tuple[str, ...], found: set[str]) -> None:
    net = nets.build(kind)
    layout = nets.layout_of(net)
    assert layout.left_alone == left and {width.name for width in layout.widths} == found
    smaller = pruned(net, layout, {name: 8 for name in found}, models.random_scores(layout))
    assert torch.isfinite(nets.answers(smaller)).all()


def test_channels_that_linears_gate_are_one_width() -> None:
    net = nets.build(nets.Gated)
    layout = nets.layout_of(net)
    assert [(width.name, width.kind) for width in layout.widths] == [
        ("stem.0", "channels"),
        ("body.0", "channels"),
        ("down", "ffn"),
    ]
    smaller = pruned(net, layout, {"body.0": 8, "down": 4}, models.random_scores(layout))
    assert smaller.body[0].out_channels == smaller.up.out_features == smaller.classifier.in_features == 8


def test_readers_know_where_a_width_lies() -> None:
    (twice, _) = nets.layout_of(nets.build(nets.Twice)).widths
    assert twice.consumers == (Reader("join.0", 0), Reader("join.0", 16))
    found = {width.name: width.consumers for width in nets.layout_of(nets.build(nets.Concat)).widths}
    assert found["left.0"] == (Reader("join.0", 0),) and found["right.0"] == (Reader("join.0", 8),)
    found = {width.name: width.consumers for width in nets.layout_of(nets.build(nets.Flattened)).widths}
    assert found["body.0"] == (Reader("head", 0, 16),)


@pytest.mark.parametrize("kind", FOUND, ids=lambda kind: kind.__name__)
def test_each_width_is_cut_as_if_it_were_silenced(kind: type[nets.Net]) -> None:
    net = nets.build(kind)
    layout = nets.layout_of(net)
    scores = models.random_scores(layout)
    batch = {**nets.inputs(4), "labels": torch.zeros(4, dtype=torch.long)}

    def drift(outputs: dict[str, torch.Tensor], whole: dict[str, torch.Tensor], _: object) -> torch.Tensor:
        return (outputs["logits"] - whole["logits"]).abs().sum()

    tried = {width.name: [width.size // 2] for width in layout.widths}
    silenced = sensitivity(net, layout.widths, tried, scores, [batch], drift)
    whole = nets.answers(net)
    for width in layout.widths:
        sizes = {width.name: width.size // 2}
        smaller = pruned(net, layout, sizes, scores)
        assert sum(each.numel() for each in smaller.parameters()) == layout.parameters(sizes) < layout.parameters()
        kept = torch.as_tensor(top(scores[width.name], width.size // 2))
        weights = (net.get_submodule(width.name).weight, smaller.get_submodule(width.name).weight)
        assert torch.equal(weights[0][kept][:, : weights[1].shape[1]], weights[1]) or kind is nets.Tied
        assert float((nets.answers(smaller) - whole).abs().sum()) == pytest.approx(silenced[width.name][0], rel=1e-4)


@pytest.mark.parametrize("kind", FOUND, ids=lambda kind: kind.__name__)
def test_everything_is_cut_at_once_and_again(kind: type[nets.Net]) -> None:
    net = nets.build(kind)
    for _ in range(2):
        layout = nets.layout_of(net)
        sizes = {width.name: width.size // 2 for width in layout.widths}
        net = pruned(net, layout, sizes, models.random_scores(layout))
    assert {width.name: width.size for width in nets.layout_of(net).widths} == {
        name: size // 4 for name, size in FOUND[kind].items()
    }


def test_branches_may_go_as_a_whole() -> None:
    found = {
        (kind.__name__, width.name): width.normalisation
        for kind in FOUND
        for width in nets.layout_of(nets.build(kind)).widths
        if width.branch
    }
    assert found == {
        ("Residual", "first.0"): None,
        ("Branches", "one.0.0"): "one.2",
        ("Branches", "two.0.0"): "two.3",
    }


@pytest.mark.parametrize("kind", [nets.Residual, nets.Branches], ids=lambda kind: kind.__name__)
def test_what_a_branch_that_is_gone_said_of_nothing_is_said_before_it(kind: type[nets.Net]) -> None:
    net = nets.build(kind)
    layout = nets.layout_of(net)
    scores = models.random_scores(layout)
    for width in layout.widths:
        if not width.branch:
            continue
        silent = copy.deepcopy(net)
        reader = silent.get_submodule(width.consumers[0].name)
        end = silent.get_submodule(width.normalisation or width.consumers[0].name)
        with torch.no_grad():
            reader.weight.zero_()
            constant = reader(torch.zeros(1, width.size, 1, 1))
            constant = (constant if end is reader else end(constant)).flatten()
            silent.get_submodule(width.absorbers[0]).bias += constant
            (end.bias if end is reader else end.weight).zero_()
            end.bias.zero_()
        smaller = pruned(net, layout, {width.name: 0, "stem.0": 8}, scores)
        half = pruned(silent, layout, {"stem.0": 8}, scores)
        torch.testing.assert_close(nets.answers(smaller), nets.answers(half))
        assert sum(each.numel() for each in smaller.parameters()) == layout.parameters({width.name: 0, "stem.0": 8})
        alone, fresh = pruned(net, layout, {width.name: 0}, scores), nets.build(kind)
        restore(fresh, dict(absences(alone)), alone.state_dict())
        fresh.load_state_dict(alone.state_dict())
        assert torch.equal(nets.answers(fresh), nets.answers(alone))


@pytest.mark.parametrize("kind", [nets.Residual, nets.Branches], ids=lambda kind: kind.__name__)
def test_a_net_without_branches_trains_and_is_cut_further(kind: type[nets.Net]) -> None:
    net = nets.build(kind)
    layout = nets.layout_of(net)
    gone = {width.name: 0 for width in layout.widths if width.branch}
    net = pruned(net, layout, gone, models.random_scores(layout))
    assert {width.name for width in nets.layout_of(net).widths} == {"stem.0"}
    net.train()
    net(**nets.inputs(4))["logits"].square().sum().backward()
    assert all(each.grad is not None for each in net.parameters())
    layout = nets.layout_of(net)
    halved = pruned(net, layout, {"stem.0": 8}, models.random_scores(layout))
    assert halved.classifier.in_features == 8


def test_a_width_keeps_its_name_when_a_branch_goes() -> None:
    net = nets.build(nets.Late)
    layout = nets.layout_of(net)
    assert {width.name for width in layout.widths} == {"stem", "blocks.0.0.0", "blocks.1.0.0"}
    smaller = pruned(net, layout, {"blocks.0.0.0": 0, "stem": 12}, models.random_scores(layout))
    assert {width.name: width.size for width in nets.layout_of(smaller).widths} == {"stem": 12, "blocks.1.0.0": 24}


def test_who_says_the_constants_of_branches() -> None:
    widths = {width.name: width.absorbers for width in nets.layout_of(nets.build(nets.Branches)).widths}
    assert widths == {"stem.0": (), "one.0.0": ("stem.1",), "two.0.0": ("one.2", "stem.1")}


def test_an_export_holds_nothing_of_branches_that_are_gone(tmp_path: Path) -> None:
    net = nets.build(nets.Branches)
    layout = nets.layout_of(net)
    gone = {width.name: 0 for width in layout.widths if width.branch}
    net = pruned(net, layout, gone, models.random_scores(layout))
    inputs, names = nets.inputs(), {"x": {0: "batch"}}
    program = convert(Graph("model", net, inputs, names, ("logits",)), opset=20)
    kinds = [node.op_type for node in program.graph]
    assert "Add" not in kinds and kinds.count("Relu") == kinds.count("Conv") == 1


def test_units_that_say_nothing_are_worth_nothing() -> None:
    net = nets.build(nets.Concat)
    layout = nets.layout_of(net)
    with torch.no_grad():
        net.join[0].weight[:, 8:14] = 0  # the first six of the right branch
    batch = {**nets.inputs(4), "labels": torch.tensor([0, 1, 2, 3])}

    def objective(model: nets.Net, given: dict[str, torch.Tensor]) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(model(given["x"])["logits"], given["labels"])

    found = taylor(net, layout.widths, [batch], objective)["right.0"]
    assert (found[:6] == 0).all() and (found[6:] > 0).all()


@pytest.mark.parametrize("target", [0.8, 0.5, 0.2])
def test_shared_parameters_are_counted_once(target: float) -> None:
    layout = nets.layout_of(nets.build(nets.Plain))
    sizes = {width.name: allowed(width, 1, 0.95) for width in layout.widths}
    harms = {name: np.linspace(0, 1, len(each)) for name, each in sizes.items()}
    found = counted(Parameters(layout, sizes), harms, target, "advice")
    assert 0.9 * target <= layout.parameters(found) / layout.parameters() <= target
