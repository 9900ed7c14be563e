"""The two-sample check: a half where both sides are of one kind, near one where they are not."""

from __future__ import annotations

import numpy as np

from edgesft.data.relevance import MOST, apart
from edgesft.tasks.metrics.classification import auc
from tests.data.test_near_duplicates import sentences


def test_halves_of_one_kind_are_not_told_apart() -> None:
    rows = sentences(600, 0)
    found = auc(*apart(rows[:300], rows[300:]))
    assert found is not None and abs(found - 0.5) < 0.1


def test_another_kind_is_told() -> None:
    ours, theirs = sentences(300, 0), [f"please {text}" for text in sentences(300, 1)]
    found = auc(*apart(ours, theirs))
    assert found is not None and found > 0.95


def test_many_rows_are_a_sample() -> None:
    scores, second = apart(["a b"] * (MOST + 5), ["c d"] * 10)
    assert len(scores) == MOST + 10 and second.sum() == 10 and np.isfinite(scores).all()


def test_empty_texts_have_a_score() -> None:
    assert np.isfinite(apart([""] * 6, ["!"] * 6)[0]).all()
