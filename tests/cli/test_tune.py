"""`edgesft tune` as a person calls it: real runtime, a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesft.cli.main import main
from edgesft.spec import load
from tests.measure import models

FAST = ("--quiet", "--axis", "batch=1", "measure.seconds=0.01", "measure.rounds=5", "measure.samples=30")


def test_each_choice_is_measured_and_the_profile_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, written = models.save_product(tmp_path / "m.onnx", width=16), tmp_path / "mine.yaml"
    words = [str(model), "--threads", "1", "threads=1", 'session.entries={session.intra_op.allow_spinning: "1"}']
    assert main(["tune", *words, *FAST, "--write", str(written), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["schema"] == "edgesft/tuning" and found["model"]["name"] == "m.onnx"
    told = {trial["choice"]: trial for trial in found["trials"]}
    assert {"denormals are zero", "optimisation: basic", "file optimised ahead"} <= set(told)
    assert all(trial["ratio"]["value"] > 0 and not trial["problem"] for trial in told.values())
    profile = load.profile(str(written))
    assert profile.name == "mine" and profile.model_dump(mode="json") == {**found["profile"], "name": "mine"}
    assert profile.session.entries["session.intra_op.allow_spinning"] == "1", "read back as the text that it is"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "got none"),
        (["gone.onnx"], "gone.onnx"),
        (["m.onnx", "--threads", "0"], "--threads must be at least 1"),
        (["m.onnx", "--write", "m.onnx"], "must not exist yet"),
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
