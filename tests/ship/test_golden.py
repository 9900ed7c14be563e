"""Golden rows: arrays there and back, and what is within a tolerance."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edgesft.ship import golden
from edgesft.ship.golden import Golden, Row
from tests.ship.test_variant import variant

ARRAYS = {
    "f": np.asarray([[1.5, -np.inf, np.nan]], np.float32),
    "h": np.asarray([1, 2], np.float16),
    "i": np.asarray([[2**62]], np.int64),
    "b": np.asarray([True, False]),
    "s": np.asarray([["a", "ä"]], object),
    "none": np.zeros((0, 3), np.float32),
    "scalar": np.asarray(3, np.uint8),
}


def test_arrays_there_and_back() -> None:
    told = Golden([Row(ARRAYS, {"fp32": ARRAYS}, {"text": "x"})], {"fp32": {"*": 0.001}}, "1.32.0")
    again = golden.load(json.loads(json.dumps(told.to_json())))
    for name, array in ARRAYS.items():
        assert again.rows[0].inputs[name].dtype == array.dtype
        np.testing.assert_array_equal(again.rows[0].inputs[name], array)
    assert again.tolerances == told.tolerances and again.rows[0].row == {"text": "x"}


def test_big_endian_arrays_are_turned() -> None:
    told = golden._array(np.asarray([1, 2], ">i4"))
    np.testing.assert_array_equal(golden._unpacked("x", told), np.asarray([1, 2], np.int32))


@pytest.mark.parametrize(("off", "holds"), [(0.0009, True), (0.0011, False), (np.nan, False)])
def test_tolerance(off: float, holds: bool) -> None:
    outputs = {"y": np.asarray([[1.0, 0.5]], np.float32)}
    told = Golden([Row({}, {"fp32": outputs})], golden.tolerances({"fp32": "fp32"}), "1.32.0")
    said = {"decoding": {"kind": "numbers"}}

    def run(feeds: Any, graph: str = "model") -> dict[str, np.ndarray]:
        return {"y": outputs["y"] + np.float32(off)}

    found = told.findings(variant("m", "*"), said, run, "CPUExecutionProvider")
    assert (not found) == holds


def test_providers_that_compute_in_halves_may_be_further_off() -> None:
    told = Golden([], golden.tolerances({"fp32": "fp32", "int8-qnn-57": "int8-static"}), "1.32.0")
    assert told.tolerance("fp32", "CPUExecutionProvider") == 1e-3
    assert told.tolerance("fp32", "QNNExecutionProvider") == 1e-2
    assert told.tolerance("int8-qnn-57", "QNNExecutionProvider") == 1e-1
