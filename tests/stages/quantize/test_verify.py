from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgesft.errors import StageError
from edgesft.stages.artefact import Artefact
from edgesft.stages.quantize import dynamic
from edgesft.stages.quantize.plan import make_plan
from edgesft.stages.quantize.verify import verify
from edgesft.tasks.base import Batch
from tests.stages.surroundings import TASK, Small


@pytest.fixture(scope="module")
def requests(tiny_model: Small) -> list[Batch]:
    return TASK.requests(tiny_model.rows[:2], tiny_model.processor)


def test_a_copy_is_not_smaller(artefact: Artefact, requests: list[Batch], tmp_path: Path) -> None:
    shutil.copy(artefact.model, tmp_path / "copy.onnx")
    with pytest.raises(StageError, match="shrink"):
        verify(tmp_path / "copy.onnx", artefact.model, make_plan(artefact.model, "int8-dynamic"), requests)


def test_the_operators_of_the_scheme_must_be_there(artefact: Artefact, requests: list[Batch], tmp_path: Path) -> None:
    dynamic(artefact.model, tmp_path / "q.onnx")
    with pytest.raises(StageError, match="int8-static file must hold QuantizeLinear"):
        verify(tmp_path / "q.onnx", artefact.model, make_plan(artefact.model, "int8-static"), requests)


def test_the_planned_weights_must_be_int8(artefact: Artefact, requests: list[Batch], tmp_path: Path) -> None:
    dynamic(artefact.model, tmp_path / "q.onnx", exclude=("*layer.0.*",))
    with pytest.raises(StageError, match="must store"):
        verify(tmp_path / "q.onnx", artefact.model, make_plan(artefact.model, "int8-dynamic"), requests)


def test_float_weights_must_be_gone(artefact: Artefact, requests: list[Batch], tmp_path: Path) -> None:
    plan = dynamic(artefact.model, tmp_path / "q.onnx")
    model = onnx.load(tmp_path / "q.onnx")
    # Less than the file has shrunk by, so that only the look inside can tell.
    model.graph.initializer.append(numpy_helper.from_array(np.ones((100, 100), np.float32), "left"))
    onnx.save(model, tmp_path / "q.onnx")
    with pytest.raises(StageError, match="at most"):
        verify(tmp_path / "q.onnx", artefact.model, plan, requests)


def test_answers_must_be_finite(artefact: Artefact, requests: list[Batch], tmp_path: Path) -> None:
    plan = dynamic(artefact.model, tmp_path / "q.onnx")
    model = onnx.load(tmp_path / "q.onnx")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "classifier.bias")
    bias.CopyFrom(numpy_helper.from_array(np.full(2, np.nan, np.float32), bias.name))
    onnx.save(model, tmp_path / "q.onnx")
    with pytest.raises(StageError, match="finite"):
        verify(tmp_path / "q.onnx", artefact.model, plan, requests)


def test_a_file_that_does_not_load_fails(artefact: Artefact, requests: list[Batch], tmp_path: Path) -> None:
    plan = dynamic(artefact.model, tmp_path / "q.onnx")
    model = onnx.load(tmp_path / "q.onnx")
    next(node for node in model.graph.node if node.op_type == "Gelu").op_type = "NoSuchOperator"
    onnx.save(model, tmp_path / "q.onnx")
    with pytest.raises(StageError, match="must load"):
        verify(tmp_path / "q.onnx", artefact.model, plan, requests)
