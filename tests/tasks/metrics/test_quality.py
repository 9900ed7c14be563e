"""Figures of sounds: by hand, and as others compute them."""

from __future__ import annotations

import numpy as np
import pytest

from edgesft.tasks.metrics.quality import si_sdr, stoi


def speech(count: int, seed: int = 0) -> np.ndarray:
    """Noise whose loudness goes up and down as that of syllables."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(count) * (1 + np.sin(np.arange(count) / 400)) ** 2


def test_si_sdr_is_the_ratio_of_what_is_orthogonal() -> None:
    target, noise = np.array([1.0, 0, 1, 0]), np.array([0, 0.1, 0, 0.1])
    assert si_sdr(target + noise, target) == pytest.approx(20)
    assert si_sdr(5 * (target + noise), target) == pytest.approx(20)
    assert si_sdr(target, target) == 100
    assert si_sdr(np.zeros(4), target) == si_sdr(noise, target) == -100
    assert np.isnan(si_sdr(np.full(4, np.nan), target))


def test_stoi_falls_with_noise() -> None:
    target = speech(16000)
    noise = 2 * np.random.default_rng(1).standard_normal(16000)
    found = [stoi(target + share * noise, target, 16000) for share in (0.0, 0.3, 1.0, 5.0)]
    assert found[0] == pytest.approx(1)
    assert found == sorted(found, reverse=True) and found[-1] < 0.6


def test_stoi_of_what_is_short_is_defined() -> None:
    target = speech(2000)
    assert 0 < stoi(target + 0.5 * speech(2000, 1), target, 16000) < 1
    assert stoi(np.ones(10), np.ones(10), 16000) <= 1


def test_stoi_is_pystoi_s() -> None:
    pystoi = pytest.importorskip("pystoi")
    target = np.concatenate([speech(9000), np.zeros(4000), speech(9000, 2)])
    estimate = target + 0.7 * speech(len(target), 1)
    assert stoi(estimate, target, 10_000) == pytest.approx(pystoi.stoi(target, estimate, 10_000), abs=1e-9)
    assert stoi(estimate, target, 16_000) == pytest.approx(pystoi.stoi(target, estimate, 16_000), abs=2e-3)


def test_stoi_is_what_pystoi_gave() -> None:
    """The same by pystoi 0.4.1 without the package, which brings scipy."""
    target = np.concatenate([speech(9000), np.zeros(4000), speech(9000, 2)])
    assert stoi(target + 0.7 * speech(len(target), 1), target, 10_000) == pytest.approx(0.8971877267, abs=1e-9)
