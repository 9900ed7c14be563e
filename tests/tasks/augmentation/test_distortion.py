"""Noise for arrays: what moves where, how much of it, and what it leaves alone."""

from __future__ import annotations

import numpy as np

from edgesft.tasks.augmentation import distortion

RNG = np.random.default_rng


def ramp(count: int, height: int = 10, width: int = 20) -> np.ndarray:
    """Each pixel says where it is."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([np.stack([rows, columns])] * count)


def test_a_cut_is_a_part_that_is_stretched() -> None:
    found = distortion.cropped(ramp(64), 0.5, RNG(0))
    assert found.dtype == np.float32
    steps = np.diff(found[:, 1, 0], axis=1)[:, 5:-5]
    assert (steps.std(axis=1) < 1e-3).all(), "columns stay evenly spaced"
    assert 0.49 < steps.mean(1).min() < 0.6 and 0.9 < steps.mean(1).max() < 1.01
    assert (found[:, 1] <= 19).all() and (found[:, 0] <= 9).all() and (found >= 0).all()
    assert (distortion.cropped(ramp(4), 0.0, RNG(0)) == ramp(4)).all()


def test_another_ones_pixels_fill_less_than_half() -> None:
    values = np.arange(64, dtype=np.float32).reshape(64, 1, 1, 1) * np.ones((1, 2, 10, 20), np.float32)
    found = distortion.pasted(values, 0.5, RNG(0))
    other = (found != values).mean((1, 2, 3))
    assert 0 < other.max() <= 0.55 and other.min() == 0
    assert all(len(np.unique(row)) <= 2 for row in found)
    assert (found[:, 0] == found[:, 1]).all(), "all channels alike"


def test_erased_rectangles_hold_the_mean() -> None:
    values = RNG(1).random((64, 3, 16, 16), np.float32)
    found = distortion.erased(values, 0.5, RNG(0))
    changed = found != values
    rows = changed.any((1, 2, 3))
    assert 16 < rows.sum() < 48
    for new, old, where in zip(found[rows], values[rows], changed[rows], strict=True):
        assert np.allclose(new[0][where[0]], old[0].mean())
        assert where[0].sum() <= 0.45 * 256


def test_colours_vary_and_stay_pixels() -> None:
    pixels = RNG(0).uniform(0, 255, (64, 3, 4, 4)).astype(np.float32)
    found = distortion.coloured(pixels, 0.4, RNG(0), distortion.LUMA)
    assert found.dtype == np.float32 and found.min() >= 0 and found.max() <= 255
    ratio = found.mean((1, 2, 3)) / pixels.mean((1, 2, 3))
    assert ratio.min() > 0.5 and ratio.max() < 1.5 and ratio.std() > 0.05
    grey = np.full((8, 3, 4, 4), 100, np.float32)
    told = distortion.coloured(grey, 0.4, RNG(0), distortion.LUMA)
    assert np.allclose(told, told[:, :1, :1, :1], atol=1e-3), "a grey picture stays grey"
