"""Which rows a split takes of another's, by the seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgesft.data.hashing import hashes, identity
from edgesft.errors import InputError

HEAD = "head"
"""Role that the name of a file fills where a split has several, by name."""

GROUP = ""
"""Key of a row's group while the rows are split; no role is called so."""

SHOWN = 5


def carve(
    rows: Sequence[Mapping[str, Any]], shares: Mapping[str, float], role: str, seed: int
) -> dict[str, np.ndarray]:
    """Indices of the rows that each share takes and, under `train`, of those it leaves; each in the order of the rows.

    What is drawn are groups of rows that have the input or `GROUP` in common, stratum by stratum. Which strata
    give one group more, where the share does not divide them, is drawn, too.

    Args:
        rows: To draw from.
        shares: Share of the groups by name.
        role: The input.
        seed: Of the drawing.
    """
    rng = np.random.default_rng(seed)
    first, groups = _groups(rows, role)
    strata = [rng.permutation(each) for each in groups.values()]
    sizes, owner = [len(stratum) for stratum in strata], np.zeros(len(rows), np.int8)
    for number, share in enumerate(shares.values(), 1):
        for place, count in enumerate(_quotas(sizes, share, rng)):
            left = max(0, len(strata[place]) - count)
            owner[strata[place][left:]] = number
            strata[place] = strata[place][:left]
    owner = owner[first]
    return {name: np.flatnonzero(owner == number) for number, name in enumerate(("train", *shares))}


def fold(
    rows: Sequence[Mapping[str, Any]], number: int, count: int, role: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the rows outside and inside of one of several parts, each in the order of the rows.

    The parts hold every row once, and of each label as many as the others, or one group more. What is dealt out are
    groups of rows that have the input or `GROUP` in common.

    Args:
        rows: To deal out.
        number: The part, counted from 1.
        count: How many there are.
        role: The input.
        seed: Of the dealing; the same for all parts.

    Raises:
        InputError: A part would lack a label: it has fewer groups than there are parts, or others' labels lead them.
    """
    first, strata = _groups(rows, role)
    rng = np.random.default_rng(seed)
    dealt = np.concatenate([rng.permutation(each) for each in strata.values()])
    owner = np.empty(len(rows), np.int64)
    owner[dealt] = np.arange(len(dealt)) % count
    owner = owner[first]
    # A group counts for its first row's label when it is dealt out; its other rows may have others.
    held: dict[str, set[int]] = {}
    for name, part in zip(_strata(rows), owner.tolist(), strict=True):
        held.setdefault(name, set()).add(part)
    if short := {name: len(held[name]) for name in sorted(held) if len(held[name]) < count}:
        told = ", ".join(f"{label!r} {parts}" for label, parts in list(short.items())[:SHOWN])
        more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
        raise InputError(
            f"data.fold: every label must have rows in each of {count} folds, got {told}{more} (rows that must stay "
            "together count once)",
            "fewer folds, or more rows of these labels",
        )
    return np.flatnonzero(owner != number - 1), np.flatnonzero(owner == number - 1)


def few(rows: Sequence[Mapping[str, Any]], count: int, seed: int) -> np.ndarray:
    """Indices of so many rows of each label, drawn by the seed, in order.

    Raises:
        InputError: The rows have no labels, or too few of some; each is named.
    """
    places: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        if "label" not in row or _quantity(row["label"]):
            raise InputError("data.per_class: must be used with labels, got rows without any", "leave it out")
        places.setdefault(stratum(row), []).append(index)
    if short := {label: len(found) for label, found in places.items() if len(found) < count}:
        told = ", ".join(f"{label!r} {number}" for label, number in sorted(short.items())[:SHOWN])
        more = f" and {len(short) - SHOWN} more" if len(short) > SHOWN else ""
        raise InputError(
            f"data.per_class: must be at most the rows of the rarest label, got {count} where there are {told}{more}",
            f"data.per_class={min(short.values())}",
        )
    rng = np.random.default_rng(seed)
    drawn = [index for label in sorted(places) for index in rng.choice(places[label], count, replace=False)]
    return np.sort(np.asarray(drawn, np.int64))


def stratum(row: Mapping[str, Any]) -> str:
    """The label, of its head where there are several."""
    return f"{row[HEAD]}/{row.get('label')}" if HEAD in row else str(row.get("label"))


def _strata(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The stratum of each row; the same for all where labels are quantities, of which no two need be alike."""
    return [""] * len(rows) if any(_quantity(row.get("label")) for row in rows) else [stratum(row) for row in rows]


def _quantity(label: Any) -> bool:
    return isinstance(label, (float, np.floating, list, np.ndarray))


def together(keys: Sequence[np.ndarray]) -> np.ndarray:
    """Of each row the first one that it has a key in common with, also by way of others; int64.

    Args:
        keys: Of each kind of key one a row.
    """
    codes = [np.unique(each, return_inverse=True)[1] for each in keys]
    found = np.arange(len(keys[0]))
    while True:
        before = found
        for code in codes:
            # A row may be the first of more rows with each round: of those it is tied to by way of others.
            least = np.full(len(found), len(found))
            np.minimum.at(least, code, found)
            found = least[code]
        if (found == before).all():
            return found


def _groups(rows: Sequence[Mapping[str, Any]], role: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The first row of each row's group, and the first rows of all groups, gathered by their labels."""
    keys = [key for key in (role, GROUP) if key in rows[0]] if len(rows) else [role]
    first = together([hashes(identity(row[key]) for row in rows) for key in keys])
    firsts = np.flatnonzero(first == np.arange(len(rows)))
    numbers: dict[str, int] = {}
    labels = np.asarray([numbers.setdefault(name, len(numbers)) for name in _strata(rows)], np.int32)[firsts]
    gathered = {name: firsts[labels == numbers[name]] for name in sorted(numbers)}
    return first, {name: found for name, found in gathered.items() if len(found)} or {"": firsts}


def _quotas(sizes: Sequence[int], share: float, rng: np.random.Generator) -> list[int]:
    """How many of each stratum to take, by largest remainder: in all, the share rounded to the nearest group. Of equal
    remainders chance takes some: the order of the strata is that of their labels' names.
    """
    exact = np.asarray(sizes) * share
    counts = np.floor(exact).astype(int)
    left = round(exact.sum()) - int(counts.sum())
    # Rounded: products that should be equal differ in their last bits.
    lacking = (exact - counts).round(9)
    counts[np.lexsort((rng.permutation(len(counts)), -lacking))[:left]] += 1
    return [int(count) for count in counts]
