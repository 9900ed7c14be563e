"""The items that there are, and histories as numbers of them, with what is known besides.

An item's id is its place among the contract's labels, plus 1: id 0 is none, and stands before a history that is shorter
than what the model reads. So the latest item is always last.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data.features import Features
from edgesft.tasks.base import Batch, Example
from edgesft.tasks.contract import Contract

READ, EXCLUDED, CHOSEN, SCORES = "items", "excluded", "chosen", "scores"
"""Of the graph: ids of the history and of what is not to be answered; places among the labels of the items that are
answered, the best first, and their scores."""

LOGITS = "logits"
"""Scores of all items."""

CANDIDATES, OFFSETS = "candidates", "offsets"
"""In training: ids of the items that each row's positions are to tell the next one from, none meaning all; and what is
added to their scores, for each stands for many that were not drawn."""

RATINGS, SCENARIO = "ratings", "scenario"
"""Of the graph, where the contract has such: how each item of the history was rated, from -1 to 1, 0 before shorter
ones; and the slots of the moment that is asked about, 1 where it has one and else 0."""

NEVER = -1e4
"""Offset of what is there to fill up; as good as minus infinity, and no NaN comes of it."""


class Catalogue:
    """A processor: how histories are made into ids, by the contract."""

    def __init__(self, contract: Contract) -> None:
        options = contract.options
        self.ids = {name: place for place, name in enumerate(contract.labels, 1)}
        self.length, self.answers = int(options["max_length"]), int(options["answers"])
        self.history: int | None = options["history"] if options["repeats"] == "excluded" else None
        self._scale: list[float] | None = options.get("scale")
        self._scenario = Features.from_json(options.get(SCENARIO, ()))

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes nothing: the contract has it all."""

    def known(self, items: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the items that there are, and their places; int64, others are passed over."""
        ids = np.asarray([self.ids.get(str(item), 0) for item in items], np.int64)
        return ids[ids > 0], np.flatnonzero(ids)

    def rated(self, ratings: Sequence[float]) -> np.ndarray | None:
        """Ratings from -1, the lowest of the scale, to 1, float32; None where models read none."""
        if self._scale is None:
            return None
        low, high = self._scale
        return (2 * (np.asarray(ratings, np.float32) - low) / (high - low) - 1).astype(np.float32)

    def slots(self, moments: Sequence[Mapping[str, Any]]) -> np.ndarray | None:
        """1 where a moment has a slot, else 0; float32 of shape [moments, slots], None where there are no slots."""
        if not self._scenario.each:
            return None
        found = np.zeros((len(moments), self._scenario.size), np.float32)
        for row, known in zip(found, moments, strict=True):
            row[self._scenario.slots(known)] = 1
        return found

    def fed(self, examples: Sequence[Example]) -> Batch:
        """What the graph takes for histories.

        Args:
            examples: Ids as `items`, and where there are such `ratings` of each, and `scenario`, of which the last one
                is asked about.

        Returns:
            `items`, int64 of shape [rows, length], and `ratings` of the same; `scenario`, [rows, slots]; where repeats
            are excluded also `excluded`, int64 of shape [rows, most], 0 behind shorter ones.
        """
        found = {name: before([each[name] for each in examples], self.length) for name in (READ, *self._rates)}
        if self._scenario.each:
            found[SCENARIO] = np.stack([each[SCENARIO][-1] for each in examples])
        if self.history is not None:
            latest = [each[READ][-self.history :] for each in examples]
            most = max(1, *map(len, latest))
            found[EXCLUDED] = np.stack([np.pad(ids, (0, most - len(ids))) for ids in latest])
        return found

    @property
    def _rates(self) -> tuple[str, ...]:
        return () if self._scale is None else (RATINGS,)


def before(rows: Sequence[np.ndarray], length: int) -> np.ndarray:
    """The last values of rows, shorter ones behind zeros; shape [rows, length, …], of their type."""
    found = np.zeros((len(rows), length, *rows[0].shape[1:]), rows[0].dtype)
    for target, row in zip(found, rows, strict=True):
        if kept := min(length, len(row)):
            target[-kept:] = row[-kept:]
    return found


def pieces(length: int, most: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """Where a row's pieces begin and end, of at most so many values; where the first one ends is drawn."""
    first = int(rng.integers(1, most, endpoint=True)) if length > most else length
    cuts = [0, *range(first, length, most), length]
    return list(itertools.pairwise(cuts))


def sampled(labels: np.ndarray, drawn: Sequence[np.ndarray], ignored: int, items: int) -> tuple[np.ndarray, Batch]:
    """What a row's positions are told from where not all items are scored.

    Candidates are what follows in the row, and items drawn from all others alike, each of which stands for as many as
    there are of them for each drawn one: so the sum that softmax divides by is right on average, and what is learned is
    what the whole catalogue would teach (Bengio and Senécal 2008, "Adaptive Importance Sampling", with the wanted ones
    counted exactly).

    Args:
        labels: Ids, `ignored` where nothing is to be told, shape [rows, length].
        drawn: Of each row ids drawn from all, as many each.
        ignored: See above.
        items: How many there are.

    Returns:
        Labels as places among the candidates, and the candidates with their offsets, of shape [rows, candidates].
    """
    rows, length = labels.shape
    places = np.full_like(labels, ignored)
    candidates = np.concatenate([np.where(labels == ignored, 0, labels), np.stack(drawn)], 1)
    offsets = np.full(candidates.shape, NEVER, np.float32)
    for row in range(rows):
        asked = labels[row] != ignored
        wanted, first, back = np.unique(labels[row, asked], return_index=True, return_inverse=True)
        first = np.flatnonzero(asked)[first]
        places[row, asked] = first[back]
        offsets[row, first] = 0
        others = ~np.isin(drawn[row], wanted)
        if count := others.sum():
            offsets[row, length:][others] = np.log((items - len(wanted)) / count)
    return places, {CANDIDATES: candidates, OFFSETS: offsets}
