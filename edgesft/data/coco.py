"""COCO's file of boxes as rows: a picture each, with its boxes and their classes by name.

The format is that of https://cocodataset.org/#format-data, object detection: `images`, `annotations` and `categories`.
Crowds, which stand for many objects at once, are left out; shapes and sizes of areas are not read. Boxes are in the
pixels of a picture of the `width` and `height` that the file says, which the one that lies there need not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from edgesft.data.media.images import DRAWN_ON
from edgesft.errors import InputError, Problem

PARTS = ("images", "annotations", "categories")

FOLDER = "images"
"""Beside the file, where the pictures may lie that do not lie beside it."""

SHOWN = 5
"""Entries named of one kind of fault."""

HINT = "the export of your labelling tool in COCO's format"

Row = dict[str, Any]


def is_coco(said: Any) -> bool:
    """Whether a JSON value is such a file, whole or not."""
    return isinstance(said, Mapping) and "images" in said and "annotations" in said


def rows(said: Mapping[str, Any], path: Path) -> Iterator[Row]:
    """Rows of `image`, a path from the file's folder, `boxes`, each left, top, width and height in pixels, `labels`,
    and, where the file says it, `drawn_on`, height and width; in the order of the images, also of those without boxes.

    Args:
        said: What the file holds.
        path: The file.

    Raises:
        InputError: It lacks a part; entries are not what they must be, or name what is not there; each kind is told
            with the first ones.
    """
    if problems := [*_unlike(said, path)]:
        raise InputError(problems)
    names = {each["id"]: str(each["name"]) for each in said["categories"]}
    boxes: dict[Any, list[tuple[list[float], str]]] = {each["id"]: [] for each in said["images"]}
    for each in said["annotations"]:
        if not each.get("iscrowd"):
            boxes[each["image_id"]].append((list(each["bbox"]), names[each["category_id"]]))
    for image in said["images"]:
        own = boxes[image["id"]]
        yield {
            "image": _place(image["file_name"], path.parent),
            "boxes": [box for box, _ in own],
            "labels": [label for _, label in own],
            **_drawn_on(image),
        }


def empty(said: Mapping[str, Any]) -> list[str]:
    """Names of the categories that no box is of, in the order of the file.

    Args:
        said: What a file holds of which `rows` can be made.
    """
    used = {each["category_id"] for each in said["annotations"] if not each.get("iscrowd")}
    return [str(each["name"]) for each in said["categories"] if each["id"] not in used]


def _drawn_on(image: Mapping[str, Any]) -> Row:
    """The sides of a picture, which some tools leave out or write as 0."""
    sides = [image.get(name) for name in ("height", "width")]
    known = all(isinstance(side, int | float) and side > 0 for side in sides)
    return {DRAWN_ON: sides} if known else {}


def _place(name: str, folder: Path) -> str:
    """Where a picture lies, beside the file or in the folder of pictures there."""
    return f"{FOLDER}/{name}" if not (folder / name).exists() and (folder / FOLDER / name).exists() else name


def _unlike(said: Mapping[str, Any], path: Path) -> Iterator[Problem]:
    for part in PARTS:
        if not isinstance(said.get(part), list):
            got = "nothing" if part not in said else type(said[part]).__name__
            yield Problem(f"{path}: '{part}' must be a list, got {got}", HINT)
            return
    images, marks, categories = (said[part] for part in PARTS)
    yield from _entries(path, "images", images, _bad_image)
    yield from _entries(path, "categories", categories, _bad_category)
    yield from _entries(path, "annotations", marks, _bad_mark)
    ids = {part: _ids(said[part]) for part in ("images", "categories")}
    for part in ("images", "categories"):
        if len(set(ids[part])) < len(ids[part]):
            yield Problem(f"{path}: ids of '{part}' must be there once, got some twice", HINT)
    for field, part in (("image_id", "images"), ("category_id", "categories")):
        yield from _entries(path, "annotations", marks, partial(_unknown, field=field, known=set(ids[part]), part=part))


def _ids(entries: Sequence[Any]) -> list[Any]:
    return [each["id"] for each in entries if isinstance(each, Mapping) and isinstance(each.get("id"), int | str)]


def _entries(path: Path, part: str, entries: Sequence[Any], wrong: Callable[[Any], str]) -> Iterator[Problem]:
    """A problem that names the first of those that are wrong."""
    found = [(number, why) for number, each in enumerate(entries) if (why := wrong(each))]
    if found:
        told = "; ".join(f"{part}[{number}] {why}" for number, why in found[:SHOWN])
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        yield Problem(f"{path}: {told}{more}", HINT)


def _bad_image(each: Any) -> str:
    if not isinstance(each, Mapping) or not isinstance(each.get("id"), int | str):
        return "must have an id"
    return "" if isinstance(each.get("file_name"), str) else "must have a file_name"


def _bad_category(each: Any) -> str:
    if not isinstance(each, Mapping) or not isinstance(each.get("id"), int | str):
        return "must have an id"
    return "" if isinstance(each.get("name"), str) and each["name"].strip() else "must have a name"


def _bad_mark(each: Any) -> str:
    if not isinstance(each, Mapping):
        return f"must be an object, got {type(each).__name__}"
    if each.get("iscrowd"):
        return ""
    box = each.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(side, int | float) for side in box):
        return f"must have a bbox of left, top, width and height, got {box!r}"
    return ""


def _unknown(each: Any, field: str, known: set[Any], part: str) -> str:
    if not isinstance(each, Mapping) or each.get("iscrowd"):
        return ""
    named = each.get(field)
    return "" if isinstance(named, int | str) and named in known else f"must name one of {part}, got {field} {named!r}"
