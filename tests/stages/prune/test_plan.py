import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.stages.prune.layout import Layout, Width
from edgesft.stages.prune.plan import (
    PrunePlan,
    kept_sizes,
    make_plan,
    removal_order,
    shares_left,
    steps_for_parameters,
)


def ffn(name: str, size: int, channels: int = 1) -> Width:
    return Width(name, "ffn", size, channels, ((f"{name}.in", 0), (f"{name}.out", 1)), (f"{name}.out",))


def layout(*widths: Width, model: int = 8, rest: int = 0) -> Layout:
    shapes: dict[str, tuple[int, ...]] = {"rest": (rest,)}
    for width in widths:
        if width.kind != "hidden":
            total = width.size * width.channels
            shapes |= {f"{width.name}.in": (total, model), f"{width.name}.out": (model, total)}
    return Layout(widths, shapes)


def test_steps_leave_multiples_and_take_the_least_important_first():
    found = removal_order(layout(ffn("a", 20)), {"a": np.arange(20.0)[::-1]}, multiple=8, max_share=0.9)
    assert [removal.units for removal in found] == [(16, 17, 18, 19), tuple(range(8, 16))]


def test_units_of_several_channels_round_in_channels():
    order = removal_order(layout(ffn("a", 9, channels=12)), {"a": np.arange(9.0)}, multiple=8, max_share=0.9)
    assert [len(removal.units) for removal in order] == [1, 2, 2, 2]
    order = removal_order(layout(ffn("a", 4, channels=32)), {"a": np.arange(4.0)}, multiple=8, max_share=0.9)
    assert [removal.units for removal in order] == [(0,), (1,), (2,)]


@pytest.mark.parametrize(("max_share", "kept"), [(0.5, 16), (0.75, 8), (0.99, 4), (0.1, 32)])
def test_max_share_and_one_multiple_bound_each_width(max_share, kept):
    found = layout(ffn("a", 32))
    order = removal_order(found, {"a": np.ones(32)}, multiple=4, max_share=max_share)
    assert kept_sizes(found, order) == {"a": kept}


def test_widths_compete_by_importance_a_parameter():
    found = layout(ffn("a", 8), ffn("b", 4, channels=2))
    # A unit of b holds twice as many parameters, so twice its importance is the same value.
    scores = {"a": np.array([1.0, 3, 5, 7, 9, 9, 9, 9]), "b": np.array([4.0, 8, 20, 20])}
    order = removal_order(found, scores, multiple=1, max_share=0.5)
    assert [(removal.width, removal.units) for removal in order] == [
        ("a", (0,)),
        ("b", (0,)),
        ("a", (1,)),
        ("b", (1,)),
        ("a", (2,)),
        ("a", (3,)),
    ]


def test_equal_scores_are_taken_in_a_fixed_order():
    found = layout(ffn("a", 40), ffn("b", 36))
    scores = {"a": np.full(40, 0.1), "b": np.full(36, 0.1)}
    first = removal_order(found, scores, multiple=8, max_share=0.9)
    assert first == removal_order(found, scores, multiple=8, max_share=0.9)
    assert first[0] == type(first[0])("a", tuple(range(8)))


def test_hidden_shrinks_in_proportion():
    hidden = Width("h", "hidden", 16, 1, (("rest", 0),), ())
    found = layout(ffn("a", 32), hidden, rest=16)
    order = removal_order(found, {"a": np.ones(32), "h": np.arange(16.0)}, multiple=4, max_share=0.75)
    for steps in range(len(order) + 1):
        kept = kept_sizes(found, order[:steps])
        assert abs(kept["a"] / 32 - kept["h"] / 16) <= 0.25
    assert kept == {"a": 8, "h": 4}


def test_parameters_target_is_the_largest_model_below_it():
    found = layout(ffn("a", 64), ffn("b", 64), rest=1000)
    order = removal_order(found, {"a": np.arange(64.0), "b": np.arange(64.0) * 2}, multiple=8, max_share=0.9)
    total = found.parameters()
    for target in (0.95, 0.8, 0.6):
        steps = steps_for_parameters(found, order, target)
        assert make_plan(found, order[:steps]).parameters_after <= target * total
        assert make_plan(found, order[: steps - 1]).parameters_after > target * total


def test_unreachable_parameters_say_what_is():
    found = layout(ffn("a", 64), rest=1024)
    order = removal_order(found, {"a": np.ones(64)}, multiple=8, max_share=0.5)
    with pytest.raises(InputError) as caught:
        steps_for_parameters(found, order, 0.5)
    assert "at least 0.750. Got: 0.5" in str(caught.value)
    assert "add 'hidden' to prune.targets, raise prune.max_share" in str(caught.value)
    assert steps_for_parameters(found, order, 0.75) == len(order)


def test_shares_fall_from_one_and_leave_out_what_cannot_shrink():
    found = layout(ffn("a", 64), rest=10**6)
    order = removal_order(found, {"a": np.ones(64)}, multiple=32, max_share=0.5)
    assert shares_left(found, order) == [1.0, 0.5]


def test_plan_prints_and_travels_as_json():
    found = layout(ffn("a", 8), ffn("b", 8), rest=2_000_000)
    order = removal_order(found, {"a": np.arange(8.0), "b": np.arange(8.0) + 9}, multiple=2, max_share=0.75)
    plan = make_plan(found, order[:1])
    assert plan.cuts[0].kept == (2, 3, 4, 5, 6, 7)
    assert plan.cuts[0].removed_channels() == [0, 1]
    assert PrunePlan.from_json(plan.to_json()) == plan
    assert plan.table().splitlines()[0].split() == ["a", "ffn", "8", "→", "6"]
    assert plan.summary() == "ffn 16→14, parameters 2.0 M → 2.0 M"
