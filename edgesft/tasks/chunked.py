"""Rows that may not fit in memory, a chunk at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from edgesft.errors import InputError
from edgesft.tasks.base import Contract, Example, Row, Task

CHUNK = 1000
"""Rows that are in memory at a time."""

T = TypeVar("T")


def chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    """The rows in order, so many at a time."""
    remaining = iter(rows)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        yield chunk


def encode(task: Task, rows: Sequence[Row], processor: Any, contract: Contract) -> Iterator[Example]:
    """What `task.encode` makes of all rows, one after the other.

    Raises:
        InputError: As the task does; row numbers that it tells are counted from the start of a chunk, which is told.
    """
    first = 1
    for chunk in chunks(rows):
        try:
            yield from task.encode(chunk, processor, contract)
        except InputError as error:
            if first == 1:
                raise
            told = f"(counted from row {first})"
            raise InputError([replace(each, message=f"{each.message} {told}") for each in error.problems]) from error
        first += len(chunk)
