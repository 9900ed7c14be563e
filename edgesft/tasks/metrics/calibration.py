"""How sure a classifier may say it is, and when it should say that it does not know.

The temperature makes its probabilities honest; the threshold tells inputs of known classes from others. Both are
fitted on validation rows alone, and travel with the model in its contract.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgesft.tasks.metrics import classification

TEMPERATURE, ACCEPT = "temperature", "accept_above"
"""Options of a contract."""

ACCEPTED = 0.95
"""Share of rows of known classes that are accepted: the usual operating point, at which FPR@95 is taken."""

HOTTEST, HALVINGS = 20.0, 60
"""Temperatures are looked for between 1 / HOTTEST and HOTTEST, by halving their logarithm's range."""


def calibrate(logits: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Contract options that a classifier's answers to validation rows imply.

    Args:
        logits: Shape [rows, classes].
        truth: True class indices, shape [rows].

    Returns:
        `temperature`, and `accept_above`: the score (`known`) that `ACCEPTED` of the rows reach.
    """
    logits = finite(logits)
    return {
        TEMPERATURE: temperature(logits, truth),
        ACCEPT: float(np.quantile(known(logits), 1 - ACCEPTED, method="lower")),
    }


def finite(logits: np.ndarray) -> np.ndarray:
    """The same as float64, where what is no number is lower than all others of its row."""
    values = np.asarray(logits, np.float64)
    least = np.min(values, axis=1, keepdims=True, initial=0.0, where=np.isfinite(values))
    return np.where(np.isfinite(values), values, least - 1.0)


def temperature(logits: np.ndarray, truth: np.ndarray) -> float:
    """What logits must be divided by for the least mean of -log p(true class) (Guo et al. 2017, arXiv 1706.04599).

    That mean is convex in 1 / T, so its slope has one sign on either side of the best.

    Args:
        logits: Finite, shape [rows, classes].
        truth: True class indices, shape [rows].
    """
    own = logits[np.arange(len(truth)), truth]
    low, high = -np.log(HOTTEST), np.log(HOTTEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        chances = classification.probabilities(logits / np.exp(middle))
        # Slope of the mean in 1 / T: what is expected of the logits less what the true class has.
        if ((chances * logits).sum(axis=1) - own).mean() > 0:
            low = middle
        else:
            high = middle
    return float(np.exp((low + high) / 2))


def known(logits: np.ndarray) -> np.ndarray:
    """How likely each row is of a known class: log of the sum of the exponentials of the logits less their mean.

    The negative free energy of Liu et al. 2020, arXiv 2010.03759, at T = 1. Logits say nothing by what they have in
    common, which softmax takes out and no training sets right: less their mean, the score of two classes orders rows
    as their probability does.

    Args:
        logits: Finite, shape [rows, classes].
    """
    logits = logits - logits.mean(axis=1, keepdims=True)
    top = logits.max(axis=1, keepdims=True)
    found: np.ndarray = top[:, 0] + np.log(np.exp(logits - top).sum(axis=1))
    return found


def open_world(logits: np.ndarray, others: np.ndarray, threshold: float) -> dict[str, Any]:
    """How well rows of known classes are told from others.

    Args:
        logits: Of rows of known classes, shape [rows, classes].
        others: Of rows of none of them, shape [others, classes].
        threshold: What a known row's score is above.

    Returns:
        JSON values: `rows` of others; `auroc` and `fpr95` (share of others that is accepted where 95 % of the known
        rows are) by `known` and, for comparison, by the highest probability (Hendrycks and Gimpel 2017, arXiv
        1610.02136); and at the threshold the share of known rows and of others that is accepted.
    """
    ours, theirs = finite(logits), finite(others)
    both = {
        "": (known(ours), known(theirs)),
        "_probability": tuple(classification.probabilities(each).max(axis=1) for each in (ours, theirs)),
    }
    told: dict[str, Any] = {"rows": len(others)}
    for name, (inside, outside) in both.items():
        told[f"auroc{name}"] = separation(inside, outside)
        told[f"fpr95{name}"] = float((outside >= np.quantile(inside, 1 - ACCEPTED, method="lower")).mean())
    inside, outside = both[""]
    return {
        **told,
        "threshold": threshold,
        "accepted_known": float((inside >= threshold).mean()),
        "accepted_unknown": float((outside >= threshold).mean()),
    }


def separation(inside: np.ndarray, outside: np.ndarray) -> float | None:
    """Area under the ROC curve of scores that should be higher inside; None where one of them is empty."""
    positive = np.concatenate([np.ones(len(inside), bool), np.zeros(len(outside), bool)])
    return classification.auc(np.concatenate([inside, outside]), positive)
