"""Encodes rows that may not fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from edgesft.data.chunks import chunks
from edgesft.errors import InputError
from edgesft.tasks.base import Example, Row, Task
from edgesft.tasks.contract import Contract


def encode(task: Task, rows: Sequence[Row], processor: Any, contract: Contract) -> Iterator[Example]:
    """The examples of all rows, one after the other, encoded a chunk at a time.

    Raises:
        InputError: As `task.encode`; row numbers in the message count from the start of a chunk, which is stated.
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
