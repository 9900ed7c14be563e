"""Keep what pays over a whole run, with scripted scores and latencies instead of models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgesft.budget.percentile import Interval
from edgesft.errors import StageError
from edgesft.measure.devices import HERE
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import ModelFile
from edgesft.pipeline import run as runs
from edgesft.pipeline.outcome import Evaluation, Outcome
from edgesft.pipeline.plan import Step
from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec
from edgesft.spec.recipe import RecipeSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageReport
from edgesft.tasks.text_classification import TextClassification

Script = dict[str, tuple[float, int, int]]
"""What a stage makes: accuracy, nanoseconds, bytes."""


def measurement(ns: int) -> Measurement:
    rng = np.random.default_rng(ns)
    rounds = tuple(tuple(int(each) for each in rng.normal(ns, ns / 100, 30)) for _ in range(10))
    return Measurement(
        scenario="single-stream",
        provider="CPUExecutionProvider",
        threads=1,
        options={},
        runtime="1",
        machine={},
        runtime_bytes=1,
        conditions=(),
        rounds=rounds,
        loads_ns=(1,),
        firsts_ns=(1,),
        warmup_samples=5,
        warmup_stable=True,
        peak_memory_bytes=1,
        baseline_memory_bytes=1,
        placement=None,
        partitions=None,
        left=None,
        inputs="scripted",
        axis=None,
        lengths=None,
        states={},
        energy_uj=None,
        detail={},
    )


@pytest.fixture
def outcome(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs stages whose results are scripted by name."""

    def start(script: Script, *stages: dict[str, Any], **budget: Any) -> Outcome:
        recipe = RecipeSpec.model_validate(
            {"version": 1, "model": "m", "task": "t", "data": {"train": "t"}, "stages": stages, "budget": budget}
        )

        def made(form: Any, name: str) -> Artefact:
            return Artefact(form, tmp_path / form / name.rpartition("+")[2], name)

        def inspect(path: Path) -> ModelFile:
            return ModelFile(path, "onnx", (path,), path.stat().st_size, "", parameters=1)

        class Maker:
            def __init__(self, *unused: Any) -> None: ...

            def start(self) -> Artefact:
                return made("torch", "model")

            def make(self, step: Step, source: Artefact, reference: Artefact | None) -> tuple[Artefact, StageReport]:
                form = "onnx" if step.spec.stage in ("quantize", "export") else "torch"
                # A key tells the path that led to it: model+finetune+prune.
                name = source.key if step.inserted else f"{source.key}+{step.name}"
                details = {"quantization": getattr(step.spec, "quantization", None) or "none"}
                return made(form, name), StageReport("", details)

            def rounded(self, onnx: Artefact, scheme: str) -> Artefact:
                if onnx.path.name not in script or f"{onnx.path.name} in {scheme}" not in script:
                    raise StageError("nothing to quantize")
                return replace(onnx, path=onnx.path.with_name(f"{onnx.path.name} in {scheme}"))

            def onnx(self, artefact: Artefact) -> Artefact:
                file = tmp_path / "onnx" / artefact.path.name
                file.mkdir(parents=True, exist_ok=True)
                (file / "model.onnx").write_bytes(b"x" * script[artefact.path.name][2])
                origin = SimpleNamespace(parameters=1)
                return Artefact("onnx", file, artefact.key, origin)  # type: ignore[arg-type]

        class Measurer:
            def __init__(self, *unused: Any) -> None: ...

            def evaluation(self, onnx: Artefact, split: str, *, whole: bool = False) -> Evaluation:
                accuracy = script[onnx.path.name][0]
                return Evaluation({"accuracy": accuracy}, np.full((2, 2), accuracy))

            def latencies(self, models: Mapping[str, Artefact], settings: Any) -> dict[str, Measurement]:
                return {name: measurement(script[onnx.path.name][1]) for name, onnx in models.items()}

            def assessment(self, onnx: Artefact, split: str) -> dict[str, Any]:
                return {"of": onnx.key, "on": split}

            def calibration(self, onnx: Artefact) -> dict[str, Any]:
                return {}

            def intervals(self, final: Artefact, original: Artefact, *unused: Any) -> tuple[dict, dict]:
                level, base = (script[onnx.path.name][0] for onnx in (final, original))
                return {"accuracy": Interval(level, level, level)}, {"accuracy": Interval(base - level, -1, 1)}

        monkeypatch.setattr(runs, "inspect", inspect)
        monkeypatch.setattr(runs, "Maker", Maker)
        monkeypatch.setattr(runs, "Measurer", Measurer)
        profile = ProfileSpec.model_validate({"name": "p", "description": "d", "providers": [{"name": "CPU"}]})
        job: Any = SimpleNamespace(
            **{"recipe": recipe, "profile": profile, "metric": "accuracy", "allowances": {"accuracy": 0.01}},
            **{
                "full": None,
                "quick": None,
                "machine": {},
                "differences": [],
                "facts": {"versions": {}, "model": "", "data": ""},
            },
            **{"has_test": False, "resolved": {}, "untimed": None, "measuring": {}, "device": HERE},
            **{"data_digest": "", "task": TextClassification(), "contract": None},
            **{"progress": Progress(quiet=True)},
        )
        return runs.run(job)

    return start


FINETUNE, PRUNE, DISTILL = {"stage": "finetune"}, {"stage": "prune", "parameters": 0.5}, {"stage": "distill"}
QUANTIZE = {"stage": "quantize", "scheme": "int8-dynamic"}


def kept(outcome: Outcome) -> dict[str, bool]:
    return {row.name: row.kept for row in outcome.rows}


def test_all_that_pays_stays(outcome: Any) -> None:
    script = {
        "finetune": (0.9, 100, 100),
        "prune": (0.88, 50, 60),
        "distill": (0.895, 50, 60),
        "quantize": (0.894, 25, 15),
    }
    found = outcome(script, FINETUNE, PRUNE, DISTILL, QUANTIZE, latency_ratio={"p50": 0.3}, max_drop={"accuracy": 0.01})
    assert kept(found) == dict.fromkeys(script, True)
    assert found.final.key == "model+finetune+prune+distill+quantize" and found.verdict == "pass"


def test_pruning_is_judged_with_its_recovery(outcome: Any) -> None:
    script = {
        "finetune": (0.9, 100, 100),
        "prune": (0.80, 50, 60),
        "distill": (0.85, 50, 60),
        "quantize": (0.899, 50, 25),
    }
    found = outcome(script, FINETUNE, PRUNE, DISTILL, QUANTIZE)
    assert kept(found) == {"finetune": True, "prune": False, "distill": False, "quantize": True}
    assert found.final.key == "model+finetune+quantize", "quantize starts from what was there before the bargain"
    assert "fell 5.0 points" in found.rows[1].decision.reason


def test_a_recovery_that_gains_nothing_goes_alone(outcome: Any) -> None:
    script = {"finetune": (0.9, 100, 100), "prune": (0.895, 50, 60), "distill": (0.89, 50, 60)}
    found = outcome(script, FINETUNE, PRUNE, DISTILL)
    assert kept(found) == {"finetune": True, "prune": True, "distill": False}
    assert found.final.key == "model+finetune+prune" and "nothing gained" in found.rows[2].decision.reason


def test_what_was_trained_for_8_bits_is_judged_in_them(outcome: Any) -> None:
    script = {"finetune": (0.9, 100, 100), "prune": (0.895, 50, 60), "distill": (0.885, 50, 60)}
    rounded = {"prune in int8-static": (0.88, 20, 15), "distill in int8-static": (0.893, 20, 15)}
    taught = {**DISTILL, "quantization": "int8-static"}
    found = outcome(script | rounded, FINETUNE, PRUNE, taught, max_drop={"accuracy": 0.01})
    assert kept(found) == {"finetune": True, "prune": True, "distill": True}
    assert found.rows[2].decision.reason == "accuracy +1.3 points"
    # Where it cannot be told, floats are compared.
    assert kept(outcome(script, FINETUNE, PRUNE, taught)) == {"finetune": True, "prune": True, "distill": False}


def test_what_is_not_faster_goes(outcome: Any) -> None:
    script = {"finetune": (0.9, 100, 100), "prune": (0.9, 101, 99), "quantize": (0.9, 130, 25)}
    found = outcome(script, FINETUNE, PRUNE, QUANTIZE)
    assert kept(found) == {"finetune": True, "prune": False, "quantize": False}
    assert found.final.key == "model+finetune"
    assert [row.decision.reason.split(":")[0] for row in found.rows[1:]] == ["neither faster nor smaller", "slower"]


def test_what_answers_with_no_number_goes(outcome: Any) -> None:
    script = {"finetune": (0.9, 100, 100), "distill": (np.nan, 100, 100), "quantize": (np.nan, 25, 15)}
    found = outcome(script, FINETUNE, DISTILL, QUANTIZE)
    assert kept(found) == {"finetune": True, "distill": False, "quantize": False}
    reasons = {row.decision.reason for row in found.rows[1:]}
    assert reasons == {"does not answer with numbers: NaN in 2 of 2 rows, first in row 1"}


def test_what_is_no_number_goes(outcome: Any) -> None:
    script = {"finetune": (0.9, 100, 100), "prune": (float("nan"), 50, 60), "distill": (0.895, 50, 60)}
    found = outcome(script, FINETUNE, PRUNE)
    assert kept(found) == {"finetune": True, "prune": False}
    assert kept(outcome(script, FINETUNE, PRUNE, DISTILL)) == {"finetune": True, "prune": True, "distill": True}


def test_the_allowance_is_cumulative(outcome: Any) -> None:
    script = {"finetune": (0.9, 100, 100), "prune": (0.892, 50, 60), "quantize": (0.885, 25, 15)}
    assert kept(outcome(script, FINETUNE, PRUNE, QUANTIZE)) == {"finetune": True, "prune": True, "quantize": False}


def test_keep_always_overrides(outcome: Any) -> None:
    script = {"finetune": (0.9, 100, 100), "prune": (0.5, 200, 300)}
    found = outcome(script, FINETUNE, {**PRUNE, "keep": "always"}, max_drop={"accuracy": 0.01})
    assert kept(found) == {"finetune": True, "prune": True} and found.verdict == "fail"


def test_without_finetuning_the_model_as_given_is_the_original(outcome: Any) -> None:
    script = {"model": (0.9, 100, 100), "quantize": (0.9, 50, 25)}
    found = outcome(script, QUANTIZE, latency_ratio={"p50": 0.6})
    assert kept(found) == {"model": True, "quantize": True} and found.verdict == "pass"
    assert found.rows[0].decision.reason == "the original"
