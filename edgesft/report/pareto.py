"""What nothing else beats."""

from __future__ import annotations

from collections.abc import Sequence


def front(costs: Sequence[tuple[float, ...]]) -> list[int]:
    """Places of those that no other is at least as good as in everything and better in something.

    Args:
        costs: Of each, what should be little.

    Returns:
        In their order; equals are all on the front.
    """
    return [place for place, mine in enumerate(costs) if not any(_beats(other, mine) for other in costs)]


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine <= theirs for mine, theirs in zip(one, other, strict=True))
