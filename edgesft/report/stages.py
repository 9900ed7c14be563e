"""Which of a run's stages is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def metric_of(results: Mapping[str, Any]) -> str:
    """The metric that decides; old results name none, and have it first."""
    return str(results.get("metric") or next(iter(results["stages"][0]["levels"])))


def warnings(results: Mapping[str, Any]) -> list[str]:
    """What stopped nothing and must be known: the run's own, and which stages' times were not steady."""
    return [
        *results["warnings"],
        *(f"{stage['name']}: {problem}" for stage in results["stages"] for problem in doubts(stage.get("measurement"))),
    ]


def doubts(measured: Mapping[str, Any] | None) -> list[str]:
    """Why a measurement's times may not be the model's own: an unsteady machine, or other programs."""
    return [problem for name in ("unsteady", "disturbed") for problem in (measured or {}).get(name) or ()]


def final(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stage that gave what ships: the last that was kept."""
    stages: Sequence[Mapping[str, Any]] = results["stages"]
    return next((stage for stage in reversed(stages) if stage["kept"]), stages[-1])


def original(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The stage that everything is held against: the fine-tuned one, or the model as it was given."""
    stages: Sequence[Mapping[str, Any]] = results["stages"]
    tuned = [stage for stage in stages if stage["kept"] and stage.get("stage") == "finetune"]
    return tuned[-1] if tuned else stages[0]


def rerun(results: Mapping[str, Any]) -> list[str]:
    """The command that runs it again, settings last; old results do not say what their recipe is called."""
    return list(results.get("command") or ("edgesft", "run", "recipe.yaml"))
