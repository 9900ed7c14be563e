from __future__ import annotations

import json

import numpy as np
import pytest

from edgesft.measure.parity import compare, difference, tolerance

LOGITS = np.array([[1.0, 2.0, -4.0], [3.0, 0.0, 1.0]], np.float32)


def test_the_same_answers_hold() -> None:
    found = compare([{"logits": LOGITS}] * 3, [{"logits": LOGITS.copy()}] * 3, "fp32")
    assert found.holds
    assert (found.requests, found.absolute, found.worst.relative, found.top1) == (3, 0.0, 0.0, 1.0)
    assert json.loads(json.dumps(found.to_json()))["holds"] is True


def test_differences_are_relative_to_each_outputs_magnitude() -> None:
    expected = [{"a": np.array([0.0, 100.0]), "b": np.array([0.001])}]
    found = compare(expected, [{"a": np.array([0.05, 100.0]), "b": np.array([0.0011])}], "fp32")
    assert [each.name for each in found.outputs] == ["b", "a"]
    assert found.worst.relative == pytest.approx(0.1)
    assert found.outputs[1].relative == pytest.approx(0.0005)
    assert found.absolute == pytest.approx(0.05)
    assert not found.holds
    assert compare(expected, [{"a": np.array([0.05, 100.0]), "b": np.array([0.001])}], "fp32").holds


def test_the_precision_sets_the_tolerance() -> None:
    off = [{"logits": LOGITS + 0.02}]
    assert [compare([{"logits": LOGITS}], off, name).holds for name in ("fp32", "fp16", "int8-static", None)] == [
        False,
        True,
        True,
        False,
    ]
    assert tolerance("int8-dynamic") == tolerance("int8")
    assert tolerance("never heard of") == tolerance("fp32")
    assert compare([{"logits": LOGITS}], [{"logits": LOGITS}], None).precision == "unknown"


def test_agreement_of_the_highest_class() -> None:
    near = LOGITS.copy()
    near[0] = [2.0, 1.0, -4.0]
    assert compare([{"logits": LOGITS}], [{"logits": near}], "fp32").top1 == 0.5
    assert compare([{"logits": LOGITS}] * 2, [{"logits": near}, {"logits": LOGITS}], "fp32").top1 == 0.75
    for shape in ((2, 1), (1, 2, 3), (6,)):
        one = [{"boxes": np.ones(shape, np.float32)}]
        assert compare(one, one, "fp32").top1 is None


def test_what_is_not_finite() -> None:
    bad = LOGITS.copy()
    bad[0, 0], bad[1, 1] = np.nan, np.inf
    found = compare([{"logits": LOGITS}], [{"logits": bad}], "fp32")
    assert (found.non_finite, found.holds, found.absolute) == (2, False, np.inf)
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["outputs"][0]["relative"] is None
    masked = np.array([[-np.inf, 1.0]])
    assert compare([{"x": masked}], [{"x": masked.copy()}], "fp32").holds


def test_types_shapes_and_names_must_be_equal() -> None:
    def why(got: dict[str, np.ndarray]) -> str | None:
        found = compare([{"x": LOGITS}], [got], "fp32")
        assert not found.holds
        return found.worst.mismatch

    assert why({"x": LOGITS.astype(np.float16)}) == "type must be float32, got float16"
    assert why({"x": LOGITS[:1]}) == "shape must be [2, 3], got [1, 3]"
    assert why({}) == "the provider does not give it"
    assert why({"x": LOGITS, "y": LOGITS}) == "the reference does not give it"


def test_values_that_are_no_quantities_are_counted() -> None:
    labels, texts = np.array([1, 2, 3, 400]), np.array(["a", "b"], object)
    found = compare([{"labels": labels, "texts": texts}], [{"labels": np.array([1, 2, 3, 4]), "texts": texts}], "fp16")
    assert (found.worst.name, found.worst.relative, found.holds) == ("labels", 0.25, False)
    eight = compare([{"q": np.array([0, 128, 255], np.uint8)}], [{"q": np.array([0, 129, 255], np.uint8)}], "int8")
    assert (eight.worst.relative, eight.holds) == (pytest.approx(1 / 255), True)


def test_zero_outputs() -> None:
    zero = [{"x": np.zeros(3)}]
    assert compare(zero, zero, "fp32").holds
    assert not compare(zero, [{"x": np.full(3, 1e-9)}], "fp32").holds
    with pytest.raises(ValueError, match="as many requests"):
        compare(zero, [], "fp32")


def test_difference() -> None:
    one = np.array([1.0, np.inf])
    assert difference(one, np.array([1.5, np.inf])) == 0.5
    assert difference(one, np.array([1.0, 2.0])) == np.inf
    assert difference(np.zeros(0), np.zeros(0)) == 0.0
