"""What `edgesft data` finds in rows in which something was planted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.cli.main import main
from edgesft.pipeline.survey import survey
from edgesft.report.data import render
from tests import chain, tiny

NETS = Path(__file__).parents[1] / "tasks" / "nets.py"


def rewritten(recipe: Path, name: str, change: Any) -> None:
    file = recipe.parent / name
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    tiny.write_rows(file, change(rows))


def test_rows_lengths_and_labels(tmp_path: Path, bert: Path) -> None:
    found = survey(chain.write(tmp_path, bert))
    train = found["splits"]["train"]
    assert train["rows"] == sum(train["labels"].values()) == 300
    assert 0 < train["tokens"]["p50"] <= train["tokens"]["max"] <= train["characters"]["max"] + 2
    assert set(found["across"]) == {"validation", "test"}
    json.dumps(found, allow_nan=False)


def test_planted_faults_are_named(tmp_path: Path, bert: Path) -> None:
    recipe = chain.write(tmp_path, bert)

    def spoil(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        first = rows[0]["label"]
        few = [row for row in rows if row["label"] != first][:4]
        return [*(row for row in rows if row["label"] == first), *few, {**few[0], "label": first}]

    rewritten(recipe, "train.jsonl", spoil)
    rewritten(recipe, "dev.jsonl", lambda rows: [{**row, "text": f"日本 語 {row['text']}"} for row in rows])
    found = survey(recipe, ["data.max_length=4", "data.allow_overlap=true"])
    told = "\n".join(each["message"] for each in found["findings"])
    assert "data.train: 1 inputs have several labels" in told
    assert "the largest class has" in told and "fewer than 10 rows have the labels" in told
    assert "are longer than max_length 4 tokens and are cut off" in told
    assert "data.validation: a simple classifier tells its rows from those of train" in told
    assert "data.validation: the tokenizer does not know" in told


def test_arrays_are_compared_by_what_they_hold(tmp_path: Path) -> None:
    x = np.arange(40 * 6, dtype=np.float32).reshape(40, 6)
    x[3] = x[7]
    labels = np.arange(40) % 2
    labels[7] = 1 - labels[3]
    np.savez(tmp_path / "train.npz", x=x, label=labels)
    np.savez(tmp_path / "dev.npz", x=x[20:30] + 1000, label=labels[20:30])
    (tmp_path / "nets.py").write_text("from torch import nn\n\n\ndef small():\n    return nn.Linear(6, 2)\n", "utf-8")
    (tmp_path / "arrays.yaml").write_text(
        "{version: 1, task: arrays, model: {factory: 'nets:small', inputs: [x]}, data: {train: train.npz, "
        "validation: dev.npz}, profile: x86-1-thread, stages: [{stage: finetune}]}"
    )
    found = survey(tmp_path / "arrays.yaml")
    train, across = found["splits"]["train"], found["across"]["validation"]
    assert train["duplicates"] == train["conflicting"] == 1 and train["characters"] is None
    assert (across["same"], across["near"], across["apart"]) == (0, None, None)
    told = "\n".join(each["message"] for each in found["findings"])
    assert "1 inputs have several labels, such as that of row 4" in told and "nearly the same" not in told
    assert "–" in render(found)


def test_what_files_hold_is_told(tmp_path: Path) -> None:
    rows = tiny.sounded(40)
    rows[0]["audio"] = np.zeros(1000, np.float32)
    tiny.save_sounds(tmp_path / "words", rows)
    (tmp_path / "words" / "rising" / "x.wav").write_text("no sound")
    shutil.copy(NETS, tmp_path)
    (tmp_path / "sounds.yaml").write_text(
        "{version: 1, task: audio-classification, model: {factory: 'nets:image'}, profile: x86-1-thread, data: {train: "
        "words, validation: 0.2, unreadable: 0.1, audio: {rate: 4000, seconds: 0.25}}, stages: [{stage: finetune}]}"
    )
    told = "\n".join(each["message"] for each in survey(tmp_path / "sounds.yaml")["findings"])
    assert "data.train: 1 sounds are silent" in told or "data.validation: 1 sounds are silent" in told
    assert "1 of 41 sounds (2.44%) cannot be read" in told and "x.wav" in told


def test_the_command(tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(chain.write(tmp_path, bert))
    assert main(["data", recipe]) == 0
    text = capsys.readouterr().out
    assert "train" in text and "300" in text and "differs from train (AUC)" in text
    assert main(["data", recipe, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["splits"]["test"]["rows"] == 100
    assert main(["data", recipe, "data.train=none.jsonl"]) == 2
    assert "none.jsonl" in capsys.readouterr().err
