"""Groups that hang together, and what is drawn of them."""

from __future__ import annotations

import numpy as np
import pytest

from edgesft.data.carve import GROUP, carve, few, fold, together
from edgesft.data.hashing import hashes
from edgesft.errors import InputError


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


ROWS = [{"text": f"t{n % 90}", "label": "ab"[n % 90 < 30], GROUP: n % 45} for n in range(100)]


def test_folds_are_disjoint_and_hold_every_row() -> None:
    parts = [fold(ROWS, number, 5, "text", 0) for number in range(1, 6)]
    inside = np.concatenate([part for _, part in parts])
    assert sorted(inside) == list(range(100))
    for outside, part in parts:
        assert sorted([*outside, *part]) == list(range(100))
        # Rows with one text, and those of one group, are on one side.
        for key in ("text", GROUP):
            assert not {ROWS[index][key] for index in outside} & {ROWS[index][key] for index in part}


def test_folds_have_all_labels_alike() -> None:
    rows = [{"text": str(n), "label": "ab"[n % 4 == 0]} for n in range(100)]
    for number in range(1, 6):
        _, part = fold(rows, number, 5, "text", 0)
        assert [sum(rows[index]["label"] == label for index in part) for label in "ab"] == [15, 5]


def test_a_fold_without_a_class_is_refused() -> None:
    rows = [{"text": str(n), "label": "rare" if n < 3 else "usual"} for n in range(40)]
    with pytest.raises(InputError) as caught:
        fold(rows, 1, 5, "text", 0)
    assert "data.fold" in str(caught.value) and "'rare' 3" in str(caught.value) and "usual" not in str(caught.value)
    assert len(fold(rows, 1, 3, "text", 0)[1]) in (13, 14)


def test_quantities_are_no_classes() -> None:
    rows = [{"x": str(n), "label": n / 7} for n in range(21)]
    assert [len(fold(rows, number, 3, "x", 0)[1]) for number in (1, 2, 3)] == [7, 7, 7]
    with pytest.raises(InputError, match="per_class: must be used with labels"):
        few(rows, 1, 0)
    whole = [{"x": str(n), "label": float(n)} for n in range(200)]
    found = carve(whole, {"validation": 0.1}, "x", 0)["validation"]
    assert len(found) == 20 and found.max() > 100, "not those with the least labels by name"
    with pytest.raises(InputError, match="per_class: must be used with labels"):
        few(whole, 1, 0)


def test_what_a_share_does_not_divide_is_drawn() -> None:
    rows = [{"text": str(n), "label": n // 5} for n in range(500)]
    found = {seed: {n // 5 for n in carve(rows, {"validation": 0.1}, "text", seed)["validation"]} for seed in (0, 1)}
    assert [len(each) for each in found.values()] == [50, 50] and found[0] != found[1]
    names = sorted(range(100), key=str)
    assert all(10 < len(each & set(names[:50])) < 40 for each in found.values())


def test_nothing_is_drawn_of_nothing() -> None:
    assert {name: each.tolist() for name, each in carve([], {"validation": 0.1}, "text", 0).items()} == {
        "train": [],
        "validation": [],
    }
    assert [each.tolist() for each in fold([], 1, 5, "text", 0)] == [[], []]
    assert few([], 3, 0).tolist() == []


def test_a_class_inside_another_ones_group_is_missed_too() -> None:
    rows = [{"text": f"a{n}", "label": "a", GROUP: n} for n in range(20)]
    rows += [{"text": f"b{n}", "label": "b", GROUP: 0} for n in range(6)]
    with pytest.raises(InputError, match="'b' 1"):
        fold(rows, 1, 3, "text", 0)
