"""Searches for settings of a recipe's fine-tuning with Optuna, and tells whether any beat the recipe's own."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.budget.drop import drops
from edgesft.budget.metric import scale
from edgesft.budget.percentile import Interval
from edgesft.errors import InputError, StageError, UnavailableError
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.pipeline.models import Maker
from edgesft.pipeline.plan import Step, plan
from edgesft.pipeline.preflight import preflight
from edgesft.pipeline.rows import Measurer
from edgesft.progress import Progress
from edgesft.spec.recipe import RecipeSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageReport
from edgesft.store.disk import guarded
from edgesft.store.store import Store
from edgesft.tasks.base import TASK_SETTINGS, Task

RATES = 5.0
"""The learning rate is looked for between its fifth and five times as much."""

STARTUP = 5
"""Trials at random before TPE looks at what they gave. Optuna's own 10 would leave none to it where 10 are made."""

EPOCHS, ROWS = 1000, 65536
"""What a recipe may set at most."""

SHARES: Mapping[str, Sequence[float]] = {
    "weight_decay": (0.0, 0.01, 0.1),
    "label_smoothing": (0.0, 0.1),
    "token_dropout": (0.0, 0.1),
}
"""Regularisation that is tried besides the recipe's own, as far as the task has it."""


@dataclass(frozen=True)
class Tune:
    """Limits of a search for settings.

    Attributes:
        trials: Maximum number of trainings, including that of the recipe's own settings; at least 1.
        minutes: Maximum training time. A trial starts only if, judging by earlier ones, it will end in time. The time
            is counted over all calls: trials of an earlier call are not repeated.
    """

    trials: int = 10
    minutes: float | None = None


@dataclass(frozen=True)
class _Trial:
    settings: Mapping[str, float]
    value: float | None
    seconds: float
    problem: str | None = None


def space(own: ResolvedTraining, task: Task) -> dict[str, tuple[float, ...]]:
    """What is tried of each setting: the choices, or for the learning rate the bounds of a logarithmic range."""
    shares = {name: shares for name, shares in SHARES.items() if name not in TASK_SETTINGS or name in task.training}
    rate, batch = own.learning_rate, own.batch_size
    return {
        "learning_rate": (rate / RATES, min(1.0, rate * RATES)),
        "batch_size": tuple(sorted({max(1, batch // 2), batch, min(ROWS, batch * 2)})),
        "epochs": tuple(sorted({own.epochs / 2, own.epochs, min(EPOCHS, own.epochs * 2)})),
        **{name: tuple(sorted({*each, getattr(own, name)})) for name, each in shares.items()},
    }


def tune(
    path: Path, asked: Tune, settings: Sequence[str] = (), store: Store | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Trains with the recipe's own settings, then with those that Optuna's TPE sampler asks for.

    Trials are judged by the deciding metric on the validation rows; the test rows are not read. Each is in the store
    once it is done, and the sampler's next question follows from the seed and the answers: called again, it goes on
    where it was. The best one is taken only where it is better than the recipe's own settings by more than the rows
    explain (the one-sided 95 % bound of the paired bootstrap); what is found among many trials is partly luck even so.

    Args:
        path: Recipe file.
        asked: How much to try.
        settings: `a.b=c` values that replace what the file says.
        store: Where finished trials lie; by default the usual place.
        progress: Tells the person.

    Returns:
        JSON values: `metric`, `space`, `trials` (`settings`, `value`, `seconds`, `problem`), `chosen` (index of the
        trial), `gain` (over the first trial: `value`, `lower`, `upper`; None where it is the first), `reason`, and
        `arguments`: the `a.b=c` that a run needs for it.

    Raises:
        InputError: The recipe cannot be run or has no finetune stage; no trial was asked for, or no time given.
        UnavailableError: Optuna is not installed.
    """
    if asked.trials < 1:
        raise InputError(f"trials: must be at least 1, got {asked.trials}", "--trials 10")
    if asked.minutes is not None and not asked.minutes > 0:
        raise InputError(f"tune-minutes: must be above 0, got {asked.minutes:g}", "--tune-minutes 60")
    store, progress = store or Store(), progress or Progress()
    checked = check(path, settings, store)
    recipe = checked.recipe
    own = _finetune(plan(recipe)).training or ResolvedTraining()
    study = _study(recipe.seed)
    with guarded(store.root):
        jobs = [Job(recipe, checked.base, profile, store, progress) for profile in checked.profiles]
        for job in jobs:
            preflight(job)
    tried = space(own, jobs[0].task)
    trainings = _Trainings(path, settings, recipe, jobs[0].metric, store, progress)
    study.enqueue_trial({name: getattr(own, name) for name in tried})
    trials: list[_Trial] = []
    while len(trials) < asked.trials and not _late(trials, asked.minutes):
        question = study.ask()
        chosen = {
            name: question.suggest_float(name, *values, log=True)
            if name == "learning_rate"
            else question.suggest_categorical(name, values)
            for name, values in tried.items()
        }
        progress.say(f"trial {len(trials) + 1} …")
        with guarded(store.root):
            trials.append(trainings.trial(chosen, first=not trials))
        answer = trials[-1]
        if answer.value is None:
            study.tell(question, state=_failed())
        else:
            study.tell(question, answer.value)
        came = answer.problem or f"{trainings.metric} {answer.value:.4f}"
        progress.say(f"trial {len(trials)}: {came}, {_told(chosen)}")
    with guarded(store.root):
        return _result(trainings, trials, tried)


def _finetune(steps: Sequence[Step]) -> Step:
    found = next((step for step in steps if step.spec.stage == "finetune"), None)
    if found is None:
        raise InputError("tune: the recipe must have a finetune stage, got none", "stages: [{stage: finetune}]")
    return found


def _study(seed: int) -> Any:
    try:
        import optuna
    except ImportError as error:
        raise UnavailableError("--tune needs Optuna", "pip install 'edgesft[tune]'") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP)
    )


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


def _late(trials: Sequence[_Trial], minutes: float | None) -> bool:
    if minutes is None or not trials:
        return False
    seconds = [trial.seconds for trial in trials]
    return sum(seconds) + float(np.mean(seconds)) > minutes * 60


def _arguments(recipe: RecipeSpec, chosen: Mapping[str, float]) -> list[str]:
    # By its place: where there are several finetune stages, their kind names none of them.
    place = next(index for index, spec in enumerate(recipe.stages) if spec.stage == "finetune")
    settings: dict[str, Any] = dict(chosen)
    if getattr(recipe.stages[place], "learning_rates", ()):
        settings["learning_rates"] = []  # They would go before the rate that was chosen.
    return [f"stages.{place}.{name}={value!r}" for name, value in settings.items()]


@dataclass(frozen=True)
class _Trainings:
    """The fine-tuning of a recipe with other settings."""

    path: Path
    settings: Sequence[str]
    recipe: RecipeSpec
    metric: str
    store: Store
    progress: Progress

    def trial(self, chosen: Mapping[str, float], *, first: bool) -> _Trial:
        """A training that fails is not kept, for another time it may not; its time counts."""
        started = time.monotonic()
        try:
            _, _, report = self._made([] if first else _arguments(self.recipe, chosen))
        except StageError as error:
            return _Trial(chosen, None, time.monotonic() - started, str(error).splitlines()[0])
        told = report.details["training"]
        value, seconds = float(told["best"][self.metric]), float(told["seconds"])
        if not math.isfinite(value):
            return _Trial(chosen, None, seconds, f"{self.metric} is not a number")
        return _Trial(chosen, value, seconds)

    def gain(self, best: _Trial) -> Interval:
        """How much better than with the recipe's own settings the exported model answers the validation rows."""
        answers = []
        for arguments in ([], _arguments(self.recipe, best.settings)):
            job, made, _ = self._made(arguments)
            measurer = Measurer(job)
            answers.append(measurer.evaluation(Maker(job).onnx(made), "validation").predictions)
        references = job.task.references(job.validation)

        def scorer(predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
            return {self.metric: job.task.score(predictions, references[rows], job.contract)[self.metric]}

        fall = drops(scorer, answers[0], answers[1])[self.metric]
        lower, upper = (None if bound is None else -bound for bound in (fall.upper, fall.lower))
        return Interval(-fall.value, lower, upper)

    def _made(self, arguments: Sequence[str]) -> tuple[Job, Artefact, StageReport]:
        checked = check(self.path, [*self.settings, *arguments], self.store)
        # The profile decides how fast the model is, not what it learns.
        job = Job(checked.recipe, checked.base, checked.profiles[0], self.store, self.progress)
        maker = Maker(job)
        return job, *maker.make(_finetune(plan(job.recipe)), maker.start(), None)


def _result(trainings: _Trainings, trials: Sequence[_Trial], tried: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    good = [trial for trial in trials if trial.value is not None]
    if not good:
        raise StageError(f"tune: no trial finished its training; the first one: {trials[0].problem}")
    best, first = max(good, key=lambda trial: trial.value or 0.0), trials[0]
    gain = None
    if best is first:
        reason = "the recipe's own settings are the best that were tried"
    elif first.value is None:
        reason = "the recipe's own settings could not be trained"
    else:
        gain = trainings.gain(best)
        better = gain.lower is not None and gain.lower > 0
        reason = f"{trainings.metric} {scale(trainings.metric).change(gain.value)} of the recipe's own settings"
        reason += "" if better else ", which may be chance: the recipe's own settings stay"
        best = best if better else first
    return {
        "metric": trainings.metric,
        "space": {name: list(values) for name, values in tried.items()},
        "trials": [dataclasses.asdict(trial) for trial in trials],
        "chosen": trials.index(best),
        "gain": gain._asdict() if gain else None,
        "reason": reason,
        "arguments": _arguments(trainings.recipe, best.settings) if best is not first else [],
    }


def _told(chosen: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in chosen.items())
