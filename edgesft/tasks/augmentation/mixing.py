"""Clean sounds and noise: mixed as rows say when they are read, and anew in training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgesft.data.media import audio, medium
from edgesft.errors import InputError
from edgesft.tasks.base import Example, Row
from edgesft.tasks.streaming import LABELS, SAMPLES

SILENT = 1e-12
"""Power below which nothing is heard."""


def wrong(row: Row) -> str | None:
    """What is wrong with a row that should be a pair."""
    if ("noisy" in row) == ("noise" in row):
        return f"must have noisy or noise beside clean, got {', '.join(row)}"
    if "noise" not in row:
        return None
    if "snr" not in row:
        return "noise must have an snr beside it"
    for name in ("snr", "offset"):
        try:
            number = float(row.get(name, 0))
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or (name == "offset" and number < 0):
            return f"{name} must be a number{' of seconds' if name == 'offset' else ''}, got {row[name]!r}"
    return None


class Mixer:
    """Reads pairs, each file once for each rate."""

    def __init__(self, rate: int) -> None:
        """Takes the rate of what is read."""
        self._rate = rate
        self._decoded: dict[str, tuple[np.ndarray, int]] = {}

    def pair(self, row: Row) -> tuple[np.ndarray, np.ndarray]:
        """The noisy and the clean samples of a row, float32 of one length.

        A mixture is made at the lower of both rates, as it would be heard where the speech was: noise in bands in which
        there is no speech would be easily told from it.

        Raises:
            InputError: A file cannot be read, or noisy and clean are of two lengths.
        """
        clean, rate = self._read(row["clean"])
        if "noisy" in row:
            noisy, other = self._read(row["noisy"])
            pair = [self._at(noisy, other), self._at(clean, rate)]
            if len(pair[0]) != len(pair[1]):
                seconds = " and ".join(f"{len(each) / self._rate:g} s" for each in pair)
                message = f"'{row['noisy']}': must be as long as its clean sound, got {seconds}"
                raise InputError(message, "cut them alike")
        else:
            noise, other = self._read(row["noise"], keep=True)
            common = min(rate, other)
            clean = audio.resampled(clean, rate, common)
            start = round(float(row.get("offset", 0)) * common)
            part = looped(audio.resampled(noise, other, common), start, len(clean))
            pair = [self._at(each, common) for each in (clean + scaled(part, clean, float(row["snr"])), clean)]
        return pair[0].astype(np.float32), pair[1].astype(np.float32)

    def _at(self, samples: np.ndarray, rate: int) -> np.ndarray:
        return audio.resampled(samples, rate, self._rate)

    def _read(self, file: Any, *, keep: bool = False) -> tuple[np.ndarray, int]:
        """Samples, channels averaged, and their rate; that of an array is the model's."""
        if isinstance(file, str) and file in self._decoded:
            return self._decoded[file]
        try:
            source = medium.source(file)
            found, rate = (source[:, None], self._rate) if isinstance(source, np.ndarray) else audio.decode(source)
        except Exception as error:  # Readers raise whatever a damaged file leads them to.
            raise medium.refused(file, error) from error
        read = found.astype(np.float64).mean(axis=1), rate
        if keep and isinstance(file, str):
            self._decoded[file] = read
        return read


def looped(noise: np.ndarray, start: int, count: int) -> np.ndarray:
    """So many samples of a noise, which begins anew at its end."""
    return np.take(noise, np.arange(start, start + count), mode="wrap")


def scaled(noise: np.ndarray, clean: np.ndarray, snr: float) -> np.ndarray:
    """Noise so loud that the clean sound's power is so many decibels above its own; silence stays silent."""
    powers = [float(np.square(each, dtype=np.float64).mean()) for each in (clean, noise)]
    if powers[1] < SILENT:
        return noise
    found: np.ndarray = noise * math.sqrt(powers[0] / powers[1] / 10 ** (snr / 10))
    return found


def remixed(examples: Sequence[Example], snr: tuple[float, ...], rng: np.random.Generator) -> list[Example]:
    """Each clean sound in the noise of any of the sounds, from anywhere in it, at any ratio between two.

    Args:
        examples: Pairs; what they differ by is noise.
        snr: Least and greatest ratio in decibels.
        rng: Where the chance comes from.
    """
    found = []
    least, greatest = snr
    for example in examples:
        clean = example[LABELS]
        other = examples[int(rng.integers(len(examples)))]
        noise = looped(other[SAMPLES] - other[LABELS], int(rng.integers(len(other[SAMPLES]))), len(clean))
        noisy = clean + scaled(noise, clean, rng.uniform(least, greatest))
        found.append({**example, SAMPLES: noisy.astype(np.float32)})
    return found


def piece(example: Example, most: int, rng: np.random.Generator) -> Example:
    """So many samples of a pair that is longer, from anywhere in it."""
    lacking = len(example[SAMPLES]) - most
    if lacking <= 0:
        return example
    start = int(rng.integers(lacking, endpoint=True))
    return {**example, **{name: example[name][start : start + most] for name in (SAMPLES, LABELS)}}


def stacked(sounds: Sequence[np.ndarray], length: int) -> np.ndarray:
    """Sounds with silence behind their ends, shape [sounds, length]."""
    return np.stack([np.pad(sound, (0, length - len(sound))) for sound in sounds])
