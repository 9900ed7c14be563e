from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgesft.stages.export.checks import file_run
from edgesft.stages.quantize.tables import BLOCK, pack_tables, packed


def lookups(width: int, ids: list[str | int]) -> onnx.ModelProto:
    """Two look-ups in one table."""
    table = np.random.default_rng(0).standard_normal((50, width)).astype(np.float32)
    table[7] = 0
    nodes = [helper.make_node("Gather", ["table", "ids"], [name], name=name) for name in ("one", "two")]
    outputs = [helper.make_tensor_value_info(node.name, 1, [*ids, width]) for node in nodes]
    given = [helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, ids)]
    graph = helper.make_graph(nodes, "g", given, outputs, [numpy_helper.from_array(table, "table")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


@pytest.mark.parametrize("ids", [["batch", "positions"], ["positions"]])
def test_rows_come_back_to_half_a_level(ids: list[str | int], tmp_path: Path) -> None:
    plain, small = lookups(128, ids), lookups(128, ids)
    assert pack_tables(small, ["one", "two"]) == {"one", "two"}
    onnx.checker.check_model(small, full_check=True)
    for name, model in (("plain", plain), ("small", small)):
        onnx.save(model, tmp_path / f"{name}.onnx")
    asked = {"ids": np.arange(50).reshape(2, 25) if len(ids) == 2 else np.arange(50)}
    whole, found = (file_run({"model": tmp_path / f"{name}.onnx"})(asked)["one"] for name in ("plain", "small"))
    table = numpy_helper.to_array(plain.graph.initializer[0]).reshape(50, -1, BLOCK)
    half = np.abs(table).max(2, keepdims=True) / 8 * 0.5
    apart = np.abs(whole - found).reshape(50, -1, BLOCK)
    # What lies as far from 0 on the other side has no level of its own.
    assert (apart <= 2 * half + 1e-6).all() and (apart <= half + 1e-6).mean() > 0.95
    assert (tmp_path / "small.onnx").stat().st_size < (tmp_path / "plain.onnx").stat().st_size


def test_levels_of_a_row_share_bytes() -> None:
    row = np.concatenate([np.linspace(-8, 7, BLOCK), np.linspace(8, -7, BLOCK)]).astype(np.float32)[None]
    levels, scales = packed(row)
    assert levels.shape == (1, BLOCK) and scales.tolist() == [[1.0, -1.0]]
    assert (levels[0] & 15).tolist() == (np.rint(row[0, :BLOCK]) + 8).astype(int).tolist()
    assert (levels[0] >> 4).tolist() == (levels[0] & 15).tolist()


def test_what_does_not_fit_stays() -> None:
    model = lookups(BLOCK + 2, ["positions"])
    assert not pack_tables(model, ["one"]) and len(model.graph.node) == 2
