"""How many processes train together, and which of them this is; `edgesft.train.workers` brings them together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_count, _rank = 1, 0


def count() -> int:
    """How many processes train together; 1 where this one is alone."""
    return _count


def rank() -> int:
    """Which of them this is; 0 runs the command."""
    return _rank


@contextmanager
def known(processes: int, own: int) -> Iterator[None]:
    """Within it there are so many, and this is the one of that rank."""
    global _count, _rank
    _count, _rank = processes, own
    try:
        yield
    finally:
        _count, _rank = 1, 0
