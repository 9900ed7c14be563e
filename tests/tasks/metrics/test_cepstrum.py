"""Mel-cepstral distortion, and the warping under it against a table filled cell by cell."""

from __future__ import annotations

import numpy as np
import pytest

from edgesft.tasks.metrics.cepstrum import distortion, warped


def slowly(costs: np.ndarray) -> float:
    """The same sum by the recursion itself."""
    rows, columns = costs.shape
    sums = np.full((rows + 1, columns + 1), np.inf)
    sums[0, 0] = 0
    for row in range(rows):
        for column in range(columns):
            before = min(sums[row, column], sums[row, column + 1], sums[row + 1, column])
            sums[row + 1, column + 1] = costs[row, column] + before
    return float(sums[-1, -1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (6, 1), (4, 9), (9, 4), (17, 17)])
def test_the_cheapest_way(shape: tuple[int, int]) -> None:
    costs = np.random.default_rng(0).random(shape)
    total, pairs = warped(costs)
    assert total == pytest.approx(slowly(costs))
    assert max(shape) <= pairs < sum(shape)


def test_an_answer_without_frames_is_silence() -> None:
    mel = np.random.default_rng(0).normal(0, 3, (12, 40))
    assert distortion(np.zeros((0, 40)), mel) == pytest.approx(distortion(np.full((3, 40), -9.0), mel))


def test_a_sound_and_itself_slower_are_alike() -> None:
    mel = np.random.default_rng(0).normal(0, 3, (12, 40)).astype(np.float32)
    assert distortion(mel, mel) == pytest.approx(0, abs=1e-3)
    assert distortion(np.repeat(mel, 2, axis=0), mel) == pytest.approx(0, abs=1e-3)


def test_loudness_does_not_count_and_a_tilt_does_in_decibels() -> None:
    """A difference that is one cosine of amplitude a has a root mean square of a / sqrt(2)."""
    mel = np.random.default_rng(0).normal(0, 3, (5, 40))
    assert distortion(mel + 2, mel) == pytest.approx(0, abs=1e-3)
    wave = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    decibels = 10 / np.log(10) * 0.5 / np.sqrt(2)
    assert distortion(mel[:1] + 0.5 * wave, mel[:1]) == pytest.approx(decibels, rel=1e-6)
