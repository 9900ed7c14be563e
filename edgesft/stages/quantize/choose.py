"""Which candidate to keep, from figures alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

AS_FAST, AS_SMALL = 1.02, 1.05
"""Times so far apart may be the other way round the next time; so many bytes are worth no accuracy."""

ROUNDING = 1e-9
"""A drop that equals the allowance but for rounding is within it."""


@dataclass(frozen=True)
class Figures:
    """What was measured of a candidate.

    Attributes:
        name: The candidate.
        size_bytes: Its file.
        p50_ns: Median latency, interleaved with the source's.
        metrics: On the validation rows.
        drop: How far its deciding metric is below the reference's; negative where it is above.
    """

    name: str
    size_bytes: int
    p50_ns: int
    metrics: dict[str, float]
    drop: float

    def to_json(self) -> dict[str, Any]:
        """JSON form for the stage's details."""
        return {
            "name": self.name,
            "size_bytes": self.size_bytes,
            "p50_ns": self.p50_ns,
            "metrics": dict(self.metrics),
            "drop": self.drop,
        }


@dataclass(frozen=True)
class Choice:
    """What was chosen and why.

    Attributes:
        name: The candidate.
        qualified: Whether its drop is within the allowance.
        verdicts: Candidate → why it was kept or not.
    """

    name: str
    qualified: bool
    verdicts: dict[str, str]


def choose(candidates: Sequence[Figures], allowance: float, source_p50_ns: int, most_bytes: float = math.inf) -> Choice:
    """The fastest whose drop is within the allowance, else the one that drops least, of those faster than the source.

    Of those that are as fast within `AS_FAST` the smallest, and of those as small within `AS_SMALL` the one that drops
    least. What the budget has no room for is passed over where it has room for others that are no slower.

    Where all candidates within the allowance are slower, the smallest is kept, since size is what it can still pay in.

    Args:
        candidates: At least one; earlier ones win ties.
        allowance: Largest drop of the deciding metric.
        source_p50_ns: Median latency of the float model in the same run.
        most_bytes: What there is room for.
    """
    faster = [figures for figures in candidates if figures.p50_ns < source_p50_ns]
    within = [figures for figures in candidates if figures.drop <= allowance + ROUNDING]
    no_slower = [figures for figures in within if figures.p50_ns <= source_p50_ns * AS_FAST]
    fitting = [figures for figures in no_slower if figures.size_bytes <= most_bytes]
    if no_slower:
        fastest = min(fitting or no_slower, key=lambda figures: figures.p50_ns)
        alike = [each for each in fitting or no_slower if each.p50_ns <= fastest.p50_ns * AS_FAST]
        best, why = _smallest(alike), "fastest within the allowance"
        if best is not fastest:
            better = "and smaller" if best.size_bytes < fastest.size_bytes else "drops less"
            why = f"as fast as {fastest.name}, {better}"
    elif within:
        best, why = _smallest(within), "smallest within the allowance, all are slower"
    else:
        best = min(faster or candidates, key=lambda figures: figures.drop)
        why = "least drop, though beyond the allowance"
    verdicts = {}
    for figures in candidates:
        if figures is best:
            verdicts[figures.name] = f"kept: {why}"
        elif figures not in within:
            verdicts[figures.name] = f"drops {figures.drop:.4f}, allowance {allowance:.4f}"
        else:
            slower = no_slower and figures.p50_ns > best.p50_ns
            if fitting and figures.size_bytes > most_bytes:
                verdicts[figures.name] = f"larger than the budget's {most_bytes / 1e6:.1f} MB"
                continue
            worse = "slower" if slower else "larger" if figures.size_bytes > best.size_bytes else "no better"
            verdicts[figures.name] = f"{worse} than {best.name}"
    return Choice(best.name, bool(within), verdicts)


def _smallest(candidates: Sequence[Figures]) -> Figures:
    """Of those that are as small as the smallest, the one that drops least."""
    room = min(figures.size_bytes for figures in candidates) * AS_SMALL
    return min((each for each in candidates if each.size_bytes <= room), key=lambda each: each.drop)
