"""Entities in rows of tags, counted as conlleval does."""

from __future__ import annotations

import numpy as np
import pytest

from edgesft.tasks.metrics import entities

TAGS = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC", "NOUN")
KNOWN = entities.scheme(TAGS)


def row(*tags: str) -> np.ndarray:
    return np.asarray([[TAGS.index(tag) if tag else entities.ABSENT for tag in tags]])


def found(*tags: str) -> list[tuple[str, int, int]]:
    kinds, ends = entities.spans(row(*tags), KNOWN)
    return [(KNOWN.kinds[kinds[0, at]], at, int(ends[0, at])) for at in np.flatnonzero(kinds[0] >= 0)]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (("B-PER", "I-PER", "O", "B-LOC"), [("PER", 0, 1), ("LOC", 3, 3)]),
        (("B-PER", "B-PER", "I-PER"), [("PER", 0, 0), ("PER", 1, 2)]),
        (("I-PER", "I-PER"), [("PER", 0, 1)]),
        (("O", "I-PER", "I-LOC"), [("PER", 1, 1), ("LOC", 2, 2)]),
        (("B-LOC", "E-LOC", "I-LOC", "S-LOC"), [("LOC", 0, 1), ("LOC", 2, 2), ("LOC", 3, 3)]),
        (("NOUN", "NOUN"), [("NOUN", 0, 0), ("NOUN", 1, 1)]),
        (("B-PER", "I-PER", "", ""), [("PER", 0, 1)]),
        (("O", ""), []),
    ],
)
def test_spans(tags: tuple[str, ...], expected: list[tuple[str, int, int]]) -> None:
    assert found(*tags) == expected


def test_prefixes_alone_are_of_one_kind() -> None:
    # What seqeval 1.2.2 makes of them: 1 right of 2 predicted and 2 true ones.
    tags = ("B", "I", "O")
    truth, predicted = np.asarray([[0, 1, 2, 0, 1, 1]]), np.asarray([[0, 1, 2, 0, 2, 2]])
    assert entities.counts(predicted, truth, entities.scheme(tags)).tolist() == [[1, 2, 2]]
    # One that is none leaves all of them to themselves, such as parts of speech.
    assert entities.scheme((*tags, "X")).kinds == ("B", "I", "X")


def test_an_entity_is_right_as_a_whole() -> None:
    truth = row("B-PER", "I-PER", "O", "B-LOC", "O")
    assert entities.counts(truth, truth, KNOWN).sum(axis=0).tolist() == [2, 2, 2]
    short = row("B-PER", "O", "O", "B-LOC", "B-LOC")
    counted = entities.counts(short, truth, KNOWN)
    assert counted[KNOWN.kinds.index("PER")].tolist() == [0, 1, 1]
    assert counted[KNOWN.kinds.index("LOC")].tolist() == [1, 2, 1]
    assert entities.figures(counted.sum(axis=0)) == {"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5}


def test_nothing_to_divide_by() -> None:
    assert entities.figures(np.zeros(3)) == {"precision": 0.0, "recall": 0.0, "f1": 0.0}


def test_rows_are_counted_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = (rng.integers(-1, len(TAGS), (200, 9)) for _ in range(2))
    whole = entities.counts(ours, theirs, KNOWN)
    single = sum(entities.counts(ours[[at]], theirs[[at]], KNOWN) for at in range(200))
    assert (whole == single).all()
    assert whole[:, 0].sum() > 0
