"""Rows of pictures with boxes: what is wrong with them, and boxes as shares of their picture's sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgesft.data import checks
from edgesft.data.media.images import Images, size_of
from edgesft.data.media.inspection import facts
from edgesft.data.media.medium import named
from edgesft.data.rows import numbered
from edgesft.errors import InputError, Problem

Row = Mapping[str, Any]

LEAST = 1e-3
"""Sides below this share of a picture's are those of no box."""

HINT = '"boxes": [[left, top, width, height]] in pixels, "labels": ["cat"]'


def shares(row: Row) -> np.ndarray:
    """Centre x, centre y, width and height of a row's boxes as shares of the picture's sides, cut at its edges; float64
    of shape [boxes, 4], of which those that lie outside have sides of 0.

    Raises:
        OSError: The picture cannot be read.
        InputError: It is another one than they were drawn on.
    """
    medium = Images()
    if why := medium.unlike(row, facts(medium, row["image"])):
        raise InputError(f"{named(row['image'], 0)}: {why}", medium.remedy)
    height, width = size_of(row["image"])
    found = np.asarray(row["boxes"], np.float64).reshape(-1, 4) / [width, height, width, height]
    start, end = (edge.clip(0, 1) for edge in (found[:, :2], found[:, :2] + found[:, 2:]))
    return np.concatenate([(start + end) / 2, (end - start).clip(0)], 1)


def sized(boxes: np.ndarray) -> np.ndarray:
    """Which boxes have a size, bool of shape [boxes]."""
    return boxes[:, 2:].min(1, initial=1) > LEAST


def problems(splits: Mapping[str, Sequence[Row]]) -> list[Problem]:
    """Empty splits; boxes that are not four numbers; not as many labels; classes that train lacks."""
    found = [
        Problem(f"data.{name}: must hold at least one row, got none", "check the file or the share")
        for name, rows in splits.items()
        if not rows
    ]
    found += [problem for name, rows in splits.items() for problem in _of_split(name, rows)]
    if found or "train" not in splits:
        return found
    known = set(counts(splits["train"]))
    if not known:
        return [Problem("data.train: must hold a box, got none", "is it the right file?")]
    return [
        Problem(
            f"data.{name}: has classes that train lacks: {checks.listed([repr(label) for label in unseen])}",
            "training rows with them, or remove their boxes",
        )
        for name, rows in splits.items()
        if (unseen := checks.ordered(set(counts(rows)) - known))
    ]


def warnings(splits: Mapping[str, Sequence[Row]]) -> list[str]:
    """Boxes that reach beyond their picture, or have no size in it; classes that a split has no box of."""
    found, known = list[str](), counts(splits["train"])
    for name, rows in splits.items():
        cut = empty = 0
        for row in rows:
            kept = shares(row)
            size = sized(kept)
            height, width = size_of(row["image"])
            whole = np.asarray(row["boxes"], np.float64).reshape(-1, 4)[:, 2:] / [width, height]
            empty += int((~size).sum())
            cut += int((size & (whole > kept[:, 2:] + LEAST).any(1)).sum())
        if cut:
            found.append(f"data.{name}: {cut} boxes reach beyond their picture and are clipped to it")
        if empty:
            found.append(f"data.{name}: {empty} boxes have no size within their picture and are left out")
        if lacking := checks.ordered(set(known) - set(counts(rows))):
            found.append(
                f"data.{name}: no picture has a box of {checks.listed(lacking)}; metrics do not cover these classes"
            )
    return found


def counts(rows: Sequence[Row]) -> Counter[str]:
    """Boxes of each class."""
    return Counter(checks.label_name(label) for row in rows for label in row["labels"])


def _of_split(name: str, rows: Sequence[Row]) -> Iterator[Problem]:
    wrong = [(number, why) for number, row in numbered(rows) if (why := _wrong(row))]
    if wrong:
        number, why = wrong[0]
        more = f" and in {len(wrong) - 1} more rows" if wrong[1:] else ""
        yield Problem(f"data.{name}: boxes and labels must be lists, one label a box. Row {number} {why}{more}", HINT)


def _wrong(row: Row) -> str:
    boxes, labels = row["boxes"], row["labels"]
    if not isinstance(boxes, list | tuple | np.ndarray) or not isinstance(labels, list | tuple | np.ndarray):
        return f"has {type(boxes).__name__} and {type(labels).__name__}"
    if len(boxes) != len(labels):
        return f"has {len(labels)} labels for {len(boxes)} boxes"
    if not len(boxes):
        return ""
    try:
        values = np.asarray(boxes, np.float64).reshape(len(boxes), -1)
    except (TypeError, ValueError):
        return "has boxes that are not lists of numbers"
    if values.shape[1] != 4:
        return f"has boxes of {values.shape[1]} numbers"
    return "" if np.isfinite(values).all() else "has a box with a side that is no number"
