"""What a run says of unknown inputs, and what travels with the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml

from edgesft import api
from edgesft.errors import InputError, StageError
from edgesft.pipeline.rows import Measurer
from edgesft.progress import Progress
from tests import chain, tiny

STAGES = ({"stage": "finetune", "epochs": 4, "learning_rate": 3.0e-3, "batch_size": 16, "arithmetic": "fp32"},)


def test_thresholds_travel_with_the_model(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    # Sentences without a telling word are of neither mood.
    words = tiny.GOOD + tiny.BAD
    plain = [" ".join(word for word in row["text"].split() if word not in words) for row in tiny.rows(60, seed=3)]
    (tmp_path / "plain.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in plain), "utf-8")
    recipe = chain.write(tmp_path, bert, stages=STAGES, budget={})
    result = api.run(recipe, ["data.unknown=plain.jsonl"], output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    told, contract = results["evaluation"], json.loads((tmp_path / "run" / "contract.json").read_text("utf-8"))
    assert told["open_world"]["rows"] == 60
    assert told["open_world"]["auroc"] > 0.7
    assert contract["options"]["accept_above"] == told["open_world"]["threshold"]
    assert contract["options"]["temperature"] > 0
    assert "calibration_error_calibrated" in told["averages"]
    for_people = ("results.json", "recipe.yaml", "report.html", api.LOG)
    files = [file for file in (tmp_path / "run").iterdir() if file.name not in for_people]
    assert results["stages"][0]["size_bytes"] == sum(file.stat().st_size for file in files)
    assert "unknown inputs, 60 rows: AUROC" in result.table()


def test_a_file_of_unknown_rows_must_be_there(bert: Path, tmp_path: Path) -> None:
    recipe = chain.write(tmp_path, bert)
    with pytest.raises(InputError, match=r"data\.unknown: no such file"):
        api.run(recipe, ["data.unknown=none.jsonl"], output=tmp_path / "run", progress=Progress(quiet=True))


def test_a_candidate_that_answers_with_no_number_has_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = np.array([[0.0, 1.0], [0.0, np.nan], [np.nan, np.nan]], np.float32)
    monkeypatch.setattr(Measurer, "_predict", lambda *_: (answers, {"accuracy": 1.0}))
    job: Any = None
    with pytest.raises(StageError, match="'a.onnx' must answer with numbers, got NaN in 2 of 3 rows, first in row 2"):
        Measurer(job).scores(Path("a.onnx"))


def test_a_session_of_the_profile_measures_and_is_handed_out(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    stages = ({**STAGES[0], "epochs": 1},)
    recipe = chain.write(tmp_path, bert, stages=stages, budget={})
    own = {"optimisation": "basic", "entries": {"session.set_denormal_as_zero": "1"}}
    (tmp_path / "here.yaml").write_text(yaml.safe_dump({**chain.PROFILE, "session": own}), "utf-8")
    result = api.run(recipe, output=tmp_path / "run", progress=Progress(quiet=True))
    (row,) = result.profiles["here"].results["stages"]
    assert row["measurement"]["options"] == {"optimisation": "basic", "session.set_denormal_as_zero": "1"}
    options = result.model().get_session_options()
    assert options.graph_optimization_level == onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    assert options.get_session_config_entry("session.set_denormal_as_zero") == "1"


def test_a_misspelled_session_entry_is_refused_before_anything_runs(bert: Path, tmp_path: Path) -> None:
    recipe = chain.write(tmp_path, bert)
    wrong = {"entries": {"session.denormal_as_zero": "1"}}
    (tmp_path / "here.yaml").write_text(yaml.safe_dump({**chain.PROFILE, "session": wrong}), "utf-8")
    with pytest.raises(InputError, match=r"session entry 'session\.denormal_as_zero' must be one of a session"):
        api.run(recipe, output=tmp_path / "run", progress=Progress(quiet=True))
