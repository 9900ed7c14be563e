"""How far a sound's spectrum is from that of another one that says the same at its own pace."""

from __future__ import annotations

import numpy as np

from edgesft.data.media.audio import cosines

COEFFICIENTS = 13
"""From the second on, for the first is loudness (MCD_13 of Skerry-Ryan et al. 2018, arXiv 1803.09047, appendix A)."""

DECIBELS = 10 / np.log(10)
"""Of a natural logarithm of power."""


def distortion(mel: np.ndarray, other: np.ndarray) -> float:
    """Mel-cepstral distortion in decibels (Kubichek 1993, "Mel-cepstral distance measure for objective speech quality
    assessment"), the mean over the frames that dynamic time warping pairs (Sakoe and Chiba 1978).

    By its definition it is the root mean square difference of two spectra that so many cepstral coefficients describe;
    here of mel bands, and their orthonormal cosine transform.

    Args:
        mel: Natural logarithms of power, shape [frames, bands]; without frames it is silence, whose spectrum is flat.
        other: The same of the other sound, of as many bands.
    """
    bands = mel.shape[1]
    mel = mel if len(mel) else np.zeros((1, bands))
    waves = cosines(bands, min(bands, 1 + COEFFICIENTS))[:, 1:]
    one, two = (each.astype(np.float64) @ waves for each in (mel, other))
    squares = np.square(one).sum(1)[:, None] + np.square(two).sum(1)[None] - 2 * one @ two.T
    costs = DECIBELS * np.sqrt(np.maximum(squares, 0) / bands)
    total, pairs = warped(costs)
    return total / pairs


def warped(costs: np.ndarray) -> tuple[float, int]:
    """Cost and length of the cheapest way through a table from its first corner to its last, by steps of one along
    either axis or both.

    Args:
        costs: Shape [rows, columns].
    """
    rows, columns = costs.shape
    # By diagonals, whose places follow from those of the two before: sums, and how many places the way has.
    sums, counts = np.full((3, rows + 1), np.inf), np.zeros((3, rows + 1), np.int64)
    for diagonal in range(rows + columns - 1):
        now, last, before = diagonal % 3, (diagonal - 1) % 3, (diagonal - 2) % 3
        row = np.arange(max(0, diagonal - columns + 1), min(rows, diagonal + 1))
        # Place r + 1 of a diagonal is row r, so that place 0 is none.
        ways = np.stack([sums[before, row], sums[last, row], sums[last, row + 1]])
        steps = np.stack([counts[before, row], counts[last, row], counts[last, row + 1]])
        if diagonal == 0:
            ways[0] = 0.0
        best = ways.argmin(0)[None]
        sums[now], counts[now] = np.inf, 0
        sums[now, row + 1] = np.take_along_axis(ways, best, 0)[0] + costs[row, diagonal - row]
        counts[now, row + 1] = np.take_along_axis(steps, best, 0)[0] + 1
    end = (rows + columns - 2) % 3
    return float(sums[end, rows]), int(counts[end, rows])
