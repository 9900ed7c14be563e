"""Image classification: one label for one picture."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.augmentation import distortion
from edgesft.tasks.base import Batch
from edgesft.tasks.classes import LABELS
from edgesft.tasks.media import MediaClasses
from edgesft.tasks.pictures import Pictures, PictureTask

GEOMETRY = frozenset(("flip", "shift", "crop", "mixup", "cutmix", "colour", "erasing"))


class ImageClassification(PictureTask, MediaClasses):
    """One label for one picture, by a transformers model or the user's own module.

    A row has `image`, a path, and `label`.
    """

    name: ClassVar[str] = "image-classification"
    roles: tuple[str, ...] = ("image", "label")
    training: frozenset[str] = GEOMETRY | {"class_weights"}
    kind: ClassVar[str] = "image-classification"
    heads: ClassVar[str] = "MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES"
    advice: ClassVar[str] = "a mobilenet_v1, mobilenet_v2, resnet, efficientnet, convnext or vit"

    def augment(
        self,
        batch: Batch,
        processor: Pictures,
        settings: ResolvedTraining,
        rng: np.random.Generator,
        neighbours: np.ndarray | None = None,
    ) -> Batch:
        """Pictures mirrored, moved, cut, of other colours, with another one's parts, without some of their own."""
        found = dict(batch)
        pixels = found[processor.input]
        if isinstance(settings.flip, float) and settings.flip:
            pixels = distortion.mirrored(pixels, settings.flip, rng)
        if isinstance(settings.shift, tuple):
            pixels = distortion.moved(pixels, settings.shift, rng)
        if settings.crop:
            pixels = distortion.cropped(pixels, settings.crop, rng)
        if settings.colour:
            pixels = processor.coloured(pixels, settings.colour, rng)
        found[processor.input] = np.ascontiguousarray(pixels)
        mixup = settings.mixup if isinstance(settings.mixup, float) else 0.0
        # One or the other: of both at once no part would be the larger.
        if settings.cutmix and not (mixup and rng.random() < 0.5):
            found[processor.input] = distortion.pasted(found[processor.input], settings.cutmix, rng)
        elif mixup:
            found = distortion.mixed(found, mixup, rng, LABELS)
        if settings.erasing:
            found[processor.input] = distortion.erased(found[processor.input], settings.erasing, rng)
        return found
