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

KEPT = 2**26
"""Samples of noise in memory: 512 MiB, more than an hour at 16 kHz."""


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
    """Reads pairs; noises that were read last stay in memory, for many rows take theirs from one long recording."""

    def __init__(self, rate: int) -> None:
        """Takes the rate of what is read."""
        self._rate = rate
        self._noises: dict[tuple[str, int], tuple[np.ndarray, int]] = {}
        """File and rate of the speech → `_noise`, what was read last behind."""
        self._held = 0

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
            noise, common = self._noise(row["noise"], rate)
            clean = audio.resampled(clean, rate, common)
            start = round(float(row.get("offset", 0)) * common)
            part = looped(noise, start, len(clean))
            pair = [self._at(each, common) for each in (clean + scaled(part, clean, float(row["snr"])), clean)]
        return pair[0].astype(np.float32), pair[1].astype(np.float32)

    def _at(self, samples: np.ndarray, rate: int) -> np.ndarray:
        return audio.resampled(samples, rate, self._rate)

    def _noise(self, file: Any, rate: int) -> tuple[np.ndarray, int]:
        """A noise at a rate, or at its own where that is lower; and which of both that is."""
        if isinstance(file, str) and (file, rate) in self._noises:
            self._noises[file, rate] = found = self._noises.pop((file, rate))
            return found
        noise, other = self._read(file)
        found = audio.resampled(noise, other, min(rate, other)), min(rate, other)
        if isinstance(file, str):
            self._noises[file, rate] = found
            self._held += len(found[0])
            while self._held > KEPT:
                self._held -= len(self._noises.pop(next(iter(self._noises)))[0])
        return found

    def _read(self, file: Any) -> tuple[np.ndarray, int]:
        """Samples, channels averaged, and their rate; that of an array is the model's."""
        try:
            source = medium.source(file)
            found, rate = (source[:, None], self._rate) if isinstance(source, np.ndarray) else audio.decode(source)
        except Exception as error:  # Readers raise whatever a damaged file leads them to.
            raise medium.refused(file, error) from error
        return found.astype(np.float64).mean(axis=1), rate


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
