"""How good a sound is that should be another one: scale-invariant ratio of signal to distortion, intelligibility."""

from __future__ import annotations

import functools

import numpy as np

from edgesft.data.media.audio import resampled

MOST = 100.0
"""Decibels above which nothing is told apart, nor below as many less than 0: what rounding to 32 bits leaves lies at
some 140."""

RATE, WINDOW, FFT, BANDS, LOWEST = 10_000, 256, 512, 15, 150.0
SEGMENT, RANGE, LEAST = 30, 40.0, -15.0
"""STOI's rate, frames and third-octave bands; frames of a segment, decibels below the loudest frame at which a frame is
silent, and the least ratio of signal to distortion that counts (Taal et al. 2011, table I and section II)."""

EPS = float(np.finfo(np.float64).eps)


def si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in decibels (Le Roux et al. 2019, arXiv 1811.02508, equation 5).

    It lies between -100 and 100; that of silence, of which the equation says nothing, is the least.

    Args:
        estimate: Shape [samples].
        target: The same; not silent.
    """
    if not estimate.any():
        return -MOST
    estimate, target = estimate.astype(np.float64), target.astype(np.float64)
    scaled = (estimate @ target) / max(target @ target, EPS) * target
    wanted, rest = scaled @ scaled, (estimate - scaled) @ (estimate - scaled)
    least = max(wanted, rest, EPS) * 10 ** (-MOST / 10)
    return float(10 * np.log10(max(wanted, least) / max(rest, least)))


def stoi(estimate: np.ndarray, target: np.ndarray, rate: int) -> float:
    """Short-time objective intelligibility (Taal et al. 2011, IEEE TASLP 19:7), below 1.

    A sound that has fewer frames with speech than the paper's segments of 384 ms have, which the paper leaves open, is
    one segment.

    Args:
        estimate: Shape [samples].
        target: The same; not silent.
        rate: Samples a second.
    """
    pair = np.stack([resampled(each.astype(np.float64), rate, RATE) for each in (target, estimate)])
    pair = np.pad(pair, ((0, 0), (0, max(0, 2 * WINDOW + 1 - pair.shape[1]))))
    frames = _framed(pair)
    loudness = 20 * np.log10(np.linalg.norm(frames[0], axis=-1) + EPS)
    heard = frames[:, loudness > loudness.max() - RANGE]
    spectra = np.fft.rfft(_framed(_added(heard)), FFT)
    if not spectra.shape[1]:
        return 0.0
    levels = np.sqrt(np.abs(spectra) ** 2 @ _bands().T)
    width = min(SEGMENT, levels.shape[1])
    # Shape [segments, bands, frames].
    x, y = (np.lib.stride_tricks.sliding_window_view(each, width, axis=0) for each in levels)
    y = y * (np.linalg.norm(x, axis=-1, keepdims=True) / (np.linalg.norm(y, axis=-1, keepdims=True) + EPS))
    y = np.minimum(y, x * (1 + 10 ** (-LEAST / 20)))
    return float((_normal(x) * _normal(y)).sum(-1).mean())


def _normal(segments: np.ndarray) -> np.ndarray:
    segments = segments - segments.mean(-1, keepdims=True)
    found: np.ndarray = segments / (np.linalg.norm(segments, axis=-1, keepdims=True) + EPS)
    return found


def _framed(pair: np.ndarray) -> np.ndarray:
    """Under a Hann window, every half of it, shape [2, frames, window]."""
    window = np.hanning(WINDOW + 2)[1:-1]
    count = max(0, -(-(pair.shape[1] - WINDOW) // (WINDOW // 2)))
    views = np.lib.stride_tricks.sliding_window_view(pair, WINDOW, axis=1)[:, :: WINDOW // 2]
    return views[:, :count] * window


def _added(frames: np.ndarray) -> np.ndarray:
    """Frames behind each other again, half over half, shape [2, samples]."""
    half = WINDOW // 2
    found = np.zeros((len(frames), (frames.shape[1] + 1) * half))
    found[:, :-half] += frames[..., :half].reshape(len(frames), -1)
    found[:, half:] += frames[..., half:].reshape(len(frames), -1)
    return found


@functools.cache
def _bands() -> np.ndarray:
    """Which points of a spectrum are in which third of an octave, shape [bands, points]."""
    points = np.arange(FFT // 2 + 1) * RATE / FFT
    edges = LOWEST * 2.0 ** ((2 * np.arange(BANDS)[:, None] + [-1, 1]) / 6)
    first, last = np.abs(points - edges[..., None]).argmin(-1).T
    number = np.arange(len(points))
    return ((number >= first[:, None]) & (number < last[:, None])).astype(np.float64)
