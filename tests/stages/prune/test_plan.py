from __future__ import annotations

import numpy as np

from edgesft.stages.prune.layout import Axis, Layout, Reader, Width
from edgesft.stages.prune.plan import PrunePlan, make_plan, top, what_else


def ffn(name: str, size: int, channels: int = 1) -> Width:
    return Width(
        name,
        "ffn",
        size,
        channels,
        (Axis(f"{name}.in", 0), Axis(f"{name}.out", 1)),
        (Reader(f"{name}.out"),),
        branch=True,
    )


def layout(*widths: Width, model: int = 8, rest: int = 0) -> Layout:
    shapes: dict[str, tuple[int, ...]] = {"rest": (rest,)}
    for width in widths:
        if width.kind != "hidden":
            total = width.size * width.channels
            shapes |= {f"{width.name}.in": (total, model), f"{width.name}.out": (model, total)}
    return Layout(widths, shapes)


def test_the_most_important_units_stay_in_their_order() -> None:
    assert top(np.array([1.0, 5, 3, 5]), 2).tolist() == [1, 3]
    assert top(np.ones(4), 2).tolist() == [0, 1]
    assert top(np.ones(4), 0).tolist() == []


def test_plan_prints_and_travels_as_json() -> None:
    found = layout(ffn("a", 8), ffn("b", 8), rest=2_000_000)
    scores = {"a": np.arange(8.0), "b": np.arange(8.0) + 9}
    plan = make_plan(found, {"a": 6}, scores)
    assert plan.cuts[0].kept == (2, 3, 4, 5, 6, 7)
    assert plan.cuts[0].removed_channels() == [0, 1]
    assert PrunePlan.from_json(plan.to_json()) == plan
    assert plan.table().splitlines()[0].split() == ["a", "ffn", "8", "→", "6"]
    assert plan.summary() == "ffn 16→14, parameters 2.0 M → 2.0 M"
    assert make_plan(found, {"a": 0}, scores).cuts[0].kept == ()


def test_several_rounds_are_summed_up() -> None:
    first = make_plan(layout(ffn("a", 8), ffn("b", 8)), {"a": 0}, {"a": np.ones(8), "b": np.ones(8)})
    last = make_plan(layout(ffn("b", 8)), {"b": 4}, {"b": np.ones(8)})
    assert last.since(first).summary() == "ffn 16→4, parameters 256 → 64".replace("256", "0.3 k").replace("64", "0.1 k")


def test_advice_is_what_can_still_be_done() -> None:
    found = layout(ffn("a", 8))
    assert "add 'hidden'" in what_else(found, 1.0) and "max_share" not in what_else(found, 1.0)
    assert "raise prune.max_share" in what_else(found, 0.9)
