"""The batch of each training step, a pure function of seed and step, so that a resumed run sees the same ones."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.base import Batch, Example, Task
from edgesft.train.objective import ROWS

ORDER, NOISE, DROPOUT, GROUP = range(4)
"""What a random stream is for: two of one seed and step must not be the same."""

PART = 1024
"""Length, such as tokens, that is computed at a time: more was measured to be hardly faster on two cores, and what is
kept for the gradients grows with it."""

WINDOW_BATCHES = 50
"""Rows are sorted by length within so many batches, as in transformers' length-grouped sampler: little padding, yet
a new mix each epoch."""


def stream(seed: int, purpose: int, index: int) -> np.random.SeedSequence:
    """The random stream of one purpose at one step or epoch."""
    return np.random.SeedSequence([seed, purpose, index])


def epoch_rows(groups: Sequence[int], power: float, seed: int, epoch: int) -> np.ndarray:
    """Indices of the rows of an epoch, as many as there are, of each group in proportion to its rows to a power.

    A group's rows are drawn in rounds, each of all of them in a new order, that go on from epoch to epoch: none is
    drawn once more than another. A power below 1 favours small groups (Aharoni et al. 2019, arXiv 1903.00089, draw
    languages so, by a temperature that is 1 / power).

    Args:
        groups: Group of each row.
        power: In [0, 1]; 1 is every row once, 0 as many of each group.
        seed: Of the run.
        epoch: Counted from 0.
    """
    numbers = np.asarray(groups)
    members = [np.flatnonzero(numbers == group) for group in np.unique(numbers)]
    weights = np.asarray([len(rows) for rows in members], float) ** power
    shares = np.diff(np.round(np.cumsum(weights / weights.sum()) * len(numbers)).astype(int), prepend=0)
    drawn = []
    for index, (rows, count) in enumerate(zip(members, shares, strict=True)):
        rounds, places = np.divmod(np.arange(epoch * count, (epoch + 1) * count), len(rows))
        orders = {
            int(each): np.random.default_rng([seed, GROUP, index, int(each)]).permutation(rows)
            for each in np.unique(rounds)
        }
        drawn += [orders[int(each)][place] for each, place in zip(rounds, places, strict=True)]
    return np.asarray(drawn, np.int64)


def batch_count(rows: int, batch_size: int) -> int:
    """Batches of an epoch. A single row that would be left over goes with the last one: batch normalisation cannot
    learn from a row alone.
    """
    count = math.ceil(rows / batch_size)
    return count - (count > 1 and rows % batch_size == 1)


def epoch_batches(
    lengths: Sequence[int], batch_size: int, seed: int, epoch: int, rows: np.ndarray | None = None
) -> list[np.ndarray]:
    """Row indices of each batch of an epoch: rows of like length together, batches in random order.

    Args:
        lengths: Length of each row, in any unit.
        batch_size: Rows a batch; one batch of the epoch may have fewer, or one more.
        seed: Of the run.
        epoch: Counted from 0; each has another order.
        rows: Those of the epoch, perhaps some more than once; by default each once.
    """
    rng = np.random.default_rng(stream(seed, ORDER, epoch))
    order, sizes = rng.permutation(len(lengths) if rows is None else rows), np.asarray(lengths)
    # At least four windows, or small sets would be sorted as a whole and always give the same batches.
    window = batch_size * max(1, min(WINDOW_BATCHES, len(order) // (4 * batch_size)))
    batches: list[np.ndarray] = []
    for start in range(0, len(order), window):
        chunk = order[start : start + window]
        chunk = chunk[np.argsort(sizes[chunk], kind="stable")]
        batches += [chunk[first : first + batch_size] for first in range(0, len(chunk), batch_size)]
    if len(batches) > batch_count(len(order), batch_size):
        batches[-2:] = [np.concatenate(batches[-2:])]
    return [batches[index] for index in rng.permutation(len(batches))]


def changed(
    task: Task,
    examples: Sequence[Example],
    processor: Any,
    settings: ResolvedTraining,
    rng: np.random.Generator,
    neighbours: np.ndarray | None = None,
) -> Batch:
    """A batch of examples, with noise where the settings have some."""
    batch = task.collate(task.disturb(examples, processor, settings, rng), processor)
    if not settings.noisy:
        return batch
    return task.augment(batch, processor, settings, rng, neighbours)


class Steps(Dataset[dict[str, Any]]):
    """The collated training batches of a whole stage, one item a step.

    Attributes:
        per_epoch: How many there are of each epoch.
    """

    def __init__(
        self,
        task: Task,
        processor: Any,
        examples: Sequence[Example],
        settings: ResolvedTraining,
        seed: int,
        neighbours: np.ndarray | None = None,
    ) -> None:
        self._task, self._processor, self._examples = task, processor, examples
        self._settings, self._seed, self._neighbours = settings, seed, neighbours
        self._lengths = [task.length(example) for example in examples]
        self._groups = [task.group(example) for example in examples] if settings.sampling != 1 else None
        self.per_epoch = batch_count(len(examples), settings.batch_size)
        self._orders: dict[int, list[np.ndarray]] = {}

    def __len__(self) -> int:
        # Rounded, for 0.1 epochs of 30 steps must not become 4 steps.
        return max(1, math.ceil(round(self._settings.epochs * self.per_epoch, 6)))

    def rows(self, step: int) -> np.ndarray:
        """Indices of the training rows of a step's batch."""
        epoch, index = divmod(step, self.per_epoch)
        order = self._orders.get(epoch)
        if order is None:
            drawn = epoch_rows(self._groups, self._settings.sampling, self._seed, epoch) if self._groups else None
            order = epoch_batches(self._lengths, self._settings.batch_size, self._seed, epoch, drawn)
            # The one before stays: one thread may have begun an epoch that another has not. Replaced whole, for both
            # read it.
            self._orders = {epoch: order, **{one: each for one, each in self._orders.items() if one == epoch - 1}}
        return order[index]

    def parts(self, step: int) -> int:
        """In how many parts a step's batch is best computed: as few as have some `PART` of length each."""
        rows = self.rows(step)
        return math.ceil(len(rows) * max(self._lengths[row] for row in rows) / PART)

    def __getitem__(self, step: int) -> dict[str, Any]:
        rows = self.rows(step)
        rng = np.random.default_rng(stream(self._seed, NOISE, step))
        examples = [self._examples[row] for row in rows]
        batch = changed(self._task, examples, self._processor, self._settings, rng, self._neighbours)
        return {name: torch.as_tensor(value) for name, value in {**batch, ROWS: rows}.items()}


class Ahead(Dataset[dict[str, Any]]):
    """Steps of which the next one is made while the model learns from the last, so that it need not wait.

    Attributes:
        waited: Seconds that steps had to be waited for.
    """

    def __init__(self, steps: Steps) -> None:
        self.waited = 0.0
        self._steps, self._next = steps, dict[int, Future[dict[str, Any]]]()
        self._maker = ThreadPoolExecutor(1, "batches")

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, step: int) -> dict[str, Any]:
        asked = time.perf_counter()
        coming = self._next.get(step) or self._maker.submit(self._steps.__getitem__, step)
        after = step + 1
        self._next = {after: self._maker.submit(self._steps.__getitem__, after)} if after < len(self) else {}
        batch = coming.result()
        self.waited += time.perf_counter() - asked
        return batch

    def close(self) -> None:
        """Ends the thread; a batch that it has begun is finished."""
        self._maker.shutdown(cancel_futures=True)


@contextmanager
def ahead(steps: Steps) -> Iterator[Ahead]:
    """Steps made ahead, until this is left."""
    made = Ahead(steps)
    try:
        yield made
    finally:
        made.close()
