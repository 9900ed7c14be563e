from __future__ import annotations

import numpy as np
import pytest

from edgesft.measure.inputs import Bucket, buckets
from edgesft.measure.inputs.lengths import varying
from edgesft.measure.replies import Value


def feeds(*shapes: dict[str, tuple[int, ...]]) -> list[dict[str, np.ndarray]]:
    return [{name: np.zeros(shape) for name, shape in each.items()} for each in shapes]


def test_the_axis_that_varies() -> None:
    values = (Value("ids", "int64", ("batch", "sequence")), Value("mask", "int64", ("batch", "sequence")))
    found = varying(values, feeds({"ids": (1, 5), "mask": (1, 5)}, {"ids": (1, 9), "mask": (1, 9)}))
    assert found == ("sequence", (5, 9))
    same = varying(values, feeds({"ids": (1, 5), "mask": (1, 5)}, {"ids": (2, 5), "mask": (2, 5)}))
    assert same == (None, None)


def test_axes_that_go_together_are_one() -> None:
    values = (Value("a", "float32", (1, "s0")), Value("b", "float32", (1, None)))
    assert varying(values, feeds({"a": (1, 5), "b": (1, 5)}, {"a": (1, 9), "b": (1, 9)})) == ("s0", (5, 9))
    several = varying(values, feeds({"a": (1, 5), "b": (1, 5)}, {"a": (1, 9), "b": (1, 7)}))
    assert several == ("elements", (10, 16))
    assert varying(values, feeds({"a": (1, 5), "b": (1, 2)}, {"a": (1, 5), "b": (1, 3)})) == ("b.1", (2, 3))


def test_buckets_have_powers_of_two_as_edges() -> None:
    lengths = [1, 16, 17, 32, 33, 64, 65, 512, 16]
    found = buckets(lengths, list(range(9)))
    assert found == [
        Bucket(1, 16, (0, 1, 8)),
        Bucket(17, 32, (2, 3)),
        Bucket(33, 64, (4, 5)),
        Bucket(65, 128, (6,)),
        Bucket(257, 512, (7,)),
    ]
    assert [each.count for each in found] == [3, 2, 2, 1, 1]
    assert buckets([], []) == []
    with pytest.raises(ValueError):
        buckets([1], [1, 2])
