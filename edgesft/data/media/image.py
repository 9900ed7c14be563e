"""Images, in training and end to end: a file → pixels → the model → its class, or boxes. Also runs in the agent's
process on a device: imports nothing of edgesft.

The same numbers as transformers' PIL image processors give for a file: decoded by Pillow, turned as its EXIF says,
converted (transparency is dropped; of 16 bits the upper 8 are taken, and 32 are refused), resized and cut as 8-bit
pixels, scaled in float64, normalised in float32. Where the outputs are neither class scores nor boxes, the answer is
their shapes.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

PROBABILITIES_WITHIN = 1e-3
"""Scores that are not negative and sum to one within this are probabilities already; float16 rounds to about this."""

LEAST_SCORE = 0.01
"""Below this a box is not looked at: what average precision is made of lies above it, and most places lie below."""

DEEP = ("I", "F")
"""Pillow's modes of pixels that are whole or floating numbers of 32 bits."""

SHALLOW = ("PNG", "PPM")
"""Formats with 16 bits at most, which Pillow may open in a mode of 32: PNG before 10.3, and PGM."""

CANDIDATES = 300
"""Of a class at most so many boxes, the surest, come to suppression; its time grows with their square."""


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
        self._mode = "L" if self._colour == "L" else "RGB"

    def pixels(self, source: str | bytes | np.ndarray | Image) -> np.ndarray:
        """Decoded, converted, resized and cut.

        Args:
            source: A path; what a file holds; one that Pillow has opened; or pixels, uint8 of shape [height, width] or
                [height, width, channels].

        Returns:
            uint8 of shape [height, width, channels].

        Raises:
            OSError: It is no whole picture; so do ValueError, SyntaxError and Pillow's DecompressionBombError say.
            ValueError: Its pixels have 32 bits.
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

    def _converted(self, source: str | bytes | np.ndarray | Image) -> Any:
        if isinstance(source, np.ndarray):
            return self._image.fromarray(source).convert(self._mode)
        if isinstance(source, self._image.Image):
            return self._turned(source)
        with self._image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
            return self._turned(image)

    def _turned(self, image: Any) -> Any:
        # Pillow would take every value above 255 for white.
        wide = image.mode.startswith("I;16") or (image.mode == "I" and image.format in SHALLOW)
        if image.mode in DEEP and not wide:
            told = f"its pixels have 32 bits (mode {image.mode}), of which nothing says what is white"
            raise ValueError(f"{told}: save it with 8 or 16 bits")
        self._turn(image, in_place=True)
        if wide:
            return self._image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert(self._mode)
        return image.convert(self._mode)

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

    Where the options have `accept_above`, the answer also says whether the picture is of a known class: `known`. Where
    they have `boxes`, it is the list `boxes` of what is seen: `label`, `score` and `box`, which is left, top, width and
    height as shares of the picture's sides; the surest first, from `least_score` on.
    """

    def __init__(self, folder: str, options: Mapping[str, Any]) -> None:
        """Takes the settings; nothing is read from the folder.

        Args:
            folder: Where the model lies.
            options: Those of `Reader`; `inputs` (the model's one input) and `labels` (class names; empty where
                unknown); `temperature`, `accept_above`, `boxes` and `least_score`, which may be left out or None.

        Raises:
            RuntimeError: This interpreter lacks Pillow.
        """
        self._reader = Reader(options)
        (self._input,), self._labels = options["inputs"], list(options["labels"])
        self._temperature, self._least = options.get("temperature") or 1.0, options.get("accept_above")
        self._boxes: Mapping[str, Any] = options.get("boxes") or {}
        self._sure = options.get("least_score") or LEAST_SCORE

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
        if self._boxes:
            return {"boxes": self._seen(outputs)}
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

    def _seen(self, outputs: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
        one = {name: array[0] for name, array in outputs.items()}
        found = detections(one, len(self._labels), **self._boxes)
        return [
            {
                "label": self._labels[int(label)],
                "score": round(score, 4),
                "box": [round(side, 5) for side in (x - width / 2, y - height / 2, width, height)],
            }
            for x, y, width, height, score, label in found.tolist()
            if score >= self._sure
        ]


def detections(outputs: Mapping[str, np.ndarray], classes: int, *, iou: float, most: int, **unused: Any) -> np.ndarray:
    """What a detector sees on one picture.

    Args:
        outputs: `logits`, shape [places, classes], or with one more column, the last, for nothing; `pred_boxes`, shape
            [places, 4]: centre x and y, width and height as shares of the picture; and, where the graph suppresses
            boxes, `kept`, bool of the shape of the scores.
        classes: How many there are. With one more column probabilities are the softmax, and nothing is suppressed, for
            such a detector says each object once; else they are the sigmoid.
        iou: A box is dropped that overlaps a surer one of its class by more than this.
        most: Boxes at most.
        unused: Further settings, which mean nothing here.

    Returns:
        float32 of shape [boxes, 6]: box, score and the class's index; the surest first.
    """
    logits, boxes = (outputs[name].astype(np.float32) for name in ("logits", "pred_boxes"))
    scores = probabilities(logits, classes)
    if logits.shape[1] == classes:
        kept = outputs["kept"] if "kept" in outputs else surest(boxes, scores, iou, most)
        scores = np.where(kept, scores, 0)
    places, labels = np.nonzero(scores >= LEAST_SCORE)
    found = np.column_stack([boxes[places], scores[places, labels], labels]).astype(np.float32)
    return found[np.argsort(-found[:, 4], kind="stable")[:most]]


def probabilities(logits: np.ndarray, classes: int) -> np.ndarray:
    """Probability of each class: of shape [..., classes] independent, with one more column for nothing shared out."""
    if logits.shape[-1] == classes:
        return 1 / (1 + np.exp(-logits.clip(-80, 80)))
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    return weights[..., :classes] / weights.sum(-1, keepdims=True)


def surest(boxes: np.ndarray, scores: np.ndarray, iou: float, most: int) -> np.ndarray:
    """Which boxes are left of each class; bool of the shape of the scores."""
    kept = np.zeros(scores.shape, bool)
    for label, own in enumerate(scores.T):
        places = np.flatnonzero(own >= LEAST_SCORE)
        places = places[np.argsort(-own[places], kind="stable")][:CANDIDATES]
        kept[places[suppressed(boxes[places], iou, most)], label] = True
    return kept


def suppressed(boxes: np.ndarray, iou: float, most: int) -> list[int]:
    """Greedy non-maximum suppression, as ONNX's NonMaxSuppression does it.

    Args:
        boxes: Of one class, the surest first; shape [boxes, 4].
        iou: A box goes that overlaps a surer one by more than this.
        most: Boxes that are kept at most.

    Returns:
        Places of those that are kept.
    """
    over, gone, kept = overlaps(boxes, boxes) > iou, np.zeros(len(boxes), bool), list[int]()
    for place in range(len(boxes)):
        if not gone[place] and len(kept) < most:
            kept.append(place)
            gone |= over[place]
    return kept


def overlaps(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Intersection over union of each box with each other one, shape [ours, theirs]; 0 where both are empty."""
    (one, other), common = (boxes[:, :2] - boxes[:, 2:] / 2 for boxes in (ours, theirs)), 1.0
    for axis in (0, 1):
        ends = [start[:, axis] + boxes[:, 2 + axis] for start, boxes in ((one, ours), (other, theirs))]
        side = np.minimum.outer(*ends) - np.maximum.outer(one[:, axis], other[:, axis])
        common = common * side.clip(0)
    union = np.add.outer(ours[:, 2:].prod(1), theirs[:, 2:].prod(1)) - common
    return common / np.maximum(union, np.finfo(np.float32).tiny)


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
