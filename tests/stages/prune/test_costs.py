from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgesft.stages.prune.costs import Latency, Parameters, kind_of
from edgesft.stages.prune.layout import Layout, Width
from edgesft.stages.prune.plan import make_plan
from edgesft.stages.prune.sizes import allowed
from tests.stages.prune import models
from tests.stages.prune.test_plan import ffn, layout


def every(found: Layout, multiple: int = 4) -> dict[str, tuple[int, ...]]:
    return {width.name: allowed(width, multiple, 1.0) for width in found.widths}


@pytest.mark.parametrize("name", ["bert", "distilbert", "albert", "vit"])
def test_parameters_are_those_of_the_plan(name: str) -> None:
    found = models.layout_of(models.build(name))
    costs, rng = Parameters(found, every(found)), np.random.default_rng(0)
    for _ in range(5):
        sizes = {name: int(rng.choice(choices)) for name, choices in costs.allowed.items()}
        plan = make_plan(found, sizes, models.random_scores(found))
        assert costs.total(sizes) == pytest.approx(plan.parameters_after / plan.parameters_before)


def test_a_table_foretells_what_it_was_made_of() -> None:
    found = layout(ffn("a", 8), ffn("b", 8), ffn("c", 16))
    two, one = kind_of(found.widths[0], found), kind_of(found.widths[2], found)
    table = {two: {8: 1.0, 4: 0.8, 0: 0.5}, one: {16: 1.0, 8: 0.9, 4: 0.95, 0: 0.6}}
    costs = Latency(found, every(found), table, 0.1)
    assert costs.total({"a": 8, "b": 8, "c": 16}) == pytest.approx(1)
    assert costs.total({"a": 4, "b": 4, "c": 16}) == pytest.approx(0.8)
    assert costs.total({"a": 0, "b": 8, "c": 16}) == pytest.approx(0.75)
    assert costs.total({"a": 8, "b": 8, "c": 12}) == pytest.approx(0.975), "the smaller one was no slower"
    assert costs.total({"a": 0, "b": 0, "c": 0}) == pytest.approx(0.1)


def test_kinds_that_save_less_together_are_scaled() -> None:
    found = layout(ffn("a", 8), ffn("c", 16))
    table = {
        kind_of(found.widths[0], found): {8: 1.0, 4: 0.8, 0: 0.4},
        kind_of(found.widths[1], found): {16: 1.0, 0: 0.2},
    }
    costs = Latency(found, {"a": (8, 4, 0), "c": (16, 0)}, table, 0.3)
    assert costs.total({"a": 0, "c": 0}) == pytest.approx(0.3)
    assert costs.total({"a": 8, "c": 0}) == pytest.approx(1 - 0.8 / 2)


def test_blocks_cost_in_proportion_to_their_stream() -> None:
    found = models.layout_of(models.build("bert"))
    kinds = {width.kind: kind_of(width, found) for width in found.widths}
    table = {
        kinds["heads"]: {4: 1.0, 2: 0.9, 1: 0.85, 0: 0.8},
        kinds["ffn"]: {64: 1.0, 32: 0.8, 4: 0.65, 0: 0.6},
        kinds["hidden"]: {32: 1.0, 16: 0.6, 4: 0.3},
    }
    costs = Latency(found, every(found), table, 0.4)
    whole = {width.name: width.size for width in found.widths}
    narrow = whole | {width.name: 16 for width in found.widths if width.kind == "hidden"}
    assert costs.total(narrow) == pytest.approx(0.6)
    less = narrow | {width.name: 0 for width in found.widths if width.kind == "ffn"}
    assert costs.total(less) == pytest.approx(0.6 - 0.4 / 2)


def test_the_least_harm_for_the_cost() -> None:
    found = layout(ffn("a", 8), ffn("b", 8))
    costs = Parameters(found, every(found))
    harms = {"a": np.array([0, 0.1, 0.3]), "b": np.array([0, 5.0, 9.0])}
    assert costs.choose(harms, 1.0) == {"a": 8, "b": 8}
    assert costs.choose(harms, 0.76) == {"a": 4, "b": 8}
    assert costs.choose(harms, 0.51) == {"a": 0, "b": 8}
    assert costs.choose(harms, 0.0) == {"a": 0, "b": 0}
    assert Parameters(found, {"a": (8, 4), "b": (8,)}).choose(harms | {"b": np.zeros(1)}, 0.6) is None


def test_streams_are_chosen_with_the_blocks() -> None:
    found = models.layout_of(models.build("bert"))
    costs = Parameters(found, every(found))
    stream = next(width.name for width in found.widths if width.kind == "hidden")
    cheap = {name: np.arange(len(sizes)) * (0.0 if name == stream else 1.0) for name, sizes in costs.allowed.items()}
    assert costs.choose(cheap, 0.6)[stream] < 32
    dear = {name: np.arange(len(sizes)) * (99.0 if name == stream else 1.0) for name, sizes in costs.allowed.items()}
    assert costs.choose(dear, 0.9)[stream] == 32


def test_widths_of_other_shapes_are_of_another_class() -> None:
    found = Layout((ffn("a", 8), ffn("b", 8)), {"a.in": (8, 4), "a.out": (4, 8), "b.in": (8, 8), "b.out": (8, 8)})
    assert kind_of(found.widths[0], found) != kind_of(found.widths[1], found)
    assert isinstance(found.widths[0], Width)


def test_widths_of_which_one_alone_may_go_are_of_two_classes() -> None:
    one = ffn("a", 8)
    found = layout(one, replace(ffn("b", 8), branch=False, bypass=False))
    assert one.may_go and kind_of(found.widths[0], found) != kind_of(found.widths[1], found)
