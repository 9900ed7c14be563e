"""Early stopping: measuring ends at the first look that decides, and the bounds still hold as stated.

Looking often and stopping when it suits makes a bound that holds 95 times in 100 at one look hold less often at the
look where one stopped. So the 5 % are spent over the looks: look 1 may be wrong with 2.5 %, look 2 with 1.25 %, look k
with 5 % / 2^k. The sum never passes 5 %, so that the bounds of whichever look was the last hold with the stated
confidence, however many looks there are and however they depend on each other (the union bound; spending the error
over looks is Lan and DeMets 1983, Discrete Sequential Boundaries for Clinical Trials, Biometrika 70). Each look has
twice the rounds of the one before: what is spent on halving costs little against samples that double.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgesft.budget import verdict
from edgesft.budget.percentile import CONFIDENCE, Interval
from edgesft.budget.rounds import Rounds, Taken, interval
from edgesft.budget.steadiness import Steadiness, steadiness
from edgesft.budget.verdict import Verdict

FIRST_LOOK = 10
"""Rounds at the first look: with fewer, Student's quantile is dear and a wander hardly shows."""


@dataclass(frozen=True)
class Decision:
    """What one look found.

    Attributes:
        look: Its number, from 1.
        confidence: Of each bound at this look, by itself.
        intervals: Percentile → nanoseconds with bounds.
        steadiness: Whether the machine held still; with a problem, no verdict is given.
        verdict: What follows, or None: go on while there is time, and leave it inconclusive when there is none.
        next_rounds: Rounds in all at which to look again.
    """

    look: int
    confidence: float
    intervals: Mapping[int, Interval]
    steadiness: Steadiness
    verdict: Verdict | None
    next_rounds: int


def rounds_at(look: int, first: int = FIRST_LOOK) -> int:
    """Rounds in all at which this look, counted from 1, is due; the last one is also taken when the time is up."""
    return first * 2 ** (look - 1)


def confidence_at(look: int, confidence: float = CONFIDENCE) -> float:
    """Confidence of this look's bounds, so that those of any look hold with the confidence that is stated."""
    return 1 - (1 - confidence) / 2**look


def decide(
    rounds: Taken,
    limits: Mapping[int, int],
    look: int,
    *,
    confidence: float = CONFIDENCE,
    warm: bool = True,
) -> Decision:
    """Looks at what was measured so far.

    One limit that fails decides; passing takes all of them. Without limits nothing can be decided, nothing is looked
    for, and the confidence remains as stated.

    Args:
        rounds: Nanoseconds by round so far, in the order they were taken.
        limits: Percentile → most nanoseconds.
        look: Number of this look, from 1; each number is used once.
        confidence: Probability, of each bound by itself, to hold over all looks together.
        warm: Whether the warm-up settled.

    Raises:
        ValueError: There is no sample.
    """
    taken = Rounds.of(rounds)
    here = confidence_at(look, confidence) if limits else confidence
    intervals = {p: interval(taken, p, here) for p in limits}
    found = [verdict.at_most(f"p{p}", limit, intervals[p]).verdict for p, limit in limits.items()]
    held = steadiness(taken, warm=warm)
    worst = verdict.worst(found)
    decided = bool(found) and worst != "inconclusive" and not held.problems
    return Decision(look, here, intervals, held, worst if decided else None, rounds_at(look + 1))
