"""Diffusion: pictures drown in noise step by step, and a model that learned to say what is noise goes the way back.

Training is that of Ho et al. 2020 (Denoising Diffusion Probabilistic Models, arXiv 2006.11239), sampling that of Song
et al. 2021 (Denoising Diffusion Implicit Models, arXiv 2010.02502) without chance on the way (η = 0). The exported
graph takes one step: a noisy picture, the step `time` that it is at, and the earlier step `next` that it shall be at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from edgesft.tasks.base import Batch, Example, Run
from edgesft.tasks.generators.generator import LABEL, LABELS, Generator, squared

NOISY, TIME, NEXT = "noisy", "time", "next"
DENOISED, PREDICTION = "denoised", "prediction"

LINEAR = (1e-4, 0.02)
"""First and last β of 1000 steps: Ho et al., section 4."""

OFFSET, MOST = 0.008, 0.999
"""Of the cosine schedule, and the largest β: Nichol and Dhariwal 2021, arXiv 2102.09672, section 3.2."""


class Schedule:
    """How much of a picture, and how much noise, there is at each step; step 0 is the picture itself.

    Attributes:
        trained: Steps.
        signal: Factor of the picture, float64 of shape [trained + 1].
        noise: Factor of the noise; the squares of both add up to 1.
    """

    def __init__(self, kind: str, trained: int) -> None:
        self.trained = trained
        betas = _cosine(trained) if kind == "cosine" else np.linspace(*LINEAR, trained) * (1000 / trained)
        kept = np.cumprod(1 - np.minimum(betas, MOST))
        self.signal = np.sqrt(np.concatenate([[1.0], kept]))
        self.noise = np.sqrt(np.concatenate([[0.0], 1 - kept]))

    def way(self, steps: int) -> list[tuple[int, int]]:
        """The steps of a picture, each with the one that follows it, from noise down to 0.

        The first is the last one trained: where it is left out, pictures have a brightness that noise lacks (Lin et al.
        2023, arXiv 2305.08891).
        """
        times = np.linspace(self.trained, 0, steps + 1).round().astype(int).tolist()
        return list(pairwise(times))


def _cosine(trained: int) -> np.ndarray:
    share = (np.arange(trained + 1) / trained + OFFSET) / (1 + OFFSET)
    kept = np.cos(share * np.pi / 2) ** 2
    found: np.ndarray = 1 - kept[1:] / kept[:-1]
    return found


class Noising(Generator):
    """Noisy pictures to learn from; pictures out of noise."""

    metric: ClassVar[str] = "denoising_snr"
    answer: ClassVar[str] = PREDICTION
    outputs: ClassVar[tuple[str, ...]] = (DENOISED, PREDICTION)
    inputs: ClassVar[tuple[tuple[str, ...], ...]] = ((NOISY, TIME), (NOISY, TIME, LABEL))

    @cached_property
    def schedule(self) -> Schedule:
        """How the noise grows."""
        return Schedule(self.generation.schedule, self.generation.trained)

    @property
    def inferences(self) -> int:
        """The steps of a picture."""
        return self.generation.steps

    def batch(self, examples: Sequence[Example]) -> Batch:
        """Each picture at a step that its seed draws, with that much noise; to be said is the noise, or v, which is the
        noise by its share of the picture less the picture by its share of the noise (Salimans and Ho 2022, arXiv
        2202.00512, section 4).
        """
        pixels = self.pictures(examples)
        drawn = [self.chance(example) for example in examples]
        times = np.asarray([rng.integers(1, self.schedule.trained + 1) for rng in drawn], np.int64)
        noise = np.stack([rng.standard_normal(self.shape, np.float32) for rng in drawn])
        signal, level = (_column(factors[times]) for factors in (self.schedule.signal, self.schedule.noise))
        wanted = noise if self.generation.predicts == "noise" else signal * noise - level * pixels
        return {NOISY: signal * pixels + level * noise, TIME: times, **self.told(examples), LABELS: wanted}

    def asked(self, batch: Batch) -> Batch:
        """One step down each."""
        told = {name: batch[name] for name in (NOISY, TIME, NEXT, LABEL) if name in batch}
        return {NOISY: told.pop(NOISY), TIME: told.pop(TIME), NEXT: batch[TIME] - 1, **told}

    def requests(self, example: Example) -> Batch:
        """A step of the way, from the row at the step that its seed draws."""
        return self.asked(self.batch([example]))

    def made(self, run: Run, starts: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Pictures as they are fed, of noise of the same shape."""
        pictures, rows = starts, len(starts)
        told = {} if labels is None else {LABEL: labels}
        for time, after in self.schedule.way(self.generation.steps):
            step = {TIME: np.full(rows, time, np.int64), NEXT: np.full(rows, after, np.int64)}
            pictures = run({NOISY: pictures, **step, **told})[DENOISED]
        return pictures

    def error(self, outputs: Mapping[str, np.ndarray], batch: Batch) -> np.ndarray:
        """Mean squared error of what is said, one a row."""
        return squared(outputs[PREDICTION] - batch[LABELS])

    @property
    def start(self) -> tuple[int, ...]:
        """A picture's."""
        return self.shape

    def decoding(self) -> dict[str, Any]:
        """A step at a time, from noise."""
        return {
            "kind": "diffusion",
            "input": NOISY,
            "output": DENOISED,
            "time": TIME,
            "next": NEXT,
            "times": [time for time, _ in self.schedule.way(self.generation.steps)],
            "shape": list(self.shape),
            **self.scale,
        }


def _column(factors: np.ndarray) -> np.ndarray:
    return factors.astype(np.float32).reshape(-1, 1, 1, 1)
