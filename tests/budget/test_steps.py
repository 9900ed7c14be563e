from __future__ import annotations

import math

import numpy as np
import pytest

from edgesft.budget import steps
from edgesft.budget.percentile import Interval

SERIES = 400
"""Of each kind: with a true rate of 5 %, more than `MOST` of them show one in three runs of a thousand."""

MOST = 0.08


def white(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=count)


def heavy(rng: np.random.Generator, count: int) -> np.ndarray:
    """Student's t with three degrees of freedom, of variance 1."""
    return rng.standard_t(3, size=count) / math.sqrt(3)


def remembering(rng: np.random.Generator, count: int, lag: float = 0.3) -> np.ndarray:
    """AR(1) of variance 1."""
    found = np.empty(count)
    found[0] = rng.normal()
    for place, shock in enumerate(rng.normal(0, math.sqrt(1 - lag**2), count - 1), start=1):
        found[place] = lag * found[place - 1] + shock
    return found


NOISES = (white, heavy, remembering)


def times(noise: np.ndarray) -> list[float]:
    """Nanoseconds about 5 ms that vary by 2 %."""
    return list(5e6 * np.exp(0.02 * noise))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("count", [6, 30, 100])
def test_pure_noise_seldom_has_a_step(noise, count: int) -> None:
    rng = np.random.default_rng(count)
    drawn = SERIES if count < 100 else SERIES // 2
    false = sum(bool(steps.find(times(noise(rng, count))).steps) for _ in range(drawn))
    assert false / drawn <= MOST


@pytest.mark.parametrize("noise", NOISES)
def test_a_step_of_three_deviations_is_found_where_it_is(noise) -> None:
    rng, found, within = np.random.default_rng(7), 0, 0
    for _ in range(SERIES):
        told = steps.find(times(noise(rng, 20) + np.repeat([0.0, 3.0], 10))).steps
        near = [step for step in told if abs(step.at - 10) <= 2]
        found += bool(near)
        for step in near:
            _, lower, upper = step.change
            assert lower is not None and upper is not None
            within += lower <= math.exp(0.06) <= upper
    assert found / SERIES >= (0.9 if noise is remembering else 0.95)
    assert within / found >= 0.8, "one-sided 95 % each"


def test_levels_and_ratio_of_a_step() -> None:
    noise = white(np.random.default_rng(1), 24) * 0.01
    told = steps.find(list(np.exp(noise) * np.repeat([100.0, 120.0], 12)))
    (step,) = told.steps
    assert step.at == 12
    assert step.before == pytest.approx(100, rel=0.01) and step.after == pytest.approx(120, rel=0.01)
    assert step.change.value == pytest.approx(step.after / step.before)
    assert told.level == step.after and told.noise == pytest.approx(0.01, rel=0.5) and not told.outlying


def test_a_staircase_and_a_way_back() -> None:
    noise = 1 + 0.01 * white(np.random.default_rng(2), 40)
    told = steps.find(list(noise * np.repeat([100.0, 110.0, 130.0, 100.0], 10)))
    assert [step.at for step in told.steps] == [10, 20, 30]
    assert [step.after > step.before for step in told.steps] == [True, True, False]


def test_two_points_make_a_level_and_one_is_out_of_line() -> None:
    values = list(1 + 0.01 * white(np.random.default_rng(3), 18))
    two = steps.find([*values, 1.2, 1.21])
    assert [step.at for step in two.steps] == [18] and not two.outlying
    one = steps.find([*values, 1.2])
    assert one.steps == () and one.outlying and one.level == pytest.approx(1, rel=0.01)
    assert not steps.find([*values, 1.01]).outlying


def test_outliers_are_no_steps() -> None:
    values = list(1 + 0.01 * white(np.random.default_rng(4), 30))
    for place, value in ((5, 1.5), (6, 0.8), (17, 3.0), (24, 1.3)):
        values[place] = value
    assert steps.find(values).steps == ()
    shifted = [value * (1 if place < 15 else 1.1) for place, value in enumerate(values)]
    assert [step.at for step in steps.find(shifted).steps] == [15]


def test_what_is_too_small_to_matter_is_none() -> None:
    values = list((1 + 0.001 * white(np.random.default_rng(5), 30)) * np.repeat([1.0, 1.01], 15))
    assert [step.at for step in steps.find(values).steps] == [15]
    assert steps.find(values, least=0.02).steps == ()
    level = steps.find(values, least=0.02).level
    assert 1.0 < level < 1.01, "there is one level, in the middle"


def test_differences_of_a_metric() -> None:
    told = steps.find([0.91] * 6 + [0.905] * 5, ratio=False, resolution=1e-6)
    (step,) = told.steps
    assert step.at == 6 and step.change.value == pytest.approx(-0.005)
    assert told.level == pytest.approx(0.905)
    assert steps.find([0.0] * 8, ratio=False).steps == ()


def test_values_that_mostly_repeat() -> None:
    values = [70.0, 70.0, 70.0, 70.0, 70.4, 70.0, 70.0, 70.4, 70.0, 70.0, 70.0, 70.0]
    assert steps.find(values).steps == ()
    assert [step.at for step in steps.find([*values, *(value + 10 for value in values)]).steps] == [12]


def test_few_points_have_a_level_alone() -> None:
    for count in range(1, steps.FEWEST):
        told = steps.find([1.0, 2.0, 2.0, 2.0][:count])
        assert told.steps == () and told.noise is None and not told.outlying
    assert steps.find([3.0]).level == pytest.approx(3)


@pytest.mark.parametrize("values", [[], [1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [math.inf]])
def test_what_cannot_be_compared(values) -> None:
    with pytest.raises(ValueError, match="values must be finite and above 0"):
        steps.find(values)


def test_a_thousand_points() -> None:
    noise = 1 + 0.02 * white(np.random.default_rng(6), 1000)
    told = steps.find(list(noise * np.repeat([1.0, 1.05, 0.9], (400, 500, 100))))
    assert np.allclose([step.at for step in told.steps], [400, 900], atol=3)


def test_every_change_of_a_count_is_a_step() -> None:
    told = steps.changes([5, 5, 6, 6, 4])
    assert [(step.at, step.before, step.after) for step in told.steps] == [(2, 5, 6), (4, 6, 4)]
    assert told.steps[0].change == Interval(1.2, None, None) and told.level == 4
    assert steps.changes([7]).steps == () and steps.changes([7]).level == 7
    assert steps.changes([0, 3]).steps[0].change.value == math.inf
    with pytest.raises(ValueError):
        steps.changes([])


def test_a_tolerance_is_held_against_the_level_and_not_the_neighbour() -> None:
    assert steps.changes([10_000, 10_009, 9_991], tolerance=0.001).steps == ()
    creeping = [10_000 + 4 * place for place in range(8)]
    assert [step.at for step in steps.changes(creeping, tolerance=0.001).steps] == [3, 6]
