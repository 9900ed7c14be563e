"""The file that transformers' image processors leave beside a model, as the options of ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from edgesft.errors import InputError
from edgesft.spec.media import ImageSpec, Resample
from edgesft.tasks.models.checkpoint import read_json

FILE = "preprocessor_config.json"

STEPS = frozenset(("do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_flip_channel_order"))
"""Steps of the file that we can do."""

OTHERS = ("crop_pct", "rescale_offset", "include_top")
"""Settings of the file that change the pixels and do not begin with `do_`."""

IGNORED = frozenset(("do_convert_rgb", "do_reduce_labels"))
"""We always convert, and have no segmentation labels."""

CONVNEXT, WARPED = "ConvNext", 384
"""How the processors are called that read `crop_pct`, and the side from which they stretch and do not cut."""


def read(path: Path, given: Mapping[str, Any], hint: str) -> dict[str, Any]:
    """The options that a processor's file means; none where there is no file.

    Args:
        path: The file.
        given: Options that are known otherwise, which the file need not say.
        hint: What to try where the file says something that we cannot do.

    Raises:
        InputError: It is damaged, or has steps that we cannot do.
    """
    said = _with_share(read_json(path))
    if not said:
        return {}
    asked = {key for key in said if key.startswith("do_") and said[key]} - IGNORED
    if "do_rescale" not in said:
        asked |= {"do_rescale"}  # Files of before transformers 4.25 lack it, and all processors do it.
    beyond = sorted(asked - STEPS) + [key for key in OTHERS if said.get(key)]
    if beyond:
        raise InputError(f"{path}: the image pipeline does not do {', '.join(beyond)}", hint)
    options: dict[str, Any] = {
        "resize": _size(said, "size", path) if "do_resize" in asked and "resize" not in given else None,
        "crop": _size(said, "crop_size", path) if "do_center_crop" in asked and "crop" not in given else None,
        "scale": said.get("rescale_factor", 1 / 255) if "do_rescale" in asked else None,
        "mean": said.get("image_mean") if "do_normalize" in asked else None,
        "std": said.get("image_std") if "do_normalize" in asked else None,
    }
    if isinstance(said.get("resample"), int):
        options["resample"] = get_args(Resample)[said["resample"]]
    if "do_flip_channel_order" in asked:
        options["colour"] = "BGR"
    return {**options, **given}


def to_json(image: ImageSpec) -> dict[str, Any]:
    """What such a file would say of options; `read` gives them back, but for grey pictures, of which none tells."""
    crop, mean, std = image.crop, image.mean, image.std
    resize = image.resize
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": image.colour != "L",
        "do_resize": resize is not None,
        "size": {"shortest_edge": resize} if isinstance(resize, int) else _sides(resize),
        "resample": get_args(Resample).index(image.resample),
        "do_center_crop": crop is not None,
        "crop_size": _sides(crop),
        "do_rescale": image.scale is not None,
        "rescale_factor": image.scale,
        "do_normalize": mean is not None or std is not None,
        "image_mean": mean,
        "image_std": std,
        "do_flip_channel_order": image.colour == "BGR",
    }


def _sides(pair: tuple[int, int] | None) -> dict[str, int] | None:
    return None if pair is None else {"height": pair[0], "width": pair[1]}


def _with_share(said: dict[str, Any]) -> dict[str, Any]:
    """The file of a ConvNeXt processor, which ResNets have as well, with its share of the picture as sizes.

    Below `WARPED` it makes the shorter side so much longer than what it then cuts out (`crop_pct`).
    """
    kind = str(said.get("image_processor_type") or said.get("feature_extractor_type") or "")
    size = said.get("size")
    edge = size.get("shortest_edge") if isinstance(size, dict) else size
    if not kind.startswith(CONVNEXT) or not isinstance(edge, int):
        return said
    rest = {key: said[key] for key in said if key != "crop_pct"}
    square = {"height": edge, "width": edge}
    if edge >= WARPED:
        return {**rest, "size": square}
    share = said.get("crop_pct") or 224 / 256
    return {**rest, "size": {"shortest_edge": int(edge / share)}, "do_center_crop": True, "crop_size": square}


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
