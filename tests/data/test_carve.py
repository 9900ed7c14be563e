"""Groups that hang together, and what is drawn of them."""

from __future__ import annotations

import numpy as np

from edgesft.data.carve import carve, together
from edgesft.data.hashing import hashes


def test_what_hangs_together_by_way_of_others() -> None:
    one = hashes(["a", "b", "a", "c", "d", "e"])
    other = hashes(["x", "y", "z", "y", "z", "w"])
    # 0 and 2 by the first key, 2 and 4, 1 and 3 by the second.
    assert together([one, other]).tolist() == [0, 1, 0, 1, 0, 5]
    assert together([one]).tolist() == [0, 1, 0, 3, 4, 5]


def test_any_text_has_a_hash() -> None:
    assert len(set(hashes(["grüße", "\ud800", "", "a"]).tolist())) == 4
    assert hashes([]).dtype == np.uint64


def test_the_rows_that_a_seed_draws_stay_the_same() -> None:
    rows = [{"text": f"t{n % 17}", "label": "ab"[n % 3 == 0]} for n in range(20)]
    found = carve(rows, {"validation": 0.2, "test": 0.1}, "text", 5)
    assert {name: each.tolist() for name, each in found.items()} == {
        "train": [0, 1, 2, 3, 4, 5, 7, 9, 10, 11, 15, 16, 17, 18, 19],
        "validation": [6, 8, 13],
        "test": [12, 14],
    }
