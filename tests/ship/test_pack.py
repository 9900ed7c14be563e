"""Packing a run: what is in the bundle, that its bytes follow from the run, and that nothing is lost."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgesft.errors import InputError, UnavailableError
from edgesft.ship import golden, lineage, seal
from edgesft.ship.finding import RefusedError
from edgesft.ship.pack import Order, pack
from edgesft.ship.source import Folder, open_source
from edgesft.ship.variant import Device, select
from edgesft.ship.verify import verify
from tests.ship import runs
from tests.ship.conftest import QUIET


def test_the_same_run_gives_the_same_bytes(run: Path, tmp_path: Path) -> None:
    one, other = (pack(Order(run, tmp_path / f"{name}.zip"), QUIET).path.read_bytes() for name in "ab")
    assert one == other


def test_where_the_run_lay_does_not_matter(bundle: Path, tmp_path: Path) -> None:
    moved = runs.write(tmp_path / "elsewhere")
    again = pack(Order(moved, tmp_path / "again", name="words", version=3), QUIET).path
    assert runs.contents(again) == runs.contents(bundle)
    assert not [name for name, data in runs.contents(again).items() if str(tmp_path).encode() in data]


def test_folder_and_archive_have_the_same_files(run: Path, bundle: Path, tmp_path: Path) -> None:
    whole = pack(Order(run, tmp_path / "b.zip", name="words", version=3), QUIET).path
    with zipfile.ZipFile(whole) as read:
        assert {name: read.read(name) for name in read.namelist()} == runs.contents(bundle)
    assert verify(whole).holds


def test_what_the_contract_says(bundle: Path) -> None:
    said = json.loads((bundle / "contract.json").read_bytes())
    assert said["labels"] == ["negative", "positive"] and said["decoding"]["classes"] == 2
    assert said["decoding"]["temperature"] == 1.5 and said["thresholds"]["unknown"]["accept_above"] == 0.25
    assert said["inputs"][0] == {"name": "input_ids", "dtype": "int64", "shape": ["batch", "sequence"]}
    assert said["preparation"]["tokenizer"] == "processor/tokenizer.json"
    assert said["preparation"]["fields"] == {"input_ids": "ids", "attention_mask": "attention_mask"}


def test_the_contract_is_enough_to_make_the_golden_inputs(bundle: Path) -> None:
    """What a device does with a raw row, by the contract alone, gives the golden inputs."""
    from tokenizers import Tokenizer

    said = json.loads((bundle / "contract.json").read_bytes())["preparation"]
    tokenizer = Tokenizer.from_file(str(bundle / said["tokenizer"]))
    tokenizer.no_padding()
    tokenizer.enable_truncation(said["max_length"], direction=said["truncation_side"])
    rows = golden.load(json.loads((bundle / "golden.json").read_bytes())).rows
    for row in rows:
        encoding = tokenizer.encode(row.row[said["columns"][0]])
        for name, field in said["fields"].items():
            np.testing.assert_array_equal(row.inputs[name], [getattr(encoding, field)])
    assert len(rows) == 5 and len({row.inputs["input_ids"].shape for row in rows}) > 1


def test_every_form_of_a_model_needs_the_memory_that_was_measured(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    measured = {"peak_memory_bytes": 5_000_000, "baseline_memory_bytes": 2_000_000}
    runs.edit(run / "results.json", lambda said: said["stages"][0]["measurement"].update(measured))
    found = pack(Order(run, tmp_path / "bundle"), QUIET).manifest.variants
    assert {each.name: each.memory_bytes for each in found} == dict.fromkeys(
        ("fp32", "fp32-static", "fp32-ort"), 3_000_000
    )
    small = Device(("CPUExecutionProvider",), "1.32", memory_bytes=1_000_000)
    assert select(found, small) is None


def test_lineage_and_measurements(bundle: Path) -> None:
    told = json.loads((bundle / "lineage.json").read_bytes())
    assert told["base_model"] == {"name": "base", "sha256": "a" * 64}
    assert told["data"]["splits"]["test"] == "test.jsonl" and told["data"]["with_test_sha256"] == "c" * 64
    assert told["stages"][0]["details"] == {"where": "checkpoint"}
    assert told["licences"] == {"base_model": "mit", "files": ["licences/base-model/LICENSE"]}
    measured = json.loads((bundle / "measurements.json").read_bytes())
    assert measured["verdict"] == "pass" and measured["model"]["latency_ns"]["p95"] == 99000
    card = (bundle / "MODEL_CARD.md").read_text()
    for word in ("license: mit", "Verdict: pass", "negative, positive", "the test rows are few", "0.099 ms"):
        assert word in card


def test_what_a_stage_bought() -> None:
    base: dict[str, Any] = {
        "metrics": {"test": {"f1": 0.9}},
        "size_bytes": 100,
        "latency_ns": {"p50": 10},
        "kept": True,
    }
    lost = {**base, "size_bytes": 70, "kept": False}
    last = {**base, "metrics": {"test": {"f1": 0.89}}, "size_bytes": 50, "latency_ns": None}
    told = lineage.stages([base, lost, last], "f1", "test")
    assert [row["bought"] for row in told] == [
        None,
        {"latency_p50_ratio": 1.0, "size_ratio": 0.7, "f1": 0.0},
        {"latency_p50_ratio": None, "size_ratio": 0.5, "f1": -0.01},
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("/home/me/data/x.jsonl", "x.jsonl"), ("C:\\data\\x", "x"), ("a/b", "a/b"), ("owner/name", "owner/name"), (3, 3)],
)
def test_no_folder_of_this_machine_ships(text: Any, expected: Any) -> None:
    assert lineage.anonymous({"a": [text]}) == {"a": [expected]}


def test_operators_of_all_models(bundle: Path) -> None:
    lines = (bundle / "required_operators.config").read_text().splitlines()
    named = {name for line in lines if not line.startswith("#") for name in line.split(";")[2].split(",")}
    assert {"Gather", "MatMul", "ReduceSum", "Cast", "Mul"} <= named
    assert "# models/fp32-static/model.onnx" in lines


def test_the_float_reference(run: Path, tmp_path: Path) -> None:
    """Of an int8 model: from the store, by the key that the run recorded; else left out, and said."""
    int8 = Path(shutil.copytree(run, tmp_path / "run"))

    def change(results: dict[str, Any]) -> None:
        results["stages"].append(
            {**results["stages"][0], "name": "quantize", "precision": "int8-dynamic", "key": "1" * 32}
        )

    results = json.loads((int8 / "results.json").read_text())
    change(results)
    (int8 / "results.json").write_text(json.dumps(results))
    store = tmp_path / "store"
    order = Order(int8, tmp_path / "without", variants=("model", "fp32"), store=store)
    assert "no longer in the store" in pack(order, QUIET).left_out["fp32"]
    folder = store / "objects" / ("0" * 32) / "model"
    folder.mkdir(parents=True)
    shutil.copyfile(run / "model.onnx", folder / "model.onnx")
    packed = pack(Order(int8, tmp_path / "with", variants=("model", "fp32"), store=store), QUIET)
    assert [each.name for each in packed.manifest.variants] == ["int8-dynamic", "fp32"] and not packed.left_out
    assert verify(packed.path).holds
    assert set(json.loads((packed.path / "golden.json").read_bytes())["tolerances"]) == {"int8-dynamic", "fp32"}


def test_golden_inputs_of_one_s_own(run: Path, tmp_path: Path) -> None:
    ids = np.full((3, 4), 7, np.int64)
    np.savez(tmp_path / "rows.npz", input_ids=ids, attention_mask=np.ones_like(ids))
    packed = pack(Order(run, tmp_path / "b", inputs=tmp_path / "rows.npz", variants=("model",)), QUIET)
    rows = golden.load(json.loads((packed.path / "golden.json").read_bytes())).rows
    assert len(rows) == 3 and rows[0].row is None and rows[0].inputs["input_ids"].tolist() == [[7] * 4]


def test_a_verdict_that_does_not_hold_is_said(tmp_path: Path) -> None:
    packed = pack(Order(runs.write(tmp_path, verdict="fail"), variants=("model",)), QUIET)
    assert "'fail'" in packed.warnings[0] and packed.path == tmp_path / "run-bundle.zip"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"variants": ("int3",)}, "variant must be one of"),
        ({"name": "a/b"}, "name must be"),
        ({"version": 0}, "version must be"),
        ({"rows": 0}, "rows must be"),
        ({"runtime": "new"}, "min-runtime must be"),
        ({"licences": [Path("none")]}, "licence must be"),
        ({"inputs": Path("none.npz")}, "none.npz"),
    ],
)
def test_orders_that_cannot_be(run: Path, tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        pack(Order(run, tmp_path / "b", **change), QUIET)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["results.json", "contract.json", "recipe.yaml"])
def test_a_run_that_lacks_something(run: Path, tmp_path: Path, name: str) -> None:
    less = Path(shutil.copytree(run, tmp_path / "run"))
    (less / name).unlink()
    with pytest.raises(InputError, match=f"with {name}"):
        pack(Order(less, tmp_path / "b"), QUIET)


def test_rows_that_are_gone(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    (tmp_path / "test.jsonl").unlink()
    with pytest.raises(InputError, match=r"(?s)test.jsonl.*--inputs"):
        pack(Order(run, tmp_path / "b"), QUIET)
    assert not (tmp_path / "b").exists()


def test_a_base_model_that_is_gone(tmp_path: Path) -> None:
    """Its digest is in the results; only its terms are not known any more."""
    run = runs.write(tmp_path)
    shutil.rmtree(tmp_path / "base")
    packed = pack(Order(run, tmp_path / "b", variants=("model",)), QUIET)
    assert json.loads((packed.path / "lineage.json").read_bytes())["licences"] == {"base_model": None, "files": []}
    assert "licence of the base model was not known" in (packed.path / "MODEL_CARD.md").read_text()


def test_terms_that_are_given(run: Path, tmp_path: Path) -> None:
    (tmp_path / "DATA-TERMS.txt").write_text("x")
    order = Order(run, tmp_path / "b", variants=("model",), licences=[tmp_path / "DATA-TERMS.txt"])
    packed = pack(order, QUIET)
    assert (packed.path / "licences" / "DATA-TERMS.txt").read_text() == "x" and verify(packed.path).holds


def test_labels_must_be_as_many_as_scores(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    said = json.loads((run / "contract.json").read_text())
    (run / "contract.json").write_text(json.dumps({**said, "labels": ["a", "b", "c"]}))
    with pytest.raises(RefusedError, match="3 labels, got 2"):
        pack(Order(run, tmp_path / "b"), QUIET)


def test_labels_must_be_as_many_as_scores_that_only_running_tells(tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    model = runs.model()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_param = "classes"
    onnx.save(model, str(run / "model.onnx"))
    said = json.loads((run / "contract.json").read_text())
    (run / "contract.json").write_text(json.dumps({**said, "labels": ["negative", "positive", "neither"]}))
    results = json.loads((run / "results.json").read_text())
    results["model_sha256"] = hashlib.sha256((run / "model.onnx").read_bytes()).hexdigest()
    (run / "results.json").write_text(json.dumps(results))
    with pytest.raises(RefusedError, match=r"3 labels, got shape \[1, 2\]"):
        pack(Order(run, tmp_path / "b", variants=("model",)), QUIET)


def test_what_is_there_stays(run: Path, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_bytes(b"mine")
    with pytest.raises(InputError, match="--replace"):
        pack(Order(run, tmp_path / "b.zip"), QUIET)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine").touch()
    with pytest.raises(InputError, match="a bundle where it is to be replaced"):
        pack(Order(run, tmp_path / "folder", replace=True), QUIET)
    assert (tmp_path / "b.zip").read_bytes() == b"mine" and (tmp_path / "folder" / "mine").exists()


@pytest.mark.parametrize("name", ["b.zip", "b"])
def test_a_bundle_is_replaced_by_a_whole_one(
    run: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / name
    pack(Order(run, target, variants=("model",)), QUIET)
    before = open_source(target).digest("manifest.json")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="gone"):
        patch.setattr(seal.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("gone")))
        pack(Order(run, target, version=2, variants=("model",), replace=True), QUIET)
    assert open_source(target).digest("manifest.json") == before
    assert [path.name for path in tmp_path.iterdir()] == [name]
    pack(Order(run, target, version=2, variants=("model",), replace=True), QUIET)
    assert verify(target, at_least=2, rows=False).holds


def test_from_python(run: Path, tmp_path: Path) -> None:
    import edgesft

    packed = edgesft.pack(run, tmp_path / "b.zip", version=2, variants=("model",), progress=QUIET)
    assert edgesft.verify(packed.path, at_least=2).holds


def test_a_runtime_that_is_too_old(bundle: Path, tmp_path: Path) -> None:
    newer = runs.copy(bundle, tmp_path / "b")
    runs.edit(newer / "manifest.json", lambda said: [each.update(runtime="99.0") for each in said["variants"]])
    with pytest.raises(UnavailableError, match="onnxruntime 99.0 or newer"):
        verify(newer)


def test_context_models_are_left_out_where_nothing_compiles(run: Path, tmp_path: Path) -> None:
    packed = pack(Order(run, tmp_path / "b", variants=("model", "context")), QUIET)
    assert packed.left_out == {"context": "CPUExecutionProvider does not compile ahead of time"}
    assert "No `context`" in (packed.path / "MODEL_CARD.md").read_text()


def test_a_folder_lists_its_files(bundle: Path) -> None:
    assert set(Folder(bundle).files) == set(runs.contents(bundle))
