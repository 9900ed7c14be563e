"""What an ONNX or ORT file says of itself, read without a runtime, against what onnx and onnxruntime say."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from edgesft.ship import graph, ortfile, ortwrite
from edgesft.ship.finding import RefusedError
from edgesft.ship.graph import Value
from tests.ship import runs


def test_inputs_and_outputs() -> None:
    model = runs.model()
    model.metadata_props.add(key="edgesft.fixed", value="{}")
    told = graph.read(memoryview(model.SerializeToString()), "model.onnx")
    free = ("batch", "sequence")
    assert told.inputs == [Value("input_ids", "int64", free), Value("attention_mask", "int64", free)]
    assert told.outputs == [Value("logits", "float32", ("batch", 2))]
    assert (told.outside, told.metadata) == ([], {"edgesft.fixed": "{}"})


def test_initializers_among_the_inputs_are_no_inputs() -> None:
    model = runs.model()
    model.graph.input.append(helper.make_tensor_value_info("table", TensorProto.FLOAT, [128, 32]))
    assert len(graph.read(memoryview(model.SerializeToString()), "x").inputs) == 2


@pytest.mark.parametrize("dtype", [each for each in graph.TYPES if each != 8])
def test_types(dtype: int) -> None:
    model = runs.model()
    model.graph.output[0].type.tensor_type.elem_type = dtype
    told = graph.read(memoryview(model.SerializeToString()), "x")
    assert told.outputs[0].dtype == (str(helper.tensor_dtype_to_np_dtype(dtype)))


def test_external_data_of_large_models(tmp_path: Path) -> None:
    onnx.save(runs.model(), str(tmp_path / "m.onnx"), save_as_external_data=True, location="w.data", size_threshold=0)
    assert graph.read(memoryview((tmp_path / "m.onnx").read_bytes()), "x").outside == ["w.data"]


def test_every_prefix_is_read_or_refused() -> None:
    data = runs.model(width=2).SerializeToString()
    for length in range(len(data)):
        try:
            graph.read(memoryview(data)[:length], "x")
        except RefusedError:
            continue


@pytest.fixture
def ort(tmp_path: Path) -> bytes:
    onnx.save(runs.model(), str(tmp_path / "m.onnx"))
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "m.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"])
    return (tmp_path / "m.ort").read_bytes()


def test_ort_s_format_says_the_same(ort: bytes) -> None:
    theirs = graph.read(memoryview(runs.model().SerializeToString()), "x")
    ours = ortfile.read(memoryview(ort), "x")
    assert (ours.inputs, ours.outputs, ours.outside) == (theirs.inputs, theirs.outputs, [])


def test_ort_s_format_written_again(ort: bytes, tmp_path: Path) -> None:
    again = ortwrite.canonical(ort)
    assert ortwrite.canonical(again) == again
    (tmp_path / "c.ort").write_bytes(again)
    session = onnxruntime.InferenceSession(str(tmp_path / "c.ort"), providers=["CPUExecutionProvider"])
    assert [each.name for each in session.get_inputs()] == ["input_ids", "attention_mask"]


def test_nothing_of_ort_s_format_is_lost_unseen(ort: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field that a later ONNX Runtime adds is an error when it is written again, and passed over when it is read."""
    node = {slot: each for slot, each in ortfile.TABLES["Node"].items() if each[0] != "since_version"}
    monkeypatch.setattr(ortfile, "TABLES", {**ortfile.TABLES, "Node": node})
    assert ortfile.read(memoryview(ort), "x").inputs
    with pytest.raises(RefusedError, match="field 3 of Node, which is not known"):
        ortwrite.canonical(ort)


def test_a_small_file_is_not_read_for_hours() -> None:
    """All of a list lead to one table, whose lists lead to one table each."""
    import flatbuffers

    builder = flatbuffers.Builder()

    def table(slot: int, value: int, last: int = 12) -> int:
        builder.StartObject(last + 1)
        builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return int(builder.EndObject())

    def listed(place: int) -> int:
        builder.StartVector(4, 2000, 4)
        for _ in range(2000):
            builder.PrependUOffsetTRelative(place)
        return int(builder.EndVector())

    tensor = table(5, listed(builder.CreateString("x" * 2000)))
    node = table(10, listed(table(11, listed(tensor))))
    builder.Finish(table(1, table(7, table(2, listed(node)))), file_identifier=ortfile.MARK)
    data = bytes(builder.Output())
    assert len(data) < 50_000
    with pytest.raises(RefusedError, match="many references to the same bytes"):
        ortfile.read(memoryview(data), "x")


def test_every_prefix_of_ort_s_format_is_read_or_refused(ort: bytes) -> None:
    for length in range(0, len(ort), 7):
        try:
            ortfile.read(memoryview(ort)[:length], "x")
        except RefusedError:
            continue
