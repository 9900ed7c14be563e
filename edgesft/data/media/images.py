"""Pictures as rows' inputs."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.data.media.image import Reader
from edgesft.data.media.inspection import facts
from edgesft.data.media.medium import Inspection, Medium
from edgesft.errors import Problem, UnavailableError
from edgesft.spec.media import ImageSpec

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE, MODE = "size", "mode"

DRAWN_ON = "drawn_on"
"""Role of the height and width, in pixels, of the picture that a row's boxes were drawn on."""

WHOLE = {**ImageSpec().model_dump(), "layout": "NHWC", "dtype": "uint8", "scale": None}
"""Options of a reader that leaves the pixels as they are."""

MODES = {
    "RGB": "in colour",
    "L": "grey",
    "LA": "grey with transparency, which is dropped,",
    "RGBA": "of four channels, of which transparency is dropped,",
    "CMYK": "of four channels (CMYK)",
    "P": "of a palette",
    "1": "black and white",
}
"""Pillow's modes in words."""


class Images(Medium):
    """Pictures that Pillow opens."""

    role = "image"
    field = "image"
    suffixes = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff"))
    several = "pictures"
    library = "pillow"
    unlikeness = "have other sides than those that their boxes were drawn on"
    remedy = (
        "draw the boxes on the pictures as they are read, turned as their EXIF says, or correct width and height in "
        "the file of boxes"
    )

    def look(self, value: str | bytes | np.ndarray) -> dict[str, str]:
        """Its size, and Pillow's mode of its pixels."""
        reader = reader_of(WHOLE)
        if isinstance(value, np.ndarray) and (value.dtype != np.uint8 or value.ndim not in (2, 3)):
            raise OSError(
                f"must be whole numbers from 0 to 255 with two or three axes, got {value.dtype} {value.shape}"
            )
        try:
            with _opened(value) as image:
                mode = str(image.mode)
                height, width, _ = reader.pixels(image).shape
        except Exception as error:  # Pillow's plugins raise whatever a damaged file leads them to.
            raise OSError(str(error) or type(error).__name__) from error
        return {SIZE: f"{height}x{width}", MODE: mode}

    def unlike(self, row: Mapping[str, Any], found: Mapping[str, str]) -> str:
        """Where its boxes were drawn on another resolution of it, or before its EXIF turned it."""
        said, sides = row.get(DRAWN_ON), _sides(found)
        if said is None or said == sides:
            return ""
        if not isinstance(said, list) or len(said) != 2:
            return f"{DRAWN_ON} must be [height, width], got {said!r}"
        turned = ", as before its EXIF turns it" if said == sides[::-1] else ""
        return f"it is {_named(sides)}, its boxes were drawn on {_named(said)}{turned}"

    def findings(self, split: str, found: Inspection, options: Mapping[str, Any]) -> tuple[list[Problem], list[str]]:
        """Pictures of several sizes where nothing makes them alike; those of other channels than most."""
        problems, warnings = list[Problem](), list[str]()
        sizes = [value for kind, value in found.seen if kind == SIZE]
        if len(sizes) > 1 and not _sized(options):
            ordered = sorted(sizes, key=lambda size: [int(side) for side in size.split("x")])
            message = f"data.{split}: pictures must be of one size, got {len(sizes)} from {ordered[0]} to {ordered[-1]}"
            problems.append(Problem(message, "data.image.resize=[224, 224], or what the model reads"))
        modes = {value: count for (kind, value), count in found.seen.items() if kind == MODE}
        target = "L" if options.get("colour") == "L" else "RGB"
        for mode, count in sorted(modes.items()):
            if (mode != target and len(modes) > 1) or mode not in ("L", "RGB"):
                told = MODES.get(mode, f"in mode {mode}")
                warnings.append(f"data.{split}: {count} pictures are {told} and are read as {target}")
        return problems, warnings


def size_of(value: Any) -> tuple[int, int]:
    """Height and width of a row's picture.

    Raises:
        OSError: It cannot be read.
    """
    height, width = _sides(facts(Images(), value))
    return height, width


def reader_of(options: Mapping[str, Any]) -> Reader:
    """A reader.

    Raises:
        UnavailableError: Pillow is not installed.
    """
    try:
        return Reader(options)
    except RuntimeError as error:
        raise UnavailableError("pictures: reading them needs pillow", "pip install 'edgesft[image]'") from error


def _opened(value: str | bytes | np.ndarray) -> Image:
    """As Pillow has it, of a file only its header read yet."""
    from PIL import Image

    if isinstance(value, np.ndarray):
        return Image.fromarray(value)
    return Image.open(io.BytesIO(value) if isinstance(value, bytes) else value)


def _sides(found: Mapping[str, str]) -> list[int]:
    """Height and width."""
    return [int(side) for side in found[SIZE].split("x")]


def _named(sides: Sequence[Any]) -> str:
    height, width = sides
    return f"{width} wide and {height} high"


def _sized(options: Mapping[str, Any]) -> bool:
    """Whether what is read of any picture has the same size."""
    return options.get("crop") is not None or isinstance(options.get("resize"), tuple | list)
