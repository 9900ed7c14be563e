"""Encoded rows in a mapped file are those that were written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgesft.data import arrays
from edgesft.data.arrays import Arrays, MappedArrays
from edgesft.errors import StageError


def rows() -> list[Arrays]:
    rng = np.random.default_rng(0)
    return [
        {
            "input_ids": rng.integers(0, 9, count),
            "windows": rng.integers(0, 9, (count, 2, 3)).astype(np.int32),
            "scores": rng.random(2, np.float32),
            "passage": np.asarray("grüße 日本" * count),
            "answers": np.asarray(["a"] * (count % 3) + ["bcd"] * 2),
            "labels": np.asarray(count),
        }
        for count in (4, 1, 0, 7)
    ]


def same(one: Arrays, other: Arrays) -> bool:
    return list(one) == list(other) and all(
        one[name].dtype == other[name].dtype and np.array_equal(one[name], other[name]) for name in one
    )


def test_like_a_list(tmp_path: Path) -> None:
    given = rows()
    arrays.write(iter(given), tmp_path)
    found = MappedArrays(tmp_path)
    assert len(found) == 4 and all(map(same, found, given))
    assert same(found[-1], given[-1]) and same(found[np.int64(2)], given[2])
    assert all(map(same, found[1:3], given[1:3])) and len(found[1:3]) == 2
    with pytest.raises(IndexError):
        found[4]


def test_what_is_done_to_a_row_is_not_done_to_the_file(tmp_path: Path) -> None:
    arrays.write(rows(), tmp_path)
    found = MappedArrays(tmp_path)
    found[0]["input_ids"][:] = 99
    assert same(found[0], rows()[0])


def test_rows_that_differ_in_more_than_shapes(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="must have the same arrays"):
        arrays.write([{"a": np.zeros(2)}, {"a": np.zeros((2, 2))}], tmp_path)
