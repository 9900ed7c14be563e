import pytest

from edgesft.stages.prune.aim import Aim


@pytest.mark.parametrize(
    ("ratio", "step", "asked", "target"),
    [
        (1.0, 0.7, 0.0, 0.7),
        (1.0, 0.7, 0.3, 0.7),
        (0.8, 0.7, 0.45, 0.6),
        (1.0, 0.7, 0.7, 0.7),
        (0.6, 0.7, 0.56, 0.56),
        (0.6, 0.7, 0.58, 0.42),
        (0.8, 0.837, 0.66, 0.66),
        (1.0, 0.7, 0.93, 0.93),
    ],
    ids=[
        "no budget",
        "far from it",
        "within two steps",
        "within one step",
        "nearly there",
        "there",
        "half would be too little",
        "little is asked for",
    ],
)
def test_what_the_budget_asks_for_is_aimed_at_first(ratio, step, asked, target):
    assert Aim(ratio, step).target(asked) == pytest.approx(target)


@pytest.mark.parametrize(
    ("asked", "failed", "target"),
    [
        (0.0, 0.7, 0.7**0.5),
        (0.0, 0.7**0.5, None),
        (0.8, 0.8, 0.8**0.5),
        (0.705, 0.7, 0.7**0.5),
        (0.88, 0.88, None),
        (0.93, 0.93, 0.93**0.5),
        (0.96, 0.7**0.5, None),
    ],
    ids=[
        "half as far",
        "too little",
        "between what failed and what there is",
        "hardly more than what failed",
        "neither meets the budget nor pays",
        "meets the budget",
        "it was met before",
    ],
)
def test_after_what_failed(asked, failed, target):
    assert Aim().lost(failed).target(asked) == (target and pytest.approx(target))


def test_a_smaller_model_may_bear_what_the_first_did_not():
    aim = Aim().lost(0.7).held(0.8)
    assert aim.target(0.0) == pytest.approx(0.8 * 0.7**0.5) and aim.lost(0.8 * 0.7**0.5).target(0.0) is None
