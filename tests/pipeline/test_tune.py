"""Settings that are tried before a run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from edgesft import api
from edgesft.cli.main import main
from edgesft.errors import InputError, StageError, UnavailableError
from edgesft.pipeline.models import Maker
from edgesft.pipeline.tune import Tune, _study, space, tune
from edgesft.progress import Progress
from edgesft.report import table
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.context import StageReport
from edgesft.store.store import Store
from edgesft.tasks.arrays import Arrays
from edgesft.tasks.text_classification import TextClassification
from tests import chain

QUIET = Progress(quiet=True)


@pytest.fixture
def recipe(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    return chain.write(tmp_path, bert, stages=chain.STAGES[:1])


def test_the_space_holds_the_recipes_own_settings() -> None:
    own = ResolvedTraining(weight_decay=0.03, batch_size=12)
    found = space(own, TextClassification())
    low, high = found["learning_rate"]
    assert low < own.learning_rate < high and found["batch_size"] == (6, 12, 24) and 0.03 in found["weight_decay"]


def test_the_space_is_the_task_s() -> None:
    assert set(space(ResolvedTraining(), TextClassification())) - set(space(ResolvedTraining(), Arrays())) == {
        "token_dropout"
    }


def test_a_better_setting_is_found_and_nothing_is_done_twice(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = {"learning_rate": (2.9e-3, 3.1e-3), "epochs": (0.1, 8.0)}
    monkeypatch.setattr("edgesft.pipeline.tune.space", lambda *_: planted)
    settings = ["stages.finetune.epochs=0.1"]
    found = tune(recipe, Tune(5), settings, Store(tmp_path / "store"), QUIET)
    assert len(found["trials"]) == 5 and found["trials"][0]["settings"] == {"learning_rate": 3e-3, "epochs": 0.1}
    assert found["chosen"] > 0 and found["gain"]["lower"] > 0
    assert "stages.0.epochs=8.0" in found["arguments"]
    made = Maker.step_key
    keys: list[str] = []
    monkeypatch.setattr(Maker, "step_key", lambda *given: keys.append(made(*given)) or keys[-1])
    monkeypatch.setattr("edgesft.stages.finetune.train", None)
    again = tune(recipe, Tune(5), settings, Store(tmp_path / "store"), QUIET)
    assert again == found and keys


def test_a_run_goes_on_with_what_was_chosen(recipe: Path, tmp_path: Path) -> None:
    result = api.run(recipe, output=tmp_path / "run", tune=Tune(2), progress=QUIET)
    found = result.profiles["here"].results
    assert len(found["tuning"]["trials"]) == 2 and found["tuning"]["reason"]
    assert found["command"] == ["edgesft", "run", str(recipe), *found["tuning"]["arguments"]]
    chosen = found["tuning"]["trials"][found["tuning"]["chosen"]]["settings"]
    assert found["recipe"]["stages"][0]["learning_rate"] == pytest.approx(chosen["learning_rate"])
    told = table.render(found)
    assert f"trial {found['tuning']['chosen'] + 1} is taken: {found['tuning']['reason']}" in told
    assert all(name in told for name in found["tuning"]["space"])


def test_the_time_is_kept(recipe: Path, tmp_path: Path) -> None:
    assert len(tune(recipe, Tune(5, minutes=1e-6), (), Store(tmp_path / "store"), QUIET)["trials"]) == 1


def test_the_space_stays_within_what_a_recipe_may_set() -> None:
    found = space(ResolvedTraining(batch_size=40000, epochs=600.0), TextClassification())
    assert found["batch_size"] == (20000, 40000, 65536) and found["epochs"] == (300.0, 600.0, 1000)


def test_the_sampler_learns_within_the_usual_number_of_trials() -> None:
    study = _study(0)
    assert study.sampler._n_startup_trials < Tune().trials


def test_the_first_of_several_finetune_stages_is_tuned(bert: Path, tmp_path: Path) -> None:
    first = chain.STAGES[0] | {"epochs": 0.2}
    several = chain.write(tmp_path, bert, stages=(first, first))
    assert len(tune(several, Tune(2), (), Store(tmp_path / "store"), QUIET)["trials"]) == 2


def test_a_rate_that_is_tried_goes_before_those_of_the_recipe(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = chain.write(tmp_path, bert, stages=(chain.STAGES[0] | {"epochs": 0.2, "learning_rates": [1e-3, 3e-3]},))
    specs: list[Any] = []

    def making(_: Any, step: Any, *__: Any) -> Any:
        specs.append((step.spec.learning_rates, step.training.learning_rate))
        return None, StageReport("", {"training": {"best": {"accuracy": 0.9 - len(specs) / 10}, "seconds": 1.0}})

    monkeypatch.setattr(Maker, "make", making)
    found = tune(several, Tune(2), (), Store(tmp_path / "store"), QUIET)
    assert specs[0][0] == (1e-3, 3e-3) and specs[1] == ((), found["trials"][1]["settings"]["learning_rate"])


def test_what_scores_no_number_failed(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.5, float("nan"), 0.4])

    def making(*_: Any) -> Any:
        return None, StageReport("", {"training": {"best": {"accuracy": next(scores)}, "seconds": 1.0}})

    monkeypatch.setattr(Maker, "make", making)
    found = tune(recipe, Tune(3), (), Store(tmp_path / "store"), QUIET)
    assert [each["value"] for each in found["trials"]] == [0.5, None, 0.4] and found["chosen"] == 0


def test_nothing_is_trained_for_a_recipe_that_cannot_be_carried_out(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgesft.stages.finetune.train", None)
    stages = (*chain.STAGES[:1], {"stage": "prune", "parameters": 0.01, "max_share": 0.1})
    with pytest.raises(InputError, match="prune.parameters"):
        tune(chain.write(tmp_path, bert, stages=stages), Tune(2), (), Store(tmp_path / "store"), QUIET)


@pytest.mark.parametrize("minutes", [0.0, -5.0, float("nan")])
def test_time_must_be_given(recipe: Path, minutes: float) -> None:
    with pytest.raises(InputError, match="tune-minutes: must be above 0"):
        tune(recipe, Tune(2, minutes))


def test_what_cannot_be_tuned(recipe: Path, tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="trials: must be at least 1, got 0"):
        tune(recipe, Tune(0))
    with pytest.raises(InputError, match="finetune stage"):
        tune(chain.write(tmp_path / "other", bert, stages=chain.STAGES[3:]), Tune(1))
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(UnavailableError, match="Optuna"):
        tune(recipe, Tune(1))
    assert main(["run", str(recipe), "--tune", "--quiet"]) == 4
    assert main(["run", str(recipe), "--trials", "3", "--quiet"]) == 2


def test_a_trial_that_fails_is_told_and_its_time_counts(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> Any:
        raise StageError("training: the loss of step 3 is nan\n    Try: less")

    monkeypatch.setattr(Maker, "make", failing)
    trials: list[Any] = []
    monkeypatch.setattr("edgesft.pipeline.tune._result", lambda _, found, *__: trials.extend(found) or {})
    tune(recipe, Tune(2), (), Store(tmp_path / "store"), QUIET)
    assert [trial.problem for trial in trials] == ["training: the loss of step 3 is nan"] * 2
    assert all(trial.seconds > 0 and trial.value is None for trial in trials)
