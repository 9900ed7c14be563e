"""What all ways of generating pictures have in common: what is read of a row, and where chance comes from."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgesft.spec.generation import GenerationSpec
from edgesft.tasks.base import Batch, Example, Run
from edgesft.tasks.media import INPUT
from edgesft.tasks.pictures import Pictures

PIXELS, SEED, LABEL = "pixels", "seed", "label"
"""Of an example: its picture in whole numbers, where all that is drawn for it comes from, and the index of its class
where the model is told it."""

LABELS = "labels"

GENERATION, SHAPE = "generation", "shape"
"""Options of the contract: how pictures are made, and the shape of one: [channels, height, width]."""

LEARNING, START = range(2)
"""What a row's chance is for: what training and its metric draw, and what a picture is made of."""


class Generator(Pictures, ABC):
    """A processor: what a model learns of a picture, and how it makes pictures."""

    metric: ClassVar[str]
    """In decibels: 1 over the mean squared error."""
    answer: ClassVar[str]
    """Output that training is about, of the shape of pictures."""
    outputs: ClassVar[tuple[str, ...]]
    """Of the graph."""
    inputs: ClassVar[tuple[tuple[str, ...], ...]]
    """What `model.inputs` may be."""
    free: ClassVar[Mapping[str, str]] = {}
    """Input of the graph → name of its first axis, where that is not the batch's."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__({**options, INPUT: PIXELS})
        self.generation = GenerationSpec(**options[GENERATION])
        self.shape: tuple[int, ...] = tuple(options[SHAPE])

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes nothing: a device reads no picture, and how one is made the contract has."""

    @property
    @abstractmethod
    def start(self) -> tuple[int, ...]:
        """Shape of what one picture is made of."""

    @property
    @abstractmethod
    def inferences(self) -> int:
        """That a picture takes."""

    @abstractmethod
    def batch(self, examples: Sequence[Example]) -> Batch:
        """What the model learns from, under `labels` what it should say; what is drawn follows from the seeds."""

    @abstractmethod
    def asked(self, batch: Batch) -> Batch:
        """What the graph is fed of such a batch."""

    def sample(self, examples: Sequence[Example]) -> Batch:
        """What the graph is fed to go through all of it."""
        return self.asked(self.batch(examples))

    @abstractmethod
    def requests(self, example: Example) -> Batch:
        """What the device sends when it makes a picture."""

    @abstractmethod
    def error(self, outputs: Mapping[str, np.ndarray], batch: Batch) -> np.ndarray:
        """Mean squared error of the answers to such a batch, float64 of shape [rows]."""

    @abstractmethod
    def made(self, run: Run, starts: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Pictures as they are fed, float32 of shape [rows, channels, height, width].

        Args:
            run: One inference.
            starts: What they are made of, shape [rows, *start].
            labels: Index of each one's class, where the model is told it.
        """

    @abstractmethod
    def decoding(self) -> dict[str, Any]:
        """How device code makes a picture."""

    @staticmethod
    def example(kept: np.ndarray, label: int | None = None) -> Example:
        """Of what is kept of a picture: the same one has the same chance, whatever rows there are beside it."""
        found = {PIXELS: kept, SEED: np.asarray(zlib.crc32(kept.tobytes()), np.int64)}
        return found if label is None else {**found, LABEL: np.asarray(label, np.int64)}

    def pictures(self, examples: Sequence[Example]) -> np.ndarray:
        """As they are fed."""
        return self.fed(np.stack([example[PIXELS] for example in examples]))

    def starts(self, seeds: Sequence[Any]) -> np.ndarray:
        """Standard normal numbers that pictures are made of, one for each seed, float32 of shape [seeds, *start]."""
        drawn = [np.random.default_rng([START, *np.atleast_1d(seed)]) for seed in seeds]
        return np.stack([rng.standard_normal(self.start, np.float32) for rng in drawn])

    @staticmethod
    def chance(example: Example) -> np.random.Generator:
        """Where what is drawn for an example in training comes from."""
        return np.random.default_rng([LEARNING, int(example[SEED])])

    @staticmethod
    def told(examples: Sequence[Example]) -> Batch:
        """The classes, where examples have them."""
        return {LABEL: np.stack([example[LABEL] for example in examples])} if LABEL in examples[0] else {}

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and greatest value of pixels as they are fed."""
        ends = self.again(np.asarray([0.0, 255.0], np.float32).reshape(2, 1, 1, 1))
        return float(ends.min()), float(ends.max())

    @property
    def scale(self) -> dict[str, Any]:
        """How whole numbers from 0 to 255 are made of what comes out."""
        return {"colour": self.spec.colour, "scale": self.spec.scale, "mean": self.spec.mean, "std": self.spec.std}

    def drawn(self, fed: np.ndarray) -> np.ndarray:
        """Whole numbers of what comes out, uint8 of shape [rows, height, width, channels]."""
        return self.shown(fed).round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def squared(apart: np.ndarray) -> np.ndarray:
    """Mean square of each row, float64."""
    found: np.ndarray = np.square(apart, dtype=np.float64).reshape(len(apart), -1).mean(axis=1)
    return found
