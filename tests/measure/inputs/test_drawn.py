from __future__ import annotations

import numpy as np
import pytest

from edgesft.errors import InputError
from edgesft.measure.inputs import random_requests
from edgesft.measure.replies import Value

TEXT = (
    Value("input_ids", "int64", ("batch", "sequence")),
    Value("attention_mask", "int64", ("batch", "sequence")),
    Value("token_type_ids", "int64", ("batch", "sequence")),
)


def test_values_are_valid_and_of_their_kind() -> None:
    found = random_requests(TEXT, {"sequence": 64}, {"input_ids": 30}, count=8)
    assert found.source == "random (seed 0, sequence 64)"
    assert len(found.feeds) == 8
    ids = np.concatenate([each["input_ids"] for each in found.feeds])
    assert ids.shape == (8, 64)
    assert ids.dtype == np.int64
    assert set(np.unique(ids)) == set(range(30))
    assert all((each["attention_mask"] == 1).all() for each in found.feeds)
    assert all((each["token_type_ids"] == 0).all() for each in found.feeds)


def test_every_type() -> None:
    inputs = (
        Value("x", "float16", (None, 1000)),
        Value("scalar", "float32", ()),
        Value("picture", "uint8", (1, 1000)),
        Value("flag", "bool", (2,)),
        Value("words", "string", (1, 2)),
        Value("pixel_mask", "float32", (1, 3)),
        Value("cache", "float32", ("batch", 4)),
        Value("rate", "int64", ()),
    )
    (first, second) = random_requests(inputs, {}, {}, states=["cache"], count=2).feeds
    assert first["x"].shape == (1, 1000)
    assert first["x"].dtype == np.float16
    assert abs(float(first["x"].astype(np.float64).std()) - 1) < 0.1
    assert not np.array_equal(first["x"], second["x"])
    assert first["scalar"].shape == ()
    assert first["picture"].dtype == np.uint8
    assert first["picture"].max() > 240
    assert first["flag"].all()
    assert first["words"].tolist() == [["text", "text"]]
    assert (first["pixel_mask"] == 1).all()
    assert not first["cache"].any()
    assert first["rate"] == 0


def test_the_seed_decides() -> None:
    once, again, other = (random_requests(TEXT[:1], {"sequence": 9}, {"input_ids": 99}, seed=s) for s in (3, 3, 4))
    assert all(np.array_equal(a["input_ids"], b["input_ids"]) for a, b in zip(once.feeds, again.feeds, strict=True))
    assert not np.array_equal(once.feeds[0]["input_ids"], other.feeds[0]["input_ids"])
    assert other.source == "random (seed 4, sequence 9)"


def test_the_batch_is_one_unless_said() -> None:
    def shape(axis: int | str | None, sizes: dict[str, int], place: int = 0) -> tuple[int, ...]:
        axes = [axis, 3] if place == 0 else [3, axis]
        return random_requests((Value("x", "float32", tuple(axes)),), sizes, {}).feeds[0]["x"].shape

    for axis in ("batch", "batch_size", "N", "n", None, "unk__12"):
        assert shape(axis, {}) == (1, 3)
    assert shape("batch", {"batch": 4}) == (4, 3)
    assert shape(None, {"x.0": 4}) == (4, 3)
    assert shape("batch", {}, place=1) == (3, 1)
    for axis in ("n", None, "unk__12", "s0"):
        with pytest.raises(InputError, match="must have a size"):
            shape(axis, {}, place=1)


def test_every_problem_at_once() -> None:
    inputs = (*TEXT, Value("x", "float32", (1, None, "past + 1")), Value("y", "bfloat16", (1,)))
    with pytest.raises(InputError) as caught:
        random_requests(inputs, {"sequense": 64, "batch": 0}, {})
    text = str(caught.value)
    assert len(caught.value.problems) == 6
    assert "input 'y' must be of a type that numpy has, got bfloat16" in text
    assert "axis 'sequense' must be a free axis of an input, got none of that name\n    Try: 'sequence'" in text
    assert "axis 'batch' must be at least 1, got 0" in text
    assert "axis 'sequence' of 'input_ids', 'attention_mask', 'token_type_ids' must have a size" in text
    assert "Try: --axis sequence=64" in text
    assert "Try: --axis x.1=64" in text
    assert "Try: --axis 'past + 1'=64" in text
