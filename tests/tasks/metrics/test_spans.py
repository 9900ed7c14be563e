"""Answers that are spans, against SQuAD's official normalisation and scores."""

from __future__ import annotations

import numpy as np
import pytest

from edgesft.tasks.metrics import spans
from edgesft.tasks.metrics.spans import Truth


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Eiffel-Tower!", ["eiffeltower"]),
        ("an  apple, a day", ["apple", "day"]),
        ("2014年6月，北京", ["2014", "年", "6", "月", "北", "京"]),
        ("the", []),
    ],
)
def test_normalised(text: str, expected: list[str]) -> None:
    assert spans.normalised(text) == expected


def test_compared_takes_the_best_answer() -> None:
    truth = Truth("it was the old red house in Rome", ("red house", "the house in Rome"))
    assert spans.compared(truth, 7, 24) == (pytest.approx(0.8), 0.0), "'the old red house' shares two words of three"
    assert spans.compared(truth, 15, 24) == (1.0, 1.0)
    assert spans.compared(truth, -1, -1) == (0.0, 0.0)


COVERED = np.asarray([[-1, -1], [0, 2], [3, 5], [6, 8], [-1, -1]])


def test_best_span() -> None:
    starts, ends = np.asarray([9.0, 1.0, 3.0, 0.0, 9.0]), np.asarray([9.0, 8.0, 2.0, 1.0, 9.0])
    score, span = spans.best(starts, ends, COVERED)
    assert (score, span) == (9.0, (0, 2)), "an end before its start is none, and what is no passage does not answer"
    assert spans.best(starts, np.full(5, np.nan), COVERED) == (-np.inf, (-1, -1))


def test_answers_have_a_longest_length() -> None:
    count = spans.LONGEST + 1
    covered = np.stack([np.arange(count), np.arange(count) + 1], axis=1)
    starts, ends = np.zeros(count), np.zeros(count)
    starts[0] = ends[-1] = 10.0
    _, (first, last) = spans.best(starts, ends, covered)
    assert last - first <= spans.LONGEST
    assert spans.best(starts[1:], ends[1:], covered[1:])[1][1] == count
