"""Facts about labelled data: their task, columns and splits."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgesft.data import files, idx, loading
from edgesft.data.media.folders import CALLED, TABLES, Tree
from edgesft.data.media.medium import FileColumn
from edgesft.data.sources import SPLIT, find
from edgesft.errors import InputError
from edgesft.pipeline.draft.kinds import labelled, recognise
from edgesft.spec.hub import PREFIX
from edgesft.spec.interactions import LAST
from edgesft.tasks.base import Task
from edgesft.tasks.registry import TASKS, task

LOOKED, SAMPLED = 100_000, 5000
"""Rows that are read, all being counted where they lie here; and those of them that are looked at closely."""

BOXES, MARKED = "object-detection", 20
"""The task whose rows a file lists that lies among the pictures, and JSON files of which it may be one."""

LEFT_OUT = {"validation": LAST, "test": LAST}
"""Splits of what users did."""

CARVED, FEWEST = 0.1, 500
"""Share of train that becomes the test rows where there are none, and rows from which on a share is enough of them."""


@dataclass(frozen=True)
class Found:
    """What data are.

    Attributes:
        task: Its name.
        columns: Role → column.
        splits: Split → where it lies, as a recipe names it; paths as they were given.
        rows: The first ones, by role.
        count: Rows of train; None where they were not counted.
    """

    task: str
    columns: Mapping[str, str]
    splits: Mapping[str, Any]
    rows: Sequence[Mapping[str, Any]]
    count: int | None

    @property
    def renamed(self) -> dict[str, str]:
        """The columns that are not called as their roles."""
        return {role: column for role, column in self.columns.items() if role != column}

    @property
    def labels(self) -> Counter[str]:
        """Label → how many of the rows looked at have it."""
        return Counter(str(row["label"]) for row in self.rows if "label" in row)


def spread(rows: Sequence[Any], most: int = SAMPLED) -> Sequence[Any]:
    """So many of the rows, evenly from first to last: files are often sorted by label."""
    return rows[:: max(1, -(-len(rows) // most))]


def look(words: Sequence[str], base: Path, named: str | None, columns: Mapping[str, str]) -> Found:
    """What the data are that a person names.

    Args:
        words: One file, folder, archive or `hub://` address; or several `head=file`, for one model with many heads.
        base: Folder that relative paths start from.
        named: The task where the person says it.
        columns: Role → column where the person says it.

    Raises:
        InputError: They cannot be read, or fit no task.
    """
    if named is not None:
        task(named)  # which refuses what is none
    heads = dict(word.split("=", 1) for word in words if re.match(r"[\w-]+=", word))
    if heads and len(heads) == len(words):
        alone = next((each for each in TASKS if named and _headed(each) == named), None)
        return _together({head: _one(place, base, alone, columns) for head, place in heads.items()})
    if len(words) != 1:
        raise InputError(f"--data must be given once, or as HEAD=FILE for each head. Got {' '.join(words) or 'none'}")
    return _one(words[0], base, named, columns)


def _headed(name: str) -> str | None:
    """The task that has a head for each of several sets of rows of that task."""
    own = set(task(name).roles)
    return next((each for each in TASKS if set(task(each).roles) == own | {"head"} != own), None)


def _together(each: Mapping[str, Found]) -> Found:
    """Several heads' data as one.

    Raises:
        InputError: They are for different tasks, or for one that has no heads.
    """
    first = next(iter(each.values()))
    kinds = sorted({found.task for found in each.values()})
    if len(kinds) > 1 or (headed := _headed(first.task)) is None:
        raise InputError(f"--data HEAD=FILE must name labelled texts, pictures or sounds. Got {', '.join(kinds)}")
    common = [name for name in CALLED if all(name in found.splits for found in each.values())]
    splits = {name: {head: found.splits[name] for head, found in each.items()} for name in common}
    counts = [found.count for found in each.values()]
    count = None if None in counts else sum(filter(None, counts))
    rows = [row for found in each.values() for row in found.rows]
    return replace(first, task=headed, splits=splits, count=count, rows=rows)


def _one(text: str, base: Path, named: str | None, columns: Mapping[str, str]) -> Found:
    found = _looked(text, base, named, columns)
    # What each user did last is not in another file, and no share of the rows.
    return replace(found, splits={**LEFT_OUT, **found.splits}) if task(found.task).by_user else found


def _looked(text: str, base: Path, named: str | None, columns: Mapping[str, str]) -> Found:
    plain, _, part = text.partition("#")
    if part and not text.startswith(PREFIX) and (whole := files.place(plain, base)).is_file() and not _packed(whole):
        found = _table(find(text, base, "train").rows(), text, named, columns, whole.absolute().parent)
        return replace(found, splits={"train": text})
    place = files.place(text, base)
    if text.startswith(PREFIX):
        found = _table(find(text, base, "train").rows(), text, named, columns)
        return replace(found, count=None)
    if place.is_dir() and (table := next((place / name for name in TABLES if _several(place / name)), None)):
        text, place = f"{text.rstrip('/')}/{table.name}", table
    if place.is_dir() and named in (None, BOXES) and (marked := _marked(place)):
        message = f"--data must be a file of boxes, got the folder '{text}', which has {', '.join(marked)}"
        likely = next((name for name in marked if any(each in name for each in CALLED["train"])), marked[0])
        raise InputError(message, f"--data {text.rstrip('/')}/{likely}; without boxes: --task image-classification")
    if place.is_dir() or place.suffix.lower() == ".zip":
        return _tree(place, text, named)
    if idx.is_idx(place):
        kind = named if named and _of(TASKS[named], "image") else "image-classification"
        looked = list(itertools.islice(idx.rows(place), LOOKED))
        return Found(kind, {"image": "image", "label": "label"}, {"train": text}, looked, None)
    found = _table(loading.stream(place), text, named, columns, place.absolute().parent)
    return replace(found, splits={**_beside(text, place), **found.splits})


def _table(
    rows: Iterator[Mapping[str, Any]],
    text: str,
    named: str | None,
    columns: Mapping[str, str],
    folder: Path | None = None,
) -> Found:
    """Rows of a table; paths in it start from its folder."""
    first = list(itertools.islice(rows, LOOKED))
    away = text.startswith(PREFIX)
    there = Counter(str(row.get(SPLIT)) for row in itertools.chain(first, () if away else rows))
    kind, found = recognise(spread(first), columns, named)
    by_role = [{role: row[column] for role, column in found.items() if column in row} for row in first]
    if folder is not None and (medium := TASKS[kind].medium):
        by_role = [dict(FileColumn(medium.role, medium).anchored(row, folder)) for row in by_role]
    values = {name: value for name, names in CALLED.items() for value in there if value in names}
    if (train := values.get("train")) is None:
        return Found(kind, found, {"train": text}, by_role, None if away else there.total())
    own = [row for row, whole in zip(by_role, first, strict=True) if whole.get(SPLIT) == train]
    splits = {name: f"{text}#{value}" for name, value in values.items()}
    return Found(kind, found, splits, own or by_role, None if away else there[train])


def _marked(folder: Path) -> list[str]:
    """The files of COCO's form in a folder, and in the folders in it."""
    files = sorted([*folder.glob("*.json"), *folder.glob("*/*.json")])[:MARKED]
    return [file.relative_to(folder).as_posix() for file in files if loading.has_boxes(file)]


def _tree(place: Path, text: str, named: str | None) -> Found:
    """A folder or an archive of pictures or sounds."""
    for name, each in TASKS.items():
        own = labelled(each) if named is None else name == named and each.medium and _of(each, each.medium.role)
        if each.medium is None or not own:
            continue
        column = FileColumn(each.medium.role, each.medium)
        tree = Tree(place, column)
        if tree.empty:
            continue
        inside = {split: tree.within(split) for split in CALLED}
        splits = {split: text for split in CALLED if inside[split] != tree.around or split == "train"}
        rows = list(Tree(place, column, inside["train"]).rows())
        return Found(name, {role: role for role in each.roles}, splits, rows, len(rows))
    kinds = " or ".join(each.medium.several for each in TASKS.values() if each.medium)
    raise InputError(
        f"'{place}' must hold {kinds}, one folder per class. Got none", "name a file of rows: csv, jsonl, …"
    )


def _of(task: type[Task], role: str) -> bool:
    """Whether a task's rows are files, labelled or not."""
    return role in task.roles and set(task.roles) <= {role, "label"}


def _packed(place: Path) -> bool:
    """Whether a file is an archive of files or of arrays, no table."""
    return place.suffix.lower() == ".zip" or idx.is_idx(place)


def _several(table: Path) -> bool:
    """Whether a table among files says which split each is of."""
    return table.is_file() and SPLIT in next(loading.stream(table), {})


def _beside(text: str, place: Path) -> dict[str, str]:
    """Files of the other splits: `train.jsonl` has `dev.jsonl` and `test.jsonl` beside it, or `train/rows.json` has
    `valid/rows.json` and `test/rows.json`.
    """
    folder, found = text[: len(text) - len(place.name)], {}
    for split in ("validation", "test"):
        there = (other for other in _others(place, split) if (place.parent / other).is_file())
        if (other := next(there, None)) is not None:
            found[split] = f"{folder}{other}".replace(f"/{place.parent.name}/../", "/")
    return found


def _others(place: Path, split: str) -> Iterator[str]:
    """What a file of another split may be called, as seen from the folder of that of the training rows."""
    said = next((name for name in CALLED["train"] if name in place.stem), None)
    within = place.absolute().parent.name in CALLED["train"]
    for name in CALLED[split]:
        other = place.stem.replace(said, name) + place.suffix if said else place.name
        if said:
            yield other
        if within:
            yield from (f"../{name}/{each}" for each in dict.fromkeys((place.name, other)))
