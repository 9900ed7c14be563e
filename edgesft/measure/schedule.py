"""What is timed in each round: how many inferences of each model, on which requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgesft.measure.inputs import Feeds
from edgesft.spec.profile import MeasureSpec

REQUEST_BYTES = 32 * 2**20
"""Requests that one agent holds are at most this large together, so that they do not pass for the model's memory."""


def fitting(requests: Sequence[Feeds], most_bytes: int = REQUEST_BYTES) -> tuple[Feeds, ...]:
    """As many of the requests as fit into so many bytes, in the order of their size; at least one, if there is one."""
    ordered = sorted(requests, key=_bytes)
    count = min(len(ordered), max(1, len(ordered) * most_bytes // max(1, sum(map(_bytes, ordered)))))
    return tuple(ordered[index * len(ordered) // count] for index in range(count))


def _bytes(feeds: Feeds) -> int:
    return sum(array.nbytes for array in feeds.values())


@dataclass(frozen=True)
class Schedule:
    """What is timed in each round.

    Requests are held in the order of their size. A round takes them at a constant stride, so that short and long ones
    are mixed alike in all rounds, and what differs between rounds is the machine.

    Attributes:
        window: Requests of a round, the same for every model.
        counts: Inferences of each model in a round; multiples of the window, so that all see the same mixture.
        stride: Distance between a round's requests.
        step: Distance between the first requests of two successive rounds.
    """

    window: int
    counts: tuple[int, ...]
    stride: int
    step: int

    def picked(self, number: int, count: int, held: int) -> list[int]:
        """Which of the held requests a round's inferences take, in their order."""
        return [(number * self.step + self.stride * (index % self.window)) % held for index in range(count)]

    def distinct(self, rounds: int, held: int) -> int:
        """How many of the requests so many rounds use."""
        return len({place for number in range(rounds) for place in self.picked(number, self.window, held)})


def schedule(typical_ns: Sequence[int], held: int, settings: MeasureSpec) -> Schedule:
    """Spreads the least samples and the least seconds of each model over the rounds, within the longest time.

    Args:
        typical_ns: Typical time from one inference to the next, of each model.
        held: Number of requests.
        settings: What is asked.
    """
    longest = [int(settings.max_seconds * 1e9 / settings.rounds / typical) for typical in typical_ns]
    least = math.ceil(settings.samples / settings.rounds)
    needed = [max(least, math.ceil(settings.seconds * 1e9 / settings.rounds / typical)) for typical in typical_ns]
    window = max(1, min(*needed, *longest))
    counts = [
        window * max(1, min(math.ceil(need / window), most // window))
        for need, most in zip(needed, longest, strict=True)
    ]
    stride = max(1, held // window)
    return Schedule(window, tuple(counts), stride, max(1, stride // settings.rounds))
