"""Images, in training and end to end: a file → pixels → the model → its class. Also runs in the agent's process on a
device: imports nothing of edgesft.

The same numbers as transformers' PIL image processors give for a file: decoded by Pillow, turned as its EXIF says,
converted (transparency is dropped; of 16 bits the upper 8 are taken), resized and cut as 8-bit pixels, scaled in
float64, normalised in float32. Boxes are not decoded: where the outputs are not class scores, the answer is their
shapes.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

PROBABILITIES_WITHIN = 1e-3
"""Scores that are not negative and sum to one within this are probabilities already; float16 rounds to about this."""


class Reader:
    """What a model reads of a picture, in two steps: `pixels`, whole numbers that are worth keeping, and `feed`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Takes the settings.

        Args:
            options: `resize` ([height, width], or the length of the shorter side, or None), then `crop` ([height,
                width] of the centre, or None); `resample` (Pillow's name in lower case); `scale`, `mean` and `std` (one
                number or one a channel, in the order in which they are fed), each None where not applied; `colour`
                RGB, BGR or L; `layout` NCHW or NHWC; `dtype`, numpy's name.

        Raises:
            RuntimeError: This interpreter lacks Pillow.
        """
        try:
            from PIL import Image, ImageOps
        except ImportError as error:
            raise RuntimeError(
                f"the image pipeline needs the package pillow, which {sys.executable} cannot import ({error}). "
                f"Try: {sys.executable} -m pip install pillow"
            ) from error
        self._image, self._turn = Image, ImageOps.exif_transpose
        self._filter = Image.Resampling[options["resample"].upper()]
        self._resize, self._crop, self._colour = options["resize"], options["crop"], options["colour"]
        self._scale, self._mean, self._std = options["scale"], _numbers(options["mean"]), _numbers(options["std"])
        self._layout, self._dtype = options["layout"], np.dtype(options["dtype"])

    def pixels(self, source: str | bytes | np.ndarray) -> np.ndarray:
        """Decoded, converted, resized and cut.

        Args:
            source: A path; what a file holds; or pixels, uint8 of shape [height, width] or [height, width, channels].

        Returns:
            uint8 of shape [height, width, channels].

        Raises:
            OSError: It is no whole picture; so do ValueError, SyntaxError and Pillow's DecompressionBombError say.
        """
        picture = self._converted(source)
        if self._resize is not None:
            height, width = _target(picture.height, picture.width, self._resize)
            picture = picture.resize((width, height), self._filter)
        if self._crop is not None:
            top, left = (picture.height - self._crop[0]) // 2, (picture.width - self._crop[1]) // 2
            # What lies outside of the picture becomes black.
            picture = picture.crop((left, top, left + self._crop[1], top + self._crop[0]))
        pixels = np.asarray(picture)
        if self._colour == "L":
            return pixels[..., np.newaxis]
        return pixels[..., ::-1] if self._colour == "BGR" else pixels

    def feed(self, pixels: np.ndarray) -> np.ndarray:
        """The model's feed.

        Args:
            pixels: uint8 of shape [..., height, width, channels].

        Returns:
            Contiguous, of shape [..., channels, height, width] or as the pixels, in the options' type.
        """
        found = self._typed(self._scaled(pixels))
        return np.ascontiguousarray(np.moveaxis(found, -1, -3) if self._layout == "NCHW" else found)

    def _converted(self, source: str | bytes | np.ndarray) -> Any:
        mode = "L" if self._colour == "L" else "RGB"
        if isinstance(source, np.ndarray):
            return self._image.fromarray(source).convert(mode)
        with self._image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            self._turn(image, in_place=True)
            if image.mode.startswith("I;16"):
                # Pillow would take every value above 255 for white.
                return self._image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(mode)
            return image.convert(mode)

    def _scaled(self, pixels: np.ndarray) -> np.ndarray:
        if self._scale is not None:
            pixels = (pixels.astype(np.float64) * self._scale).astype(np.float32)
        if self._mean is not None:
            pixels = pixels - self._mean
        return pixels if self._std is None else pixels / self._std

    def _typed(self, pixels: np.ndarray) -> np.ndarray:
        if self._dtype.kind in "iu" and pixels.dtype != self._dtype:
            limits = np.iinfo(self._dtype)
            pixels = np.clip(np.rint(pixels), limits.min, limits.max)
        return pixels.astype(self._dtype, copy=False)


class Pipeline:
    """`{"image": path}` → pixels with a batch axis of 1; class scores → `{"label": …, "score": …}`.

    Where the options have `accept_above`, the answer also says whether the picture is of a known class: `known`.
    """

    def __init__(self, folder: str, options: Mapping[str, Any]) -> None:
        """Takes the settings; nothing is read from the folder.

        Args:
            folder: Where the model lies.
            options: Those of `Reader`; `inputs` (the model's one input) and `labels` (class names; empty where
                unknown); `temperature` and `accept_above`, which may be left out or None.

        Raises:
            RuntimeError: This interpreter lacks Pillow.
        """
        self._reader = Reader(options)
        (self._input,), self._labels = options["inputs"], list(options["labels"])
        self._temperature, self._least = options.get("temperature") or 1.0, options.get("accept_above")

    def before(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The model's one feed, of shape [1, channels, height, width] or [1, height, width, channels].

        Raises:
            ValueError: The row has no `image`.
        """
        try:
            path = row["image"]
        except (KeyError, TypeError):
            raise ValueError(f"a row of the image pipeline must have 'image', got {row!r}") from None
        return {self._input: self._reader.feed(self._reader.pixels(path)[np.newaxis])}

    def after(self, outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The likeliest class (its index where labels are unknown) and its probability, or the outputs' shapes.

        Class scores are the output `logits`, or the only output, of shape [1, classes].
        """
        scores = next(iter(outputs.values())) if len(outputs) == 1 else outputs.get("logits")
        if scores is None or scores.ndim != 2 or scores.shape[1] < 2:
            return {"shapes": {name: list(array.shape) for name, array in outputs.items()}}
        weights = logits = scores[0].astype(np.float32)
        best = int(logits.argmax())
        if logits.min() < 0 or abs(logits.sum() - 1) > PROBABILITIES_WITHIN:
            weights = np.exp((logits - logits[best]) / self._temperature)
        label = self._labels[best] if self._labels else best
        answer = {"label": label, "score": float(weights[best] / weights.sum())}
        if self._least is not None:
            known = logits[best] - logits.mean() + np.log(np.exp(logits - logits[best]).sum())
            answer["known"] = bool(known >= self._least)
        return answer


def _numbers(values: Any) -> np.ndarray | None:
    # One axis at least: before numpy 2, a number without axes did not make 8-bit pixels float32.
    return None if values is None else np.atleast_1d(np.asarray(values, np.float32))


def _target(height: int, width: int, resize: Any) -> tuple[int, int]:
    """Height and width to resize to; the longer side is rounded down, as torchvision's Resize does."""
    if not isinstance(resize, int):
        return resize[0], resize[1]
    short, long = sorted((height, width))
    other = int(resize * long / short)
    return (resize, other) if height <= width else (other, resize)
