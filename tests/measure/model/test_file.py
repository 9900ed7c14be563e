from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgesft.errors import InputError
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.model.file import explain_load_error, inspect
from edgesft.spec.profile import ProviderSpec
from tests.measure.models import save_product

CPU = [ProviderSpec(name="CPUExecutionProvider")]


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        inspect(path)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_an_onnx_file(tmp_path: Path) -> None:
    place = save_product(tmp_path / "model.onnx", width=8, repeats=3)
    found = inspect(place)
    assert (found.form, found.files, found.size_bytes) == ("onnx", (place,), place.stat().st_size)
    assert (found.opset, found.domains, found.precision) == (20, {"ai.onnx": 20}, "fp32")
    assert (found.nodes, found.parameters, found.gathers) == (3, 64, {})
    assert found.sha256 == hashlib.sha256(place.read_bytes()).hexdigest()
    assert found.to_json()["files"] == ["model.onnx"]


def external(folder: Path) -> Path:
    place = folder / "model.onnx"
    model = onnx.load(save_product(place, width=64))
    model.graph.initializer.append(numpy_helper.from_array(np.ones(999, np.float32), "more"))
    onnx.save(model, place, save_as_external_data=True, all_tensors_to_one_file=False, size_threshold=0)
    return place


def test_external_data_belongs_to_the_model(tmp_path: Path) -> None:
    place = external(tmp_path)
    found = inspect(place)
    assert [file.name for file in found.files] == ["model.onnx", "more", "weight"]
    assert found.size_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    whole = b"".join((tmp_path / name).read_bytes() for name in ("model.onnx", "more", "weight"))
    assert found.sha256 == hashlib.sha256(whole).hexdigest()


def test_each_missing_file_of_external_data_is_named(tmp_path: Path) -> None:
    place = external(tmp_path)
    (tmp_path / "more").unlink()
    (tmp_path / "weight").unlink()
    text = refusal(place)
    assert f"got no file '{tmp_path / 'more'}'" in text
    assert f"got no file '{tmp_path / 'weight'}'" in text


def test_an_ort_file(tmp_path: Path) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(str(save_product(tmp_path / "model.onnx")), options, providers=[CPU[0].name])
    found = inspect(tmp_path / "model.ort")
    assert (found.form, found.opset, found.precision, found.nodes) == ("ort", None, None, None)
    assert found.size_bytes == (tmp_path / "model.ort").stat().st_size
    with Agent() as agent:
        assert agent.load(found.path, CPU, 1).inputs[0].name == "x"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "got the empty file"),
        (b"<!DOCTYPE html>\n<html>" * 9, "got text: .* begins with '<!DOCTYPE html>'"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n", "git-lfs pointer.*\n.*git lfs pull"),
        (b"PK\x03\x04" + bytes(99), "zip archive"),
        (b"\x1c\x00\x00\x00TFL3" + bytes(99), "TensorFlow Lite"),
        (b'\x40\x00\x00\x00\x00\x00\x00\x00{"a":{}}' + bytes(99), "safetensors"),
        (bytes(range(1, 250)), "249 bytes that cannot be parsed"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    import re

    place = tmp_path / "model.onnx"
    place.write_bytes(content)
    assert re.search(words, refusal(place))


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    place = save_product(tmp_path / "model.onnx", width=64)
    place.write_bytes(place.read_bytes()[:5000])
    assert "cut short" in refusal(place)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    save_product(tmp_path / "model.onnx")
    assert "Try: 'model.onnx'" in refusal(tmp_path / "modle.onnx")
    assert "got the folder" in refusal(tmp_path)
    assert "model.onnx" in refusal(tmp_path)
    assert "there is no folder" in refusal(tmp_path / "no" / "model.onnx")
    (tmp_path / "empty").mkdir()
    assert "path of an .onnx or .ort file" in refusal(tmp_path / "empty" / "model.onnx")


def node_model(operator: str, *, domain: str = "", opset: int = 20, ir: int = 10, dtype: int = 1) -> bytes:
    ends = [helper.make_tensor_value_info(name, dtype, [1, 4]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(operator, ["x"], ["y"], "n1", domain=domain)], "g", ends[:1], ends[1:])
    domains = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=domains, ir_version=ir).SerializeToString()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (node_model("NoSuch"), "operator 'NoSuch' must be in opset 20 of the standard operators"),
        (node_model("Fancy", domain="my.domain"), "operator 'Fancy' of domain 'my.domain'"),
        (node_model("Fancy", domain="com.microsoft"), "operator 'Fancy' of domain 'com.microsoft'"),
        (node_model("Relu", dtype=TensorProto.BFLOAT16), "operator Relu (as of opset 14) must be implemented"),
        (node_model("Relu", opset=99), "opset of domain ai.onnx must be at most"),
        (node_model("Relu", ir=99), "IR version must be at most"),
        (node_model("Relu", dtype=TensorProto.STRING), "model must be valid ONNX, got: Type Error"),
        (b"hello, this is text\n" * 9, "cannot parse"),
        (b"", "cannot parse"),
        (b"\x18\x00\x00\x00ORTM" + bytes(200), "cannot parse"),
    ],
)
def test_what_the_runtime_says_is_explained(tmp_path: Path, content: bytes, words: str) -> None:
    place = tmp_path / ("model.ort" if b"ORTM" in content[:8] else "model.onnx")
    place.write_bytes(content)
    with Agent() as agent, pytest.raises(MeasureError) as caught:
        agent.load(place, CPU, 1)
    problem = explain_load_error(str(caught.value), "9.8.7")
    assert problem is not None, str(caught.value)
    assert words in problem.message
    assert "{" not in str(problem)
    assert problem.hint


def test_damaged_external_data_is_explained(tmp_path: Path) -> None:
    place = external(tmp_path)
    (tmp_path / "weight").write_bytes(b"abc")
    with Agent() as agent:
        with pytest.raises(MeasureError) as caught:
            agent.load(place, CPU, 1)
        problem = explain_load_error(str(caught.value), "9.8.7")
        assert problem is not None
        assert problem.message.startswith("external data must hold all of 'weight', got a file of 3 bytes")
        (tmp_path / "weight").unlink()
        with pytest.raises(MeasureError) as caught:
            agent.load(place, CPU, 1)
    problem = explain_load_error(str(caught.value), "9.8.7")
    assert problem is not None
    assert f"got no file '{tmp_path / 'weight'}'" in problem.message


def test_words_of_an_older_or_newer_format() -> None:
    said = "The ORT format model version [9] is not supported in this build 1.32.0."
    problem = explain_load_error(said, "1.32.0")
    assert problem is not None
    assert "got version 9" in problem.message
    assert explain_load_error("the sky fell", "1.32.0") is None
