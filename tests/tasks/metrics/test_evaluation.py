"""What a classifier's answers tell, against cases worked out by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgesft.tasks.metrics.evaluation import PAIRS, POINTS, classification_report, confused

NAMES = ("cat", "dog", "eel")
LOGITS = np.log(np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]]))
TRUTH = np.array([0, 1, 1, 1])


def test_everything_about_a_small_case() -> None:
    found = classification_report(LOGITS, TRUTH, NAMES)
    json.dumps(found, allow_nan=False)
    assert found["rows"] == 4 and found["confusion"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]
    assert found["averages"]["accuracy"] == 0.75
    assert found["averages"]["recall_macro"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["averages"]["auc_macro"] == 1.0 and "top5" not in found["averages"]
    assert found["confused"] == [{"true": "dog", "predicted": "cat", "rows": 1}]
    dog, eel = found["classes"][1:]
    assert (dog["precision"], dog["rows"], eel["rows"], eel["auc"]) == (1.0, 3, 0, None)
    assert "roc" not in found


def test_two_classes_have_a_curve() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 5000)
    found = classification_report(rng.standard_normal((5000, 2)) + np.eye(2)[truth], truth, ("no", "yes"))["roc"]
    false, true = found["false_positive_rate"], found["true_positive_rate"]
    assert len(false) == len(true) == POINTS and false == sorted(false) and (false[0], true[-1]) == (0, 1)


def test_answers_that_are_no_numbers() -> None:
    logits = np.array([[np.nan, 1.0], [np.nan, np.nan], [2.0, np.nan]])
    found = classification_report(logits, np.array([1, 1, 0]), ("no", "yes"))
    json.dumps(found, allow_nan=False)
    assert found["confusion"] == [[0, 1], [2, 0]]


def test_one_class_alone() -> None:
    found = classification_report(np.zeros((3, 2)), np.zeros(3, np.int64), ("no", "yes"))
    json.dumps(found, allow_nan=False)
    assert found["averages"]["auc_macro"] is None and found["averages"]["accuracy"] == 1.0


def test_many_classes_have_a_top_and_few_pairs() -> None:
    rng = np.random.default_rng(0)
    truth, names = rng.integers(0, 50, 500), [str(each) for each in range(50)]
    found = classification_report(rng.standard_normal((500, 50)) + 2 * np.eye(50)[truth], truth, names)
    assert found["averages"]["top5"] > found["averages"]["accuracy"] and len(found["confused"]) == PAIRS
    rows = [each["rows"] for each in found["confused"]]
    assert rows == sorted(rows, reverse=True)
    assert confused(np.diag([3, 4]), ("a", "b")) == []
