"""Variational autoencoders: pictures become latents of a known distribution, and any latent becomes a picture.

Kingma and Welling 2014, Auto-Encoding Variational Bayes, arXiv 1312.6114. The exported graph is one for all there is to
do: it encodes the pictures that it is given, perhaps none, and decodes their latents and those given besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from edgesft.tasks.base import Batch, Example, Run
from edgesft.tasks.generators.generator import LABELS, PIXELS, SEED, Generator, squared

LATENT, CHANCE = "latent", "chance"
PICTURE, MEAN, LOG_VARIANCE = "picture", "mean", "log_variance"


class Coding(Generator):
    """Pictures to learn from, and latents."""

    metric: ClassVar[str] = "psnr"
    answer: ClassVar[str] = PICTURE
    outputs: ClassVar[tuple[str, ...]] = (PICTURE, MEAN)
    inputs: ClassVar[tuple[tuple[str, ...], ...]] = ((PIXELS,),)
    free: ClassVar[Mapping[str, str]] = {PIXELS: "pictures", LATENT: "latents"}

    @property
    def inferences(self) -> int:
        """One."""
        return 1

    @property
    def start(self) -> tuple[int, ...]:
        """A latent's."""
        return (self.generation.latent,)

    def batch(self, examples: Sequence[Example]) -> Batch:
        """The pictures, which are what should come out, and what is drawn of their latents' distributions."""
        pixels = self.pictures(examples)
        drawn = [self.chance(example).standard_normal(self.start, np.float32) for example in examples]
        return {PIXELS: pixels, CHANCE: np.stack(drawn), LABELS: pixels}

    def asked(self, batch: Batch) -> Batch:
        """The pictures, and no latent."""
        return {PIXELS: batch[PIXELS], LATENT: np.zeros((0, *self.start), np.float32)}

    def sample(self, examples: Sequence[Example]) -> Batch:
        """Pictures, and one latent more: torch.export would take axes of one size for one."""
        latents = self.starts(range(len(examples) + 1))
        return {PIXELS: self.pictures(examples), LATENT: latents}

    def requests(self, example: Example) -> Batch:
        """A latent that is drawn, and no picture."""
        return self._decoded(self.starts([example[SEED]]))

    def made(self, run: Run, starts: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
        """Pictures as they are fed, of latents."""
        return run(self._decoded(starts))[PICTURE]

    def error(self, outputs: Mapping[str, np.ndarray], batch: Batch) -> np.ndarray:
        """Mean squared error of what comes out, where black to white is 1, one a row."""
        return squared((self.shown(outputs[PICTURE]) - self.shown(batch[LABELS])) / 255)

    def _decoded(self, latents: np.ndarray) -> Batch:
        return {PIXELS: np.zeros((0, *self.shape), np.float32), LATENT: latents}

    def decoding(self) -> dict[str, Any]:
        """A latent, from normal numbers."""
        names = {"input": LATENT, "pictures": PIXELS, "output": PICTURE}
        return {"kind": "latent", **names, "shape": list(self.start), **self.scale}
