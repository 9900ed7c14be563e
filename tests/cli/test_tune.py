"""`edgesft tune` as a person calls it: real runtime, a tiny model."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesft.cli import tune as command
from edgesft.cli.main import main, parser
from edgesft.cli.tune import _text
from edgesft.measure.bench.choices import OPTIONS
from edgesft.measure.bench.tuning import Trial, Tuning
from edgesft.measure.model.file import inspect
from edgesft.spec import load
from tests.measure import models

FAST = ("--quiet", "--axis", "batch=1", "measure.seconds=0.01", "measure.rounds=5", "measure.samples=30")


def test_choices_are_measured_and_the_profile_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [choice for choice in OPTIONS if choice.name in ("denormals are zero", "optimisation: basic")]
    monkeypatch.setattr("edgesft.measure.bench.tuning.OPTIONS", few)
    model, written = models.save_product(tmp_path / "m.onnx", width=16), tmp_path / "mine.yaml"
    words = [str(model), "--threads", "1", "threads=1", 'session.entries={session.intra_op.allow_spinning: "1"}']
    assert main(["tune", *words, *FAST, "--write", str(written), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "edgesft/tuning" and found["model"]["name"] == "m.onnx"
    told = {trial["choice"]: trial for trial in found["trials"]}
    assert set(told) == {*(choice.name for choice in few), "file optimised ahead"}
    assert all(trial["ratio"]["value"] > 0 and not trial["problem"] for trial in told.values())
    profile = load.profile(str(written))
    own = {"name": "mine", "description": profile.description, "assumed": profile.assumed}
    assert profile.model_dump(mode="json") == {**found["profile"], **own}
    assert "budget" not in profile.assumed, "the one that ships is not among what is written"
    assert profile.session.entries["session.intra_op.allow_spinning"] == "1", "read back as the text that it is"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "got none"),
        (["gone.onnx"], "gone.onnx"),
        (["m.onnx", "--threads", "0"], "--threads must be 1 to 256, got 0"),
        (["m.onnx", "--threads", "257"], "--threads must be 1 to 256, got 257"),
        (["m.onnx", "--write", "my board.yaml"], "--write must be a YAML file named as a profile"),
        (["m.onnx", "--write", "board.txt"], "--write must be a YAML file named as a profile"),
        (["m.onnx", "--write", "a.yaml", "--optimised", "a.yaml"], "must be two files"),
        (["m.onnx", "--optimised", "m.onnx"], "must not exist yet"),
        (["m.onnx", "--optimised", "gone/m.onnx"], "must exist"),
        (["m.onnx", "session.entries={session.allow_spinning: '0'}"], "session entry 'session.allow_spinning'"),
        (["m.onnx", "session.entries={session.set_denormal_as_zero: 'yes'}"], "must be 0 or 1, got 'yes'"),
        (["m.onnx", "session.optimisation=most"], "session.optimisation"),
    ],
)
def test_bad_input_is_told(
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    models.save_product(tmp_path / "m.onnx")
    assert main(["tune", *words, "measure.rounds=5", *FAST]) == 2
    assert told in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_to_is_told_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    model = models.save_product(tmp_path / "m.onnx")
    monkeypatch.setattr("tempfile.TemporaryFile", denied)
    monkeypatch.setattr("edgesft.measure.bench.tuning.tune", lambda *_, **__: pytest.fail("measured"))
    assert main(["tune", str(model), "--write", str(tmp_path / "a.yaml"), *FAST]) == 4
    assert "must be writable" in capsys.readouterr().err


def test_a_tuned_profile_says_what_it_is(tmp_path: Path) -> None:
    plan = models.profile().model_copy(update={"threads": 2, "assumed": {"threads": "a guess", "opset": "another"}})
    file = inspect(models.save_product(tmp_path / "m.onnx"))
    whole = Trial("all that was kept", "kept")
    tuned = Tuning(file, (), whole, plan, "CPUExecutionProvider", "1.32.0", {"model": "a board", "cores": 4})
    written = yaml.safe_load(_text(tuned, "mine"))
    assert written["description"] == f"As {plan.name}, tuned for m.onnx on a board, 4 cores, onnxruntime 1.32.0."
    assert written["assumed"] == {"opset": "another"}, "its threads are measured now"
    assert yaml.safe_load(_text(replace(tuned, whole=None), "mine"))["description"] == plan.description


def test_a_closed_pipe_does_not_lose_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: Any) -> None:
        raise BrokenPipeError

    model, written = models.save_product(tmp_path / "m.onnx"), tmp_path / "mine.yaml"
    tuned = Tuning(inspect(model), (), None, models.profile(), "CPUExecutionProvider", "1.32.0", {})
    monkeypatch.setattr("edgesft.measure.bench.tuning.tune", lambda *_, **__: tuned)
    monkeypatch.setattr("edgesft.cli.tune._print", closed)
    options = parser("tune").parse_args(["tune", str(model), "--write", str(written)])
    with pytest.raises(BrokenPipeError):
        command.main(options)
    assert load.profile(str(written)).name == "mine"
