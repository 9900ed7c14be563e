"""Other ways to write a graph: the answers stay, and what pays is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

from edgesft.spec.stages import OptimizeSpec
from edgesft.stages import optimize
from edgesft.stages.artefact import Artefact
from edgesft.stages.export.checks import file_run
from edgesft.stages.optimize import Rewriting
from edgesft.stages.quantize import dynamic
from edgesft.tasks.base import Batch
from tests.stages.surroundings import TASK, Small, context, small

SPEC = OptimizeSpec(stage="optimize")


@pytest.fixture(scope="module")
def model(bert: Path) -> Small:
    return small(bert)


@pytest.fixture(scope="module")
def artefact(model: Small, tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    return model.export(tmp_path_factory.mktemp("optimize") / "onnx")


def faster(share: float) -> Callable[[Sequence[Path]], list[int]]:
    return lambda places: [1000, *[int(1000 * share)] * (len(places) - 1)]


def padded(model: Small) -> Batch:
    """Several rows of several lengths."""
    batch = TASK.collate(model.rows[:5], model.processor)
    assert len({int(row.sum()) for row in batch["attention_mask"]}) > 1
    return {name: values for name, values in batch.items() if name != "labels"}


def operators(place: Path) -> dict[str, int]:
    nodes = onnx.load(place).graph.node
    return {kind: sum(node.op_type == kind for node in nodes) for kind in {node.op_type for node in nodes}}


def test_what_pays_is_kept_and_answers_stay(model: Small, artefact: Artefact, tmp_path: Path) -> None:
    out, surroundings = tmp_path / "out", context(tmp_path / "work", model, latency=faster(0.5))
    report = optimize.run(SPEC, artefact, out, surroundings)
    kept = dict.fromkeys(("attentions", "first positions", "merged products", "plain sums"), "kept")
    verdicts = {row["name"]: row["verdict"] for row in report.details["rewritings"]}
    assert verdicts == {"pointwise products": "nowhere", **kept}
    assert report.summary.startswith("2 attentions × 0.50, 4 first positions × 0.50")
    before, after = operators(artefact.model), operators(out / "model.onnx")
    assert after["MultiHeadAttention"] == 2 and "Softmax" not in after
    assert after["Sum"] == before["LayerNormalization"] and after["MatMul"] == before["MatMul"] - 4 - 3
    assert {place.name for place in out.iterdir()} == {place.name for place in artefact.path.iterdir()}
    onnx.checker.check_model(str(out / "model.onnx"))
    names = [node.name for node in onnx.load(out / "model.onnx").graph.node]
    assert len(set(names)) == len(names) and all(names)
    assert "bert.encoder.layer.0.attention.self.query+key+value.MatMul" in names
    run, plain, batch = file_run({"model": out / "model.onnx"}), file_run({"model": artefact.model}), padded(model)
    np.testing.assert_allclose(run(batch)["logits"], plain(batch)["logits"], atol=1e-4)

    again = optimize.run(SPEC, artefact, tmp_path / "again", context(tmp_path / "work", model))
    assert again == report
    assert (tmp_path / "again/model.onnx").read_bytes() == (out / "model.onnx").read_bytes()


def test_what_was_rewritten_can_be_quantized(model: Small, artefact: Artefact, tmp_path: Path) -> None:
    optimize.run(SPEC, artefact, tmp_path / "out", context(tmp_path / "work", model, latency=faster(0.5)))
    plan = dynamic(tmp_path / "out/model.onnx", tmp_path / "q.onnx")
    assert {name for name in plan.quantized if "Gather" in name} and operators(tmp_path / "q.onnx")["MatMulInteger"] > 5
    run, plain, batch = file_run({"model": tmp_path / "q.onnx"}), file_run({"model": artefact.model}), padded(model)
    largest = float(np.abs(plain(batch)["logits"]).max())
    assert float(np.abs(run(batch)["logits"] - plain(batch)["logits"]).max()) < 0.5 * largest


def test_ways_are_timed_in_the_form_that_is_fastest(model: Small, artefact: Artefact, tmp_path: Path) -> None:
    seen: list[list[bool]] = []

    def latency(places: Sequence[Path]) -> list[int]:
        seen.append(["MatMulInteger" in operators(place) for place in places])
        return [1000, 500] if len(seen) == 1 else [1000, 1000]

    spec = OptimizeSpec(stage="optimize", precision="auto")
    report = optimize.run(spec, artefact, tmp_path / "out", context(tmp_path / "work", model, latency=latency))
    assert seen == [[False, True], *[[True, True]] * 4] and report.details["precision"] == "int8-dynamic"
    slow = optimize.run(spec, artefact, tmp_path / "slow", context(tmp_path / "w", model, latency=faster(0.96)))
    assert slow.details["precision"] == "fp32"
    plain = context(tmp_path / "p", model, latency=faster(0.5), precisions=("fp32",))
    assert optimize.run(spec, artefact, tmp_path / "plain", plain).details["precision"] == "fp32"


def test_what_does_not_pay_goes(model: Small, artefact: Artefact, tmp_path: Path) -> None:
    report = optimize.run(SPEC, artefact, tmp_path / "out", context(tmp_path / "work", model, latency=faster(1.0)))
    assert report.summary == "nothing that pays"
    assert (tmp_path / "out/model.onnx").read_bytes() == artefact.model.read_bytes()
    json.dumps(report.details)


def test_a_rewriting_that_fails_or_changes_answers_goes(
    model: Small, artefact: Artefact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(program: object) -> int:
        raise RuntimeError("no such rule")

    def wrong(program: object) -> int:
        next(node for node in program.graph if node.op_type == "Gelu").op_type = "Relu"  # type: ignore[attr-defined]
        return 1

    def nowhere(program: object) -> int:
        return 0

    tried = tuple(Rewriting(each.__name__, each) for each in (broken, wrong, nowhere))
    monkeypatch.setattr(optimize, "REWRITINGS", tried)
    report = optimize.run(SPEC, artefact, tmp_path / "out", context(tmp_path / "work", model))
    verdicts = {row["name"]: row["verdict"] for row in report.details["rewritings"]}
    assert verdicts["broken"] == "failed: RuntimeError: no such rule" and verdicts["nowhere"] == "nowhere"
    assert verdicts["wrong"].startswith("answers differ by") or verdicts["wrong"].startswith("failed")
    assert (tmp_path / "out/model.onnx").read_bytes() == artefact.model.read_bytes()
