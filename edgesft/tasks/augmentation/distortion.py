"""Noise for arrays of numbers: what training does to rows at random. Each takes a batch's array and gives another.

The last axes are those along which rows are looked at: height and width of pictures, time of series.
"""

from __future__ import annotations

import numpy as np

from edgesft.tasks.base import Batch

ERASED, SLIMMEST = (0.02, 0.4), 0.3
"""Least and largest share of a picture that is erased, and the slimmest rectangle, width by height or the other way
(Zhong et al. 2017, arXiv 1708.04896, section 4.2)."""

LUMA = (0.299, 0.587, 0.114)
"""What red, green and blue count for in a grey value (ITU-R BT.601, which Pillow has as well)."""


def mirrored(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Some of the rows mirrored along their last axis."""
    chosen = rng.random(len(values)) < share
    return np.where(_by_row(chosen, values), values[..., ::-1], values)


def moved(values: np.ndarray, shift: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Each row moved by up to these shares of its last axes; its edge follows it."""
    for back, share in enumerate(reversed(shift), 1):
        most = int(share * values.shape[-back]) if back < values.ndim else 0
        if most:
            places = np.arange(values.shape[-back]) - rng.integers(-most, most, len(values), endpoint=True)[:, None]
            values = _taken(values, places.clip(0, values.shape[-back] - 1), back)
    return values


def cropped(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Of each row a rectangle, from which up to a share of both axes was cut, stretched to the whole, bilinearly.

    Args:
        values: Float, shape [rows, …, height, width].
        share: Of either axis, below 1; what is left has the shape of the whole.
        rng: Where the chance comes from.
    """
    left = 1 - rng.uniform(0, share, len(values))
    for back in (1, 2):
        length = values.shape[-back]
        start = rng.uniform(0, 1, len(values)) * (1 - left) * length
        places = start[:, None] + (np.arange(length) + 0.5) * left[:, None] - 0.5
        places = places.clip(0, length - 1)
        low = np.floor(places).astype(np.int64)
        weight = (places - low).astype(values.dtype)
        axes = (len(values), *[1] * (values.ndim - 1 - back), -1, *[1] * (back - 1))
        above = _taken(values, np.minimum(low + 1, length - 1), back)
        below = _taken(values, low, back)
        values = below + weight.reshape(axes) * (above - below)
    return values


def mixed(batch: Batch, share: float, rng: np.random.Generator, labels: str) -> Batch:
    """Of fractions each row with up to a share of another one's (Zhang et al. 2017, arXiv 1710.09412).

    So are labels that are numbers; a class stays the larger part's.
    """
    count = len(batch[labels])
    shares, others = rng.uniform(0, share, count), rng.permutation(count)

    def mixture(values: np.ndarray) -> np.ndarray:
        weights = _by_row(shares, values).astype(values.dtype)
        return (1 - weights) * values + weights * values[others]

    return {name: mixture(values) if values.dtype.kind == "f" else values for name, values in batch.items()}


def pasted(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Each row with another one's pixels in a rectangle of its shape, of up to a share of its area (Yun et al. 2019,
    arXiv 1905.04899); a class stays the larger part's.
    """
    sides = np.sqrt(rng.uniform(0, share, len(values)))
    height, width = values.shape[-2:]
    boxes = _boxes(values, sides * height, sides * width, rng)
    return np.where(boxes, values[rng.permutation(len(values))], values)


def erased(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """A share of the rows with their mean in place of a rectangle (Zhong et al. 2017, arXiv 1708.04896)."""
    count, (height, width) = len(values), values.shape[-2:]
    area = rng.uniform(*ERASED, count) * height * width
    ratio = np.exp(rng.uniform(np.log(SLIMMEST), -np.log(SLIMMEST), count))
    boxes = _boxes(values, np.sqrt(area * ratio), np.sqrt(area / ratio), rng)
    chosen = _by_row(rng.random(count) < share, values)
    return np.where(boxes & chosen, values.mean((-2, -1), keepdims=True), values)


def coloured(pixels: np.ndarray, share: float, rng: np.random.Generator, luma: tuple[float, ...]) -> np.ndarray:
    """Pixels whose brightness, contrast and saturation are up to a share more or less, in this order.

    Args:
        pixels: From 0 to 255, float32 of shape [rows, channels, height, width].
        share: Below 1.
        rng: Where the chance comes from.
        luma: What each channel counts for in a grey value.
    """
    brightness, contrast, saturation = (
        _by_row(rng.uniform(1 - share, 1 + share, len(pixels)), pixels).astype(pixels.dtype) for _ in range(3)
    )
    weights = np.asarray(luma, pixels.dtype)[:, None, None]
    pixels = (pixels * brightness).clip(0, 255)
    mean = (pixels * weights).sum(1, keepdims=True).mean((2, 3), keepdims=True)
    pixels = (mean + contrast * (pixels - mean)).clip(0, 255)
    grey = (pixels * weights).sum(1, keepdims=True)
    return (grey + saturation * (pixels - grey)).clip(0, 255)


def _boxes(values: np.ndarray, heights: np.ndarray, widths: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of each row a rectangle with its centre anywhere, cut off at the edges; bool, to be broadcast to the rows."""
    inside: np.ndarray = np.ones((), bool)
    for back, lengths in ((2, heights), (1, widths)):
        whole = values.shape[-back]
        lengths = np.rint(lengths)
        start = np.rint(rng.uniform(0, whole, len(values)) - lengths / 2)
        places = np.arange(whole)
        within = (places >= start[:, None]) & (places < (start + lengths)[:, None])
        inside = inside & within.reshape(len(values), *[1] * (values.ndim - 1 - back), whole, *[1] * (back - 1))
    return inside


def _by_row(each: np.ndarray, values: np.ndarray) -> np.ndarray:
    return each.reshape(-1, *[1] * (values.ndim - 1))


def _taken(values: np.ndarray, places: np.ndarray, back: int) -> np.ndarray:
    """Of each row those places along an axis, counted from behind; all of them are within it."""
    place = values.ndim - back
    found = np.empty((*values.shape[:place], places.shape[1], *values.shape[place + 1 :]), values.dtype)
    for row, own in enumerate(places):
        np.take(values[row], own, axis=-back, out=found[row], mode="clip")
    return found


def delayed(samples: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Each row moved by up to a share of its length, either way; silence takes its place.

    Args:
        samples: Shape [rows, samples].
        share: Below 1.
        rng: Where the chance comes from.
    """
    length = samples.shape[1]
    most = int(share * length)
    places = np.arange(length) - rng.integers(-most, most, len(samples), endpoint=True)[:, None]
    inside = (places >= 0) & (places < length)
    return np.where(inside, _taken(samples, places.clip(0, length - 1), 1), samples.dtype.type(0))


def drowned(samples: np.ndarray, snr: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Each row with noise between white and pink (power as 1 / f), at a ratio to it drawn between two, in decibels.

    The row's power is that of where it is heard, not of the silence around: samples from a hundredth of the largest.

    Args:
        samples: Shape [rows, samples].
        snr: Least and greatest ratio.
        rng: Where the chance comes from.
    """
    count, length, (least, greatest) = len(samples), samples.shape[1], snr
    # Noise of any colour is drawn as its spectrum.
    spectrum = rng.standard_normal((count, length // 2 + 1, 2), np.float32).view(np.complex64)[..., 0]
    tilt = rng.uniform(0, 0.5, count).astype(np.float32)[:, None]
    spectrum *= np.exp(-tilt * np.log(np.maximum(np.arange(spectrum.shape[1], dtype=np.float32), 1)))
    noise = np.fft.irfft(spectrum, length)
    noise /= np.sqrt((noise**2).mean(1, keepdims=True))
    heard = np.abs(samples) >= 0.01 * np.abs(samples).max(1, keepdims=True)
    power = np.sum(samples.astype(np.float64) ** 2, 1, keepdims=True, where=heard)
    power /= np.maximum(heard.sum(1, keepdims=True), 1)
    level = np.sqrt(power / 10 ** (rng.uniform(least, greatest, count)[:, None] / 10))
    return (samples + level * noise).astype(samples.dtype)


def masked(values: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    """Each row with its mean in place of up to a share of its frames, and of its bands (SpecAugment, Park et al. 2019,
    arXiv 1904.08779).

    Args:
        values: Shape [rows, …, frames, bands].
        share: Of either axis, below 1.
        rng: Where the chance comes from.
    """
    count = len(values)
    hidden: np.ndarray = np.zeros((), bool)
    for back in (2, 1):
        whole = values.shape[-back]
        lengths = np.floor(rng.uniform(0, share, count) * (whole + 1))
        start = np.floor(rng.uniform(0, 1, count) * (whole - lengths + 1))
        places = np.arange(whole)
        within = (places >= start[:, None]) & (places < (start + lengths)[:, None])
        hidden = hidden | within.reshape(count, *[1] * (values.ndim - 1 - back), whole, *[1] * (back - 1))
    return np.where(hidden, values.mean((-2, -1), keepdims=True), values)
