"""All that the answers of a classifier tell: what a report shows beside the metrics that a budget limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgesft.tasks.metrics import classification, entities, spans
from edgesft.tasks.metrics.unanswered import unanswered

PAIRS = 20
"""Confused pairs that are told."""

POINTS = 200
"""Of a ROC curve."""

TOP = 5

ANY = 10**9
WORDS = ((0, 1), (2, 3), (4, 6), (7, ANY))
"""Words of an answer, from and to, whose rows are told together."""


def classification_report(
    logits: np.ndarray, truth: np.ndarray, names: Sequence[str], temperature: float | None = None
) -> dict[str, Any]:
    """Everything about one class a row.

    Args:
        logits: Shape [rows, classes]; a row with NaN answers nothing, and is wrong.
        truth: True class indices, shape [rows].
        names: Of the classes.
        temperature: Of the contract, if it has one: the calibration error is then also that of calibrated answers.

    Returns:
        JSON values: `rows`, `averages` (precision, recall and F1 as macro and weighted means, top-5, log loss,
        calibration error, AUC), `classes` (of each precision, recall, F1, AUC and rows), `confusion` (true class
        first), `confused` (pairs, most frequent first), `reliability` and, of two classes, `roc` of the second.
    """
    counts = classification.confusion(truth, classification.highest(logits, truth), len(names))
    logits = logits.astype(np.float64)
    # What answers nothing says that all classes are alike.
    logits[unanswered(logits) | ~np.isfinite(logits).any(axis=1)] = 0.0
    chances = classification.probabilities(logits)
    table = classification.reliability(chances, truth)
    averages = dict[str, float | None]()
    if temperature is not None:
        cooled = classification.reliability(classification.probabilities(logits / temperature), truth)
        averages["calibration_error_calibrated"] = classification.calibration_error(cooled)
    areas = [classification.auc(chances[:, each], truth == each) for each in range(len(names))]
    return {
        "rows": len(truth),
        "averages": {**_averages(counts, chances, truth, table, areas), **averages},
        "classes": _classes(counts, names, areas),
        "confusion": counts.tolist(),
        "confused": confused(counts, names),
        "reliability": table,
        **({"roc": _curve(chances[:, 1], truth == 1)} if len(names) == 2 else {}),
    }


def _averages(
    counts: np.ndarray,
    chances: np.ndarray,
    truth: np.ndarray,
    table: list[dict[str, float]],
    areas: Sequence[float | None],
) -> dict[str, float | None]:
    each = {
        "precision": classification.precision(counts),
        "recall": classification.recall(counts),
        "f1": classification.f1(counts),
    }
    known = [area for area in areas if area is not None]
    return {
        "accuracy": classification.accuracy(counts),
        **{f"{name}_macro": classification.macro(counts, values) for name, values in each.items()},
        **{f"{name}_weighted": classification.weighted(counts, values) for name, values in each.items()},
        **({f"top{TOP}": classification.top(chances, truth, TOP)} if len(areas) > TOP else {}),
        "auc_macro": float(np.mean(known)) if known else None,
        "log_loss": classification.log_loss(chances, truth),
        "calibration_error": classification.calibration_error(table),
    }


def _classes(counts: np.ndarray, names: Sequence[str], areas: Sequence[float | None]) -> list[dict[str, Any]]:
    found = zip(
        names,
        classification.precision(counts),
        classification.recall(counts),
        classification.f1(counts),
        areas,
        strict=True,
    )
    return [
        {"name": name, "precision": float(p), "recall": float(r), "f1": float(f), "auc": area, "rows": int(rows)}
        for (name, p, r, f, area), rows in zip(found, counts.sum(axis=1), strict=True)
    ]


def confused(counts: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Pairs of a true class and another that was answered, the most frequent first, at most `PAIRS`."""
    wrong = counts.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:PAIRS]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    return [
        {"true": names[int(one)], "predicted": names[int(other)], "rows": int(wrong[one, other])}
        for one, other in pairs
        if wrong[one, other]
    ]


def _curve(scores: np.ndarray, positive: np.ndarray) -> dict[str, list[float]]:
    false, true, _ = classification.roc(scores, positive)
    places = np.unique(np.linspace(0, len(false) - 1, min(POINTS, len(false))).round().astype(int))
    return {"false_positive_rate": false[places].tolist(), "true_positive_rate": true[places].tolist()}


def tag_report(predicted: np.ndarray, truth: np.ndarray, tags: Sequence[str]) -> dict[str, Any]:
    """Everything about a tag for each word.

    Args:
        predicted: Tag numbers, `entities.ABSENT` where there is no word or no answer; shape [rows, words].
        truth: What they should be.
        tags: Their names.

    Returns:
        JSON values: `rows`, `words`, `unanswered` (words beyond the longest input), `averages` over the kinds of
        entities, `classes` (of each kind precision, recall, F1 and how many there are) and `confused` tags.
    """
    known = entities.scheme(tags)
    counted = entities.counts(predicted, truth, known)
    each = [entities.figures(row) for row in counted]
    there = truth != entities.ABSENT
    answered = there & (predicted != entities.ABSENT)
    pairs = classification.confusion(truth[answered], predicted[answered], len(tags))
    seen = [figures for figures, row in zip(each, counted, strict=True) if row[1:].any()]
    micro = entities.figures(counted.sum(axis=0))
    return {
        "rows": len(truth),
        "words": int(there.sum()),
        "by": "entities",
        "unanswered": int((there & ~answered).sum()),
        "averages": {
            "accuracy": float((predicted == truth)[there].mean()),
            **{f"{name}_micro": value for name, value in micro.items()},
            **{f"{name}_macro": float(np.mean([one[name] for one in seen])) if seen else 0.0 for name in micro},
        },
        "classes": [
            {"name": name, **figures, "rows": int(row[2])}
            for name, figures, row in zip(known.kinds, each, counted, strict=True)
        ],
        "confused": confused(pairs, tags),
    }


def span_report(predicted: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """Everything about answers that are spans.

    Args:
        predicted: First character and the one behind the last, shape [rows, 2].
        truth: Of each row a `spans.Truth`.

    Returns:
        JSON values: `rows`, `averages`, `classes` (rows by the words of their first answer, each with F1 and exact
        match) and `missed` (rows without a word of an answer).
    """
    pairs = zip(truth, predicted, strict=True)
    scores = np.asarray([spans.compared(each, int(start), int(end)) for each, (start, end) in pairs])
    lengths = np.asarray([len(spans.normalised(each.answers[0])) for each in truth])
    found = []
    for least, most in WORDS:
        of = (lengths >= least) & (lengths <= most)
        if of.any():
            name = str(least) if least == most else f"{least} or more" if most == ANY else f"{least} to {most}"
            f1, exact = scores[of].mean(axis=0)
            found.append({"name": name, "f1": float(f1), "exact_match": float(exact), "rows": int(of.sum())})
    return {
        "rows": len(truth),
        "averages": {"f1": float(scores[:, 0].mean()), "exact_match": float(scores[:, 1].mean())},
        "by": "words of the answer",
        "classes": found,
        "missed": int((scores[:, 0] == 0).sum()),
    }
