"""A raw model in a bundle: proven when it is packed, verified as all else, and refused where it cannot be right."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

from edgesft.ship import session, wiring
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.models import LEAST_RUNTIME
from edgesft.ship.pack import Order, Packed, pack
from edgesft.ship.raw import answer, edge_cases, proof, text, whole
from edgesft.ship.raw.document import RAW
from edgesft.ship.verify import verify
from edgesft.stages.export.shapes import fix_shapes
from tests import tiny
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.raw.test_picture import PLAIN
from tests.ship.test_kinds import renewed, rewritten

MODEL = "models/raw/model.onnx"


def made(run: Path, out: Path, **order: Any) -> Packed:
    return pack(Order(run, out, **{"variants": ("model",), "raw": True, **order}), QUIET)


@pytest.fixture(scope="module")
def packed(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Packed:
    """A bundle with a raw model; read only."""
    return made(run, tmp_path_factory.mktemp("raw") / "bundle")


def test_what_is_told_of_it(packed: Packed) -> None:
    said = json.loads((packed.path / RAW).read_bytes())
    assert said["inputs"] == [{"name": "text", "dtype": "uint8", "shape": ["bytes"]}]
    assert [each["name"] for each in said["outputs"]] == ["label", "score", "scores", "known"]
    rows, odd = said["proof"]["rows"], said["proof"]["hard"]
    assert rows["count"] == rows["same_feeds"] == rows["same_answers"] == 15
    assert odd["count"] == odd["same_answers"] == len(edge_cases.TEXTS) and odd["differing"] == []
    assert said["variant"]["runtime"] == LEAST_RUNTIME and said["of"] == "fp32"
    assert "15 of 15 rows (test) and" in (packed.path / "MODEL_CARD.md").read_text()
    assert ",Loop," in (packed.path / "required_operators.config").read_text()


def test_no_library_is_needed(packed: Packed) -> None:
    model = onnx.load(packed.path / MODEL)
    onnx.checker.check_model(model)
    assert {entry.domain for entry in model.opset_import} == {""}
    loaded = onnxruntime.InferenceSession(packed.path / MODEL, providers=[session.CPU])
    label, score = loaded.run(["label", "score"], {"text": np.frombuffer(b"a lovely film", np.uint8)})
    assert label.shape == score.shape == (1,) and label[0] in ("negative", "positive")


def test_verify_runs_it(packed: Packed) -> None:
    report = verify(packed.path)
    assert report.holds and report.checks["raw"] == "holds"
    assert verify(packed.path, rows=False).checks["raw"] == "holds"


def test_the_same_run_gives_the_same_bytes(run: Path, packed: Packed, tmp_path: Path) -> None:
    assert runs.contents(made(run, tmp_path / "again").path) == runs.contents(packed.path)


def test_rows_that_must_not_leave_the_house(run: Path, tmp_path: Path) -> None:
    ids = np.asarray([[2, 7, 3]], np.int64)
    np.savez(tmp_path / "rows.npz", input_ids=ids, attention_mask=np.ones_like(ids))
    bundle = made(run, tmp_path / "bundle", inputs=tmp_path / "rows.npz").path
    said = json.loads((bundle / RAW).read_bytes())
    texts = {row["row"]["text"] for row in said["golden"]["rows"]}
    assert texts == set(edge_cases.TEXTS.values()) and said["proof"]["rows"]["count"] == 15


def test_a_model_of_fixed_sizes_is_fed_zeros_at_the_end(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    requests = [{name: np.ones((1, runs.LONGEST), np.int64) for name in ("input_ids", "attention_mask")}]
    sizes = {"batch": 1, "sequence": runs.LONGEST}
    fix_shapes(run / "model.onnx", tmp_path / "fixed" / "model.onnx", sizes, requests)
    shutil.copy(tmp_path / "fixed" / "model.onnx", run / "model.onnx")
    renewed(run)
    found = made(run, tmp_path / "bundle")
    assert found.raw and found.raw.proof["rows"]["same_answers"] == 15
    assert verify(found.path).holds


def test_pictures(tmp_path: Path) -> None:
    rows = tiny.filed(tiny.pictured(40), tmp_path / "rows")
    nodes = [
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "table"], ["logits"]),
    ]
    table = np.asarray([[3.0, -1.0], [0.5, 2.0], [-2.0, 1.0]], np.float32)
    model = built(nodes, table, np.asarray([2, 3], np.int64))
    options = {**PLAIN, "resize": [9, 12], "scale": 1 / 255, "input": "pixels", "temperature": 1.0}
    options |= {"layout": "NCHW", "dtype": "float32"}
    named = [{key: str(row[key]) for key in ("image", "label")} for row in rows]
    contract = {"labels": ["lying", "standing"], "options": options}
    run = rewritten(tmp_path / "made", model, contract, named, "image-classification", {})
    for file in run.glob("tokenizer*"):
        file.unlink()
    found = made(run, tmp_path / "bundle")
    assert found.raw and found.raw.proof["rows"]["same_feeds"] == found.raw.proof["rows"]["count"] == 10
    assert found.raw.proof["hard"]["same_feeds"] == len(edge_cases.pictures())
    assert verify(found.path).holds


def built(nodes: list[onnx.NodeProto], table: np.ndarray, axes: np.ndarray) -> onnx.ModelProto:
    kinds = onnx.TensorProto.FLOAT
    ends = [
        [helper.make_tensor_value_info("pixels", kinds, ["batch", 3, "height", "width"])],
        [helper.make_tensor_value_info("logits", kinds, ["batch", 2])],
    ]
    weights = [onnx.numpy_helper.from_array(table, "table"), onnx.numpy_helper.from_array(axes, "axes")]
    graph = helper.make_graph(nodes, "pictures", *ends, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def test_weights_beside_the_file_go_with_it(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    model = onnx.load(run / "model.onnx")
    onnx.save(model, run / "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=1024)
    renewed(run)
    found = made(run, tmp_path / "bundle")
    assert found.raw and set(found.raw.variant.files) == {MODEL, "models/raw/model.onnx.data"}
    assert verify(found.path).holds


def test_a_model_with_branches_and_functions_of_its_own(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    model = onnx.load(run / "model.onnx")
    last = model.graph.node[-1]
    last.output[0] = "label"  # as the raw model's own output is called
    twice = helper.make_function(
        "own", "Twice", ["x"], ["y"], [helper.make_node("Add", ["x", "x"], ["y"])], [helper.make_opsetid("", 20)]
    )
    model.functions.append(twice)
    model.opset_import.append(helper.make_opsetid("own", 1))
    branches = [
        helper.make_graph([helper.make_node(operator, ["label"], [operator], domain=domain)], operator, [], [end])
        for operator, domain in (("Twice", "own"), ("Identity", ""))
        for end in [helper.make_tensor_value_info(operator, onnx.TensorProto.FLOAT, None)]
    ]
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(True), "which"))
    chosen = helper.make_node("If", ["which"], ["logits"], then_branch=branches[0], else_branch=branches[1])
    model.graph.node.append(chosen)
    onnx.save(model, run / "model.onnx")
    renewed(run)
    found = made(run, tmp_path / "bundle")
    assert found.raw and found.raw.proof["rows"]["same_answers"] == 15 and verify(found.path).holds


def test_an_older_opset_is_named(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    model = onnx.load(run / "model.onnx")
    model.opset_import[0].version = 17
    onnx.save(model, run / "model.onnx")
    renewed(run)
    found = made(run, tmp_path / "bundle")
    assert "opset 18 or newer to be part of a larger graph, got 17" in found.left_out["raw"]
    assert not found.raw and not (found.path / "models" / "raw").exists() and not (found.path / RAW).exists()


def wrong_tokens(monkeypatch: pytest.MonkeyPatch, only: Callable[[str], bool]) -> None:
    """Texts that are told of are fed otherwise, as by a graph with a fault."""
    right = proof._case

    def case(name: str, reads: str, row: Any) -> proof.Case:
        found = right(name, reads, row)
        other = proof.encoded(f"{row['text']} good") if only(row["text"]) else found.given
        return proof.Case(found.name, other, found.row)

    monkeypatch.setattr(proof, "_case", case)


def test_rows_that_are_fed_otherwise_are_named(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_tokens(monkeypatch, lambda text: "film" in text)
    found = made(run, tmp_path / "bundle")
    rows = [each["text"] for each in map(json.loads, (run.parent / "test.jsonl").read_text().splitlines())]
    names = [str(place) for place, each in enumerate(rows) if "film" in each]
    said = found.left_out["raw"]
    assert f"got others of {len(names)} of 15: {', '.join(names[:5])}" in said and "counted from 0" in said
    assert not (found.path / "models" / "raw").exists() and verify(found.path).holds
    assert json.loads((found.path / "lineage.json").read_bytes())["left_out"]["raw"] == said


def test_rows_of_which_another_label_is_told_are_named(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where probabilities are right and their names are not."""

    def classes(n: Any, said: dict[str, Any], score_of: Any) -> answer.Outputs:
        return answer.classes(n, {**said, "labels": said["labels"][::-1]}, score_of)

    monkeypatch.setitem(whole.ANSWERS, "classes", classes)
    found = made(run, tmp_path / "bundle")
    words = "must be answered with the model's own labels, got others of 15 of 15: 0, 1, 2, 3, 4 and 10 more"
    assert words in found.left_out["raw"] and not (found.path / RAW).exists()


def test_a_raw_model_that_does_not_run_is_left_out(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = session.file_runner

    def runner(path: Path, name: str, fixed: Any) -> wiring.Run:
        if name == MODEL:
            raise RefusedError(Finding("must load in ONNX Runtime, got: no", None, name, "model"))
        return right(path, name, fixed)

    monkeypatch.setattr(session, "file_runner", runner)
    found = made(run, tmp_path / "bundle")
    assert "the raw model must run, got: models/raw/model.onnx: must load" in found.left_out["raw"]
    assert not (found.path / "models" / "raw").exists() and verify(found.path).holds


def test_hard_inputs_that_differ_are_told(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "POINTS", 0x100)  # what lies above becomes ÿ, which is normalised to y
    monkeypatch.setattr(edge_cases, "TEXTS", {"plain": "a film", "emoji": "😀", "emoji in a word": "good😀"})
    found = made(run, tmp_path / "bundle")
    assert found.raw
    told = found.raw.proof["hard"]
    assert told["differing"] == ["emoji", "emoji in a word"] and told["count"] == 3 and told["same_feeds"] == 1
    assert "not: emoji, emoji in a word" in (found.path / "MODEL_CARD.md").read_text()
    assert len(found.raw.rows().rows) == 5 + 1


ATTACKS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no golden rows": (lambda said: said.pop("golden"), "must be an object with variant and golden"),
    "newer": (lambda said: said.update(schema_version=2), "schema_version must be 1 to 1"),
    "a key more": (lambda said: said.update(more=1), "more must not be there"),
    "a file that is not there": (
        lambda said: said["variant"].update(file="models/raw/other.onnx", files=["models/raw/other.onnx"]),
        "must be made of files of the manifest",
    ),
    "another output": (lambda said: said["outputs"][0].update(name="class"), "outputs must be"),
    "another form": (lambda said: said["variant"].update(form="ort"), "must be of the form onnx"),
    "rows of another": (lambda said: said["variant"].update(golden="fp32"), "must have outputs of 'fp32', got none"),
    "another answer": (
        lambda said: said["golden"]["rows"][0]["outputs"]["raw"]["score"].update(data="AAAAAA=="),
        "'score' must be within",
    ),
    "another label": (
        lambda said: [row["outputs"]["raw"]["label"].update(data=["x"]) for row in said["golden"]["rows"]],
        "'label' must be within",
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_what_raw_json_says_must_be_so(name: str, packed: Packed, tmp_path: Path) -> None:
    change, words = ATTACKS[name]
    bundle = runs.copy(packed.path, tmp_path / "bundle")
    runs.edit(bundle / RAW, change)
    runs.seal(bundle)
    report = verify(bundle)
    assert not report.holds and report.checks["raw"] == "fails"
    assert any(words in str(each) for each in report.findings), [str(each) for each in report.findings]


def test_a_raw_model_that_reads_other_files(packed: Packed, tmp_path: Path) -> None:
    bundle = runs.copy(packed.path, tmp_path / "bundle")

    def change(model: onnx.ModelProto) -> None:
        tensor = next(each for each in model.graph.initializer if each.raw_data)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="../../contract.json")

    runs.edit_model(bundle / MODEL, change)
    runs.seal(bundle)
    report = verify(bundle)
    assert [each.where for each in report.findings] == [MODEL]
    assert "must read no file but those of its variant" in report.findings[0].message
