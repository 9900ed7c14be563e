from __future__ import annotations

import math

import numpy as np
import pytest

from edgesft.budget import paired
from edgesft.budget.paired import Block
from edgesft.budget.percentile import Interval


def block(rng: np.random.Generator, slowdown: float = 1.0, *, process: float = 0.01, noise: float = 0.02) -> Block:
    """Six rounds of ten samples of 1 ms; processes and rounds vary by so much."""
    level = np.exp(rng.normal(0, process, 2)) * (slowdown, 1.0)
    weather = np.exp(rng.normal(0, 0.2, 6))
    taken = [
        [1e6 * level[side] * weather[number] * np.exp(rng.normal(0, noise, 10)) for number in range(6)]
        for side in (0, 1)
    ]
    return Block(*([list(map(int, samples)) for samples in side] for side in taken))


def effects(rng: np.random.Generator, blocks: int, slowdown: float = 1.0) -> list[float]:
    return [found for _ in range(blocks) if (found := paired.effect(block(rng, slowdown), 50)) is not None]


def test_what_slows_both_in_a_round_cancels() -> None:
    rng = np.random.default_rng(0)
    found = effects(rng, 40, 1.05)
    assert np.mean(found) == pytest.approx(math.log(1.05), abs=0.006)
    assert np.std(found) < 0.03, "rounds vary by 20 %, processes by 1 %"


def test_a_disturbance_that_begins_within_the_block_touches_one_round() -> None:
    quiet, loud = [[1000] * 5] * 6, [[1000] * 5, [1000] * 5, [1800] * 5, [1800] * 5, [1800] * 5, [1800] * 5]
    shifted = [[1000] * 5, [1000] * 5, [1000] * 5, [1800] * 5, [1800] * 5, [1800] * 5]
    assert paired.effect(Block(loud, shifted), 50) == 0, "the third round began between the turns"
    assert paired.effect(Block(loud, quiet), 50) == pytest.approx(math.log(1.8))


def test_a_high_percentile_takes_samples_beyond_it() -> None:
    samples = [[int(1000 + place) for place in range(20)]] * 2
    assert paired.effect(Block(samples, samples), 95) == 0, "two of forty samples lie beyond"
    assert paired.effect(Block(samples[:1], samples[:1]), 95) is None


def test_the_bounds_hold_as_stated() -> None:
    rng = np.random.default_rng(1)
    missed = np.zeros(2)
    for _ in range(2000):
        _, lower, upper = paired.ratio(list(rng.normal(math.log(1.03), 0.01, 4)), 0.95)
        assert lower is not None and upper is not None
        missed += (lower > 1.03, upper < 1.03)
    assert all(0.035 < share < 0.065 for share in missed / 2000)


def test_few_blocks_have_no_bounds() -> None:
    assert paired.ratio([0.0] * (paired.FIRST_LOOK - 1)) == Interval(1.0, None, None)


def test_the_limit_lies_half_way() -> None:
    assert paired.limit(0.05) ** 2 == pytest.approx(1.05)


@pytest.mark.parametrize(
    ("lower", "upper", "change"),
    [
        (1.03, 1.06, "slower"),
        (0.9, 0.95, "faster"),
        (0.99, 1.01, "same"),
        (0.9, 1.0, "not slower"),
        (1.01, 1.04, "undecided"),
        (None, None, "undecided"),
    ],
)
def test_what_an_interval_says(lower: float | None, upper: float | None, change: str) -> None:
    assert paired.change(Interval(1.0, lower, upper), 1.0247) == change


def test_wrong_verdicts_over_all_looks_are_rare() -> None:
    """Truth at the limit itself, the hardest case: each direction is wrong in at most 5 %, however often one looks."""
    rng, bar, wrong = np.random.default_rng(2), paired.limit(0.05), {"slower": 0, "not slower": 0}
    for _ in range(600):
        found = list(rng.normal(math.log(bar), 0.01, paired.blocks_at(4)))
        for number in range(1, 5):
            seen = paired.look({"p50": found[: paired.blocks_at(number)]}, ["p50"], bar, number)
            if seen.decided:
                change = paired.change(seen.ratios["p50"], bar)
                wrong["slower" if change == "slower" else "not slower"] += 1
                break
    assert all(count / 600 < 0.07 for count in wrong.values())


def test_an_effect_is_found_and_equals_pass() -> None:
    rng, bar = np.random.default_rng(3), paired.limit(0.05)
    for truth, words in ((1.0, ("same", "not slower")), (1.05, ("slower",))):
        said = []
        for _ in range(30):
            found = effects(rng, 16, truth)
            looks = [paired.look({"p50": found[: paired.blocks_at(n)]}, ["p50"], bar, n) for n in (1, 2, 3)]
            seen = next((each for each in looks if each.decided), looks[-1])
            said.append(paired.change(seen.ratios["p50"], bar))
        assert sum(each in words for each in said) >= 28, said


def test_all_that_gates_must_be_decided() -> None:
    quiet, loud = [0.0, 0.001, -0.001, 0.0], [0.2, -0.2, 0.1, -0.1]
    assert paired.look({"p50": quiet}, ["p50"], 1.02, 1).decided
    assert not paired.look({"p50": quiet, "load": loud}, ["p50", "load"], 1.02, 1).decided
    assert paired.look({"p50": quiet, "load": loud}, ["p50"], 1.02, 1).decided
    assert not paired.look({"p50": quiet, "p99": []}, ["p50", "p99"], 1.02, 1).decided, "one that is unknown"


def test_the_noise_floor_is_what_equals_can_be_told_from() -> None:
    rng = np.random.default_rng(4)
    floors = [paired.floor(list(rng.normal(0, 0.01, 8)), 32) for _ in range(200)]
    # 2 t(19 degrees, 99.7 %) 0.01 / sqrt(32): six of 32 are left out at either end.
    assert np.median(floors) == pytest.approx(2 * 3.06 * 0.01 / math.sqrt(32), rel=0.1)
    few = list(rng.normal(0, 0.01, 4))
    assert paired.floor(few, 8) > paired.floor(few, 64)
    assert paired.floor(few, 8, doubt=0.05) < paired.floor(few, 8)
