"""Shared base of tasks on pictures: they are read in the same way in training and on the device."""

from __future__ import annotations

import json
from abc import ABC
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edgesft.data.media.image import Reader
from edgesft.data.media.images import Images, reader_of
from edgesft.errors import Problem
from edgesft.spec.media import ImageSpec
from edgesft.tasks.augmentation import distortion
from edgesft.tasks.contract import Contract
from edgesft.tasks.media import INPUT, MediaTask
from edgesft.tasks.models import preprocessor
from edgesft.tasks.models.onnx_file import OnnxFile

FEED = {"layout": "NCHW", "dtype": "float32"}
"""Layout and type of pictures as models of torch take them."""

POSITIONED = frozenset(("vit", "deit", "beit", "data2vec-vision", "vit_msn", "ijepa", "siglip", "levit", "clip"))
"""Model types with position embeddings, which take pictures of one size only."""


class Pictures:
    """Reads pictures as the contract says; they are stored as bytes, a quarter of the size of floats."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.input: str = options[INPUT]
        self.spec = ImageSpec(**{name: options[name] for name in ImageSpec.model_fields})

    @cached_property
    def reader(self) -> Reader:
        """Decodes files and scales pixels.

        Raises:
            UnavailableError: Pillow is not installed.
        """
        return reader_of({**self.spec.model_dump(), **FEED})

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes `preprocessor_config.json`, by which transformers reads pictures in the same way."""
        told = json.dumps(preprocessor.to_json(self.spec), indent=1, sort_keys=True) + "\n"
        (Path(folder) / preprocessor.FILE).write_text(told, "utf-8")

    def kept(self, value: Any) -> np.ndarray:
        """uint8 of shape [channels, height, width]."""
        return np.ascontiguousarray(self.reader.pixels(value).transpose(2, 0, 1))

    def fed(self, kept: np.ndarray) -> np.ndarray:
        """float32 of shape [rows, channels, height, width]; floats stay as they are."""
        return self.reader.feed(kept.transpose(0, 2, 3, 1)) if kept.dtype == np.uint8 else kept

    def sent(self, kept: np.ndarray) -> np.ndarray:
        """The same, which is what the device sends."""
        return self.fed(kept)

    def shown(self, fed: np.ndarray) -> np.ndarray:
        """Pixels from 0 to 255 of a model's input, float32: the inverse of `fed`."""
        return (fed * self._column(self.spec.std, 1.0) + self._column(self.spec.mean, 0.0)) / self._scale

    def again(self, pixels: np.ndarray) -> np.ndarray:
        """The inverse of `shown`."""
        found = (pixels * self._scale - self._column(self.spec.mean, 0.0)) / self._column(self.spec.std, 1.0)
        return found.astype(np.float32, copy=False)

    def coloured(self, fed: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
        """Pictures with random changes of brightness, contrast and saturation (`distortion.coloured`)."""
        luma = {"L": (1.0,), "BGR": distortion.LUMA[::-1]}.get(self.spec.colour, distortion.LUMA)
        return self.again(distortion.coloured(self.shown(fed), share, rng, luma))

    @property
    def _scale(self) -> np.float32:
        return np.float32(1.0 if self.spec.scale is None else self.spec.scale)

    @staticmethod
    def _column(values: Any, usual: float) -> np.ndarray:
        return np.asarray(usual if values is None else values, np.float32).reshape(-1, 1, 1)


class PictureTask(MediaTask, ABC):
    """A task on pictures, which are read as the contract's options say (`edgesft.data.media.image`)."""

    input: ClassVar[str] = "pixel_values"
    medium = Images()
    spec = ImageSpec
    fixed = FEED

    def own_options(self, folder: Path, config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The options of its `preprocessor_config.json`, else the size in its configuration."""
        grey = {"colour": "L"} if config.get("num_channels") == 1 else {}
        said = preprocessor.read(folder / preprocessor.FILE, given, "data.image, which says how pictures are read")
        if said:
            return {**said, **grey}
        size = config.get("image_size")
        return {**({"resize": [size, size] if isinstance(size, int) else size} if size else {}), **grey}

    def misfits(self, config: Mapping[str, Any], contract: Contract) -> list[Problem]:
        """Another number of channels than the model has, or another size than its position embeddings are for."""
        options, found = contract.options, list[Problem]()
        channels = 1 if options["colour"] == "L" else 3
        if (wanted := config.get("num_channels", channels)) != channels:
            message = f"data.image.colour: must give {wanted} channels, which this model reads, got {channels}"
            found.append(Problem(message, f"data.image.colour={'L' if wanted == 1 else 'RGB'}"))
        size = config.get("image_size")
        if size and config.get("model_type") in POSITIONED:
            sides = [size, size] if isinstance(size, int) else list(size)
            got = options["crop"] or options["resize"]
            if got != sides:
                message = f"data.image: must give pictures of {sides}, the one size of this model, got {got}"
                found.append(Problem(message, f"data.image.resize={sides}"))
        return found

    def shaped(self, source: OnnxFile) -> dict[str, Any]:
        """Channels and size, where the file states them."""
        axes = source.inputs[source.called([self.input], [])[self.input]]
        _, channels, height, width = axes if len(axes) == len(FEED["layout"]) else (None,) * 4
        said = {"num_channels": channels} if channels else {}
        return {**said, **({"image_size": [height, width]} if height and width else {})}

    def unlike(self, source: OnnxFile, contract: Contract) -> list[Problem]:
        """Another layout than ours, other channels, another size."""
        name = contract.options[INPUT]
        axes = source.inputs[source.called([name], [])[name]]
        size = contract.options["crop"] or contract.options["resize"]
        sides = size if isinstance(size, list) else [None, None]
        fed = (1 if contract.options["colour"] == "L" else 3, *sides)
        if len(axes) == 1 + len(fed) and not any(
            one and other and one != other for one, other in zip(axes[1:], fed, strict=True)
        ):
            return []
        message = f"model: must take pictures of [rows, channels, height, width] as data.image makes them, {list(fed)}"
        return [Problem(f"{message}; got {[axis or 'any' for axis in axes]}", "data.image={resize: [height, width]}")]

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """A picture's pixels, as they were read in training."""
        steps = {name: contract.options[name] for name in ImageSpec.model_fields}
        return {"kind": "image", "columns": ["image"], **steps, "layout": FEED["layout"], "dtype": FEED["dtype"]}

    def load_processor(self, source: Any, contract: Contract) -> Pictures:
        """A reader by the contract, which was completed from the model's own files when it was made."""
        return Pictures(contract.options)
