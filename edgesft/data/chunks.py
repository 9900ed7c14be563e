"""What may not fit in memory, a chunk at a time."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import TypeVar

CHUNK = 1000
"""Rows that are in memory at a time: a megabyte or so, and long enough that what is done once a chunk is free."""

T = TypeVar("T")


def chunks(rows: Iterable[T]) -> Iterator[list[T]]:
    """The rows in order, `CHUNK` at a time."""
    remaining = iter(rows)
    while chunk := list(itertools.islice(remaining, CHUNK)):
        yield chunk
