"""What the built-in pipelines are told: their options, and where each comes from when the user says nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import Field

from edgesft.errors import InputError
from edgesft.spec.base import Spec
from edgesft.tasks.checkpoint import longest_input

if TYPE_CHECKING:
    from edgesft.measure.driver import Value

OWN = "a Python file of your own with a class Pipeline as the pipeline"
"""What to try where a built-in pipeline does not fit."""

TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""What a tokenizer makes."""

Resample = Literal["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"]
"""Pillow's filters in the order of their numbers (`PIL.Image.Resampling`), which preprocessor files hold."""

STEPS = frozenset(("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_flip_channel_order"))
"""Steps of a preprocessor file that the image pipeline can do."""

OTHERS = ("crop_pct", "rescale_offset", "include_top")
"""Settings of a preprocessor file that change the pixels and do not begin with `do_`."""

IGNORED = frozenset(("do_convert_rgb", "do_reduce_labels"))
"""The image pipeline always converts, and has no segmentation labels."""

Pair = tuple[int, int]
Numbers = float | tuple[float, ...]


class TextOptions(Spec):
    """Options of the text pipeline."""

    labels: tuple[str, ...] = ()
    """Class names in the order of the logits."""
    max_length: int | None = Field(None, ge=1)
    """Longest input in tokens, special ones included; what is longer is cut."""
    truncation_side: Literal["right", "left"] | None = None
    """Side that is cut; None leaves it to `tokenizer.json`."""
    split_special_tokens: bool = False
    """Whether `[SEP]` and its like are plain text where a text has them."""
    temperature: float = Field(1.0, gt=0)
    """What logits are divided by for a probability."""
    accept_above: float | None = None
    """Score from which a text is of a known class; None where nobody tells."""


class ImageOptions(Spec):
    """Options of the image pipeline, in the order in which they are applied."""

    labels: tuple[str, ...] = ()
    """Class names in the order of the scores."""
    colour: Literal["RGB", "BGR", "L"] = "RGB"
    """Channels as they are fed."""
    resize: int | Pair | None = None
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
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the feed's axes."""
    dtype: Literal["float32", "float16", "uint8", "int8"] = "float32"
    """Type of the feed; whole numbers are rounded and kept within their range."""


def text_defaults(folder: Path, inputs: Sequence[Value]) -> dict[str, Any]:
    """What the tokenizer's files say.

    Raises:
        InputError: No `tokenizer.json`, a damaged file, or inputs that a tokenizer does not make.
    """
    odd = [value for value in inputs if value.name not in TEXT_INPUTS or value.dtype != "int64" or not _varies(value)]
    if odd or not inputs:
        raise InputError(
            f"pipeline: 'text' feeds {', '.join(TEXT_INPUTS)} as int64 with an axis of tokens that varies, "
            f"got a model that takes {_described(odd)}",
            OWN,
        )
    if not (folder / "tokenizer.json").is_file():
        raise InputError(
            f"pipeline: 'text' must find tokenizer.json beside the model, got none in {str(folder)!r}",
            f"save it there with a fast tokenizer's save_pretrained; or {OWN}",
        )
    said = read_json(folder / "tokenizer_config.json")
    kept = {key: said[key] for key in said if key in ("truncation_side", "split_special_tokens")}
    return {"max_length": longest_input(folder, {}), **kept}


def image_defaults(folder: Path, inputs: Sequence[Value]) -> dict[str, Any]:
    """What the graph's one input and, where there is one, `preprocessor_config.json` say.

    Raises:
        InputError: Not one input of four axes, a damaged file, or a file with steps that the pipeline cannot do.
    """
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        raise InputError(
            f"pipeline: 'image' feeds one input of four axes, got a model that takes {_described(inputs)}", OWN
        )
    value = inputs[0]
    last = value.shape[3] in (1, 3) and value.shape[1] not in (1, 3)
    channels, size = (value.shape[3], value.shape[1:3]) if last else (value.shape[1], value.shape[2:])
    return {
        "dtype": value.dtype,
        "layout": "NHWC" if last else "NCHW",
        "colour": "L" if channels == 1 else "RGB",
        "resize": size if all(isinstance(axis, int) for axis in size) else None,
        "scale": 1 / 255 if value.dtype.startswith("float") else None,
        **_preprocessor(folder / "preprocessor_config.json"),
    }


def _preprocessor(path: Path) -> dict[str, Any]:
    """The options that a transformers image processor's file means; none where there is no file."""
    said = read_json(path)
    if not said:
        return {}
    asked = {key for key in said if key.startswith("do_") and said[key]} - IGNORED
    beyond = sorted(asked - STEPS) + [key for key in OTHERS if said.get(key)]
    if beyond:
        raise InputError(f"{path}: the image pipeline does not do {', '.join(beyond)}", OWN)
    options: dict[str, Any] = {
        "resize": _size(said, "size", path) if "do_resize" in asked else None,
        "crop": _size(said, "crop_size", path) if "do_center_crop" in asked else None,
        "scale": said.get("rescale_factor", 1 / 255) if "do_rescale" in asked else None,
        "mean": said.get("image_mean") if "do_normalize" in asked else None,
        "std": said.get("image_std") if "do_normalize" in asked else None,
    }
    if isinstance(said.get("resample"), int):
        options["resample"] = get_args(Resample)[said["resample"]]
    if "do_flip_channel_order" in asked:
        options["colour"] = "BGR"
    return options


def _size(said: Mapping[str, Any], key: str, path: Path) -> Any:
    match said.get(key):
        case {"height": int(height), "width": int(width)}:
            return [height, width]
        case {"shortest_edge": int(edge), **rest} if not rest and key == "size":
            return edge
        case got:
            # One number means a square for some processors and the shorter side for others.
            option = "crop" if key == "crop_size" else "resize"
            raise InputError(
                f"{path}: {key} must have height and width{' or shortest_edge' * (key == 'size')}, got {got!r}",
                f"write it so, or set {option}=[height, width]",
            )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file.

    Raises:
        InputError: The file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: must be JSON, got: {error}", "copy it again") from error
    if not isinstance(said, dict):
        raise InputError(f"{path}: must be a JSON object, got {type(said).__name__}", "copy it again")
    return said


def _varies(value: Value) -> bool:
    """Whether the input has the axes [batch, tokens], and tokens is not fixed."""
    return len(value.shape) == 2 and not isinstance(value.shape[1], int)


def _described(values: Sequence[Value]) -> str:
    return ", ".join(f"{value.name} ({value.dtype} {list(value.shape)})" for value in values) or "nothing"
