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


GOLDEN = (math.sqrt(5) - 1) / 2
"""Multiples of it, their whole parts left off, fill 0 to 1 evenly and never rise or fall for long (Weyl's sequence)."""


@dataclass(frozen=True)
class Schedule:
    """What is timed in each round.

    Requests are held in the order of their size. A round takes them at equal distances, so that short and long ones are
    mixed alike in all rounds, and what differs between rounds is the machine. Where a round begins has no trend either,
    for a mixture that grows from round to round would look like a machine that heats up.

    Attributes:
        held: Requests.
        window: Requests of a round, the same for every model.
        counts: Inferences of each model in a round; multiples of the window, so that all see the same mixture.
    """

    held: int
    window: int
    counts: tuple[int, ...]

    def picks(self, number: int) -> list[int]:
        """Which of the requests a round's inferences take, in their order."""
        begin = number * GOLDEN % 1
        return [int((index + begin) * self.held / self.window) for index in range(self.window)]

    def distinct(self, rounds: int) -> int:
        """How many of the requests so many rounds use."""
        return len({place for number in range(rounds) for place in self.picks(number)})


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
    window = max(1, min(held, *needed, *longest))
    counts = [
        window * max(1, min(math.ceil(need / window), most // window))
        for need, most in zip(needed, longest, strict=True)
    ]
    return Schedule(held, window, tuple(counts))
