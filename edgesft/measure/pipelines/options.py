"""What the built-in pipelines are told: their options, and where each comes from when the user says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from edgesft.errors import InputError
from edgesft.spec.base import Spec
from edgesft.spec.media import AudioSpec, BoxesSpec, ImageSpec
from edgesft.tasks.models import preprocessor
from edgesft.tasks.models.checkpoint import longest_input, read_json

if TYPE_CHECKING:
    from edgesft.measure.replies import Value

OWN = "a Python file of your own with a class Pipeline as the pipeline"
"""What to try where a built-in pipeline does not fit."""

TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""What a tokenizer makes."""


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


class ImageOptions(ImageSpec):
    """Options of the image pipeline."""

    labels: tuple[str, ...] = ()
    """Class names in the order of the scores."""
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    """Order of the feed's axes."""
    dtype: Literal["float32", "float16", "uint8", "int8"] = "float32"
    """Type of the feed; whole numbers are rounded and kept within their range."""
    temperature: float = Field(1.0, gt=0)
    """What scores are divided by for a probability."""
    accept_above: float | None = None
    """Score from which a picture is of a known class; None where nobody tells."""
    boxes: BoxesSpec | None = None
    """How boxes are made of what a detector says; None where the model is none."""
    least_score: float = Field(0.0, ge=0, le=1)
    """Score from which a box counts."""


class AudioOptions(AudioSpec):
    """Options of the audio pipeline."""

    labels: tuple[str, ...] = ()
    """Class names in the order of the scores."""
    temperature: float = Field(1.0, gt=0)
    """What scores are divided by for a probability."""
    accept_above: float | None = None
    """Score from which a sound is of a known class; None where nobody tells."""


def text_defaults(folder: Path, inputs: Sequence[Value]) -> dict[str, Any]:
    """What the tokenizer's files say.

    Raises:
        InputError: No `tokenizer.json`, a damaged file, or inputs that a tokenizer does not make.
    """
    odd = [value for value in inputs if value.name not in TEXT_INPUTS or value.dtype != "int64" or not _varies(value)]
    if odd or not inputs:
        raise InputError(
            f"pipeline: 'text' feeds {', '.join(TEXT_INPUTS)} as int64 with a dynamic axis of tokens, "
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
        **preprocessor.read(folder / preprocessor.FILE, {}, OWN),
    }


def audio_defaults(folder: Path, inputs: Sequence[Value]) -> dict[str, Any]:
    """Nothing: that a sound is read as another model read it cannot be seen in a graph.

    Raises:
        InputError: Not one input of numbers.
    """
    if len(inputs) != 1 or inputs[0].dtype != "float32":
        raise InputError(
            f"pipeline: 'audio' feeds one input, float32, got a model that takes {_described(inputs)}", OWN
        )
    return {}


def _varies(value: Value) -> bool:
    """Whether the input has the axes [batch, tokens], and tokens is not fixed."""
    return len(value.shape) == 2 and not isinstance(value.shape[1], int)


def _described(values: Sequence[Value]) -> str:
    return ", ".join(f"{value.name} ({value.dtype} {list(value.shape)})" for value in values) or "nothing"
