"""Which option of each item costs no more than there is and does the least harm: the multiple-choice knapsack."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BINS = 4000
"""Parts that the budget is counted in. Each choice may be taken for dearer than it is by one of them: with a hundred
widths that is 2.5 %, always on the safe side."""


def cheapest_harm(costs: Sequence[np.ndarray], harms: Sequence[np.ndarray], budget: float) -> list[int] | None:
    """One option of each item, by dynamic programming over the budget (Kellerer et al. 2004, section 11.5).

    Args:
        costs: Of each item the cost of its options, at least 0; shape [options].
        harms: The harm of the same options.
        budget: What all choices may cost together.

    Returns:
        The option of each item; None where nothing is cheap enough.
    """
    if budget < 0:
        return None
    bins = [np.ceil(cost * (BINS / budget) - 1e-9).astype(np.int64) if budget else _free(cost) for cost in costs]
    least = np.zeros(BINS + 1)
    choices = []
    for bin_costs, harm in zip(bins, harms, strict=True):
        found, chosen = np.full(BINS + 1, np.inf), np.zeros(BINS + 1, np.int64)
        for option in np.flatnonzero(bin_costs <= BINS):
            cost = bin_costs[option]
            tried = np.full(BINS + 1, np.inf)
            tried[cost:] = least[: BINS + 1 - cost] + harm[option]
            better = tried < found
            found[better], chosen[better] = tried[better], option
        least = found
        choices.append(chosen)
    if not np.isfinite(least[-1]):
        return None
    left, picked = BINS, list[int]()
    for chosen, bin_costs in zip(reversed(choices), reversed(bins), strict=True):
        picked.append(int(chosen[left]))
        left -= int(bin_costs[picked[-1]])
    return picked[::-1]


def _free(costs: np.ndarray) -> np.ndarray:
    return np.where(costs > 0, BINS + 1, 0)
