"""Cross-validation of a recipe's fine-tuning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.cli.main import main
from edgesft.errors import InputError
from edgesft.pipeline.folds import folds
from edgesft.pipeline.models import Maker
from edgesft.progress import Progress
from edgesft.store.store import Store
from edgesft.train import engine
from tests import chain, tiny


@pytest.fixture
def recipe(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    return chain.write(tmp_path, bert, stages=chain.STAGES[:1])


def test_every_row_is_answered_by_a_model_that_did_not_see_it(recipe: Path, tmp_path: Path) -> None:
    found = folds(
        recipe, 3, ["stages.finetune.epochs=8"], store=Store(tmp_path / "store"), progress=Progress(quiet=True)
    )
    assert [each["rows"] for each in found["folds"]] == [100, 100, 100]
    scores = [each["metrics"]["accuracy"] for each in found["folds"]]
    assert found["mean"]["accuracy"] == pytest.approx(sum(scores) / 3) and np.mean(scores) > 0.9
    pooled = found["pooled"]["accuracy"]
    assert pooled["value"] == pytest.approx(found["mean"]["accuracy"]) and pooled["lower"] < pooled["value"]


def test_what_is_done_is_not_done_again(
    recipe: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["folds", str(recipe), "--folds", "2", "--quiet", "stages.finetune.epochs=0.5"]
    assert main([*command, "--format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)
    monkeypatch.setattr(engine, "fit", None)
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "2 folds" in told and f"{first['mean']['accuracy']:.4f} ±" in told


def test_no_rate_is_chosen_by_the_rows_that_are_answered(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[Any, float]] = []

    class Asked(Exception):
        pass

    def making(_: Any, step: Any, *__: Any) -> Any:
        asked.append((step.spec.learning_rates, step.training.learning_rate))
        raise Asked

    monkeypatch.setattr(Maker, "make", making)
    for rates in ("[3e-3,1e-3,1e-4]", "[2e-3]"):
        with pytest.raises(Asked):
            settings = [f"stages.finetune.learning_rates={rates}"]
            folds(recipe, 2, settings, store=Store(tmp_path / "store"), progress=Progress(quiet=True))
    assert asked == [((), 1e-3), ((), 2e-3)]


def test_what_cannot_be_folded(recipe: Path, tmp_path: Path, bert: Path) -> None:
    with pytest.raises(InputError, match="at least 2"):
        folds(recipe, 1)
    rows = [*tiny.rows(40), {"text": "so so", "label": "neutral"}]
    tiny.write_rows(tmp_path / "train.jsonl", rows)
    with pytest.raises(InputError, match="'neutral' 1"):
        folds(recipe, 3)
    with pytest.raises(InputError, match="finetune stage"):
        folds(chain.write(tmp_path / "other", bert, stages=chain.STAGES[3:]), 2)
