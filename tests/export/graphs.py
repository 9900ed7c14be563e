"""A text classifier of two graphs: one adds up what words mean, the other scores the sum."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from tests.ship import runs

FRONT, BACK = "models/fp32/front.onnx", "models/fp32/model.onnx"


def split(bundle: Path, target: Path) -> Path:
    """A bundle of one graph (`bundles.text`) as one of two, with the same golden rows.

    Args:
        bundle: Folder.
        target: Where to put it.
    """
    made = runs.copy(bundle, target)
    whole = onnx.load(str(made / BACK))
    nodes, sum_ = list(whole.graph.node), helper.make_tensor_value_info("sum", TensorProto.FLOAT, ["batch", 32])
    for name, own, ins, outs in (
        (FRONT, nodes[:-1], whole.graph.input, [sum_]),
        (BACK, nodes[-1:], [sum_], whole.graph.output),
    ):
        used = {each for node in own for each in node.input}
        weights = [each for each in whole.graph.initializer if each.name in used]
        graph = helper.make_graph(own, "part", ins, outs, weights)
        onnx.save(helper.make_model(graph, opset_imports=whole.opset_import, ir_version=10), str(made / name))
    runs.edit(made / "contract.json", _described)

    def listed(said: dict[str, Any]) -> None:
        kept = {**said["variants"][0], "files": [BACK, FRONT], "graphs": {"front": FRONT}}
        said["variants"] = [kept]
        for name in list(said["files"]):
            if name.startswith("models/") and name not in kept["files"]:
                del said["files"][name]
                (made / name).unlink()

    runs.seal(made, listed)
    return made


def _described(said: dict[str, Any]) -> None:
    value = {"name": "sum", "dtype": "float32", "shape": ["batch", 32]}
    said["graphs"] = {"front": {"inputs": said["inputs"], "outputs": [value]}}
    said["inputs"], said["links"] = [value], {"model": {"front": {"sum": "sum"}}}


def answers(bundle: Path) -> list[Any]:
    """Rows that both forms are asked."""
    return [json.loads(line) for line in (bundle.parent / "rows.jsonl").read_text("utf-8").splitlines()]
