"""What a model reads of a picture or a sound: in a recipe, in the contract, and as options of a pipeline."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from edgesft.spec.base import Spec

Resample = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
"""Pillow's filters in the order of their numbers (`PIL.Image.Resampling`), which preprocessor files hold."""

Side = Annotated[int, Field(ge=1, le=16384)]
Pair = tuple[Side, Side]
Numbers = float | tuple[float, ...]


class ImageSpec(Spec):
    """What is read of a picture, in the order in which it is done."""

    colour: Literal["RGB", "BGR", "L"] = "RGB"
    """Channels as they are fed."""
    resize: Side | Pair | None = None
    """[height, width] to stretch to, or the length of the shorter side."""
    resample: Resample = "bilinear"
    """Pillow's filter."""
    crop: Pair | None = None
    """[height, width] of the centre that is kept."""
    scale: float | None = 1 / 255
    """Factor of the pixels, which are 0 to 255."""
    mean: Numbers | None = None
    """Taken off after scaling; one number, or one a channel."""
    std: Numbers | None = None
    """Divided by after that."""
