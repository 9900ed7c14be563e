from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgesft.spec.stages import DistillSpec, FinetuneSpec, PruneSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages import invariance
from edgesft.stages.context import StageContext
from edgesft.stages.training import score
from edgesft.tasks.arrays import Arrays
from edgesft.tasks.contract import Contract
from tests.stages.surroundings import Small, context

SETTINGS = ResolvedTraining(flip="auto", shift="auto")


class Rows(nn.Module):
    """Says in which row of a picture the most is, wherever in the row, and which way round if it is to `look`."""

    def __init__(self, look: bool = False) -> None:
        super().__init__()
        self.look = look
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        lit = x[:, 0].amax(2)
        if self.look:
            side = x[..., :8].sum((1, 2, 3)) > x[..., 8:].sum((1, 2, 3))
            lit = torch.where(side[:, None], lit, lit.roll(1, dims=1))
        return {"logits": lit * self.scale}


def surroundings(tmp_path: Path, **options: Any) -> StageContext:
    rows = []
    for row in range(8):
        picture = np.zeros((1, 8, 16), np.float32)
        picture[0, row, 3:6] = 1
        rows.append({"x": picture, "labels": np.asarray(row)})
    task = Arrays()
    settings = options.pop("training", SETTINGS)
    found = context(tmp_path, Small(nn.Identity(), None, rows), **options)
    found = replace(found, train=[dict(row) for row in rows])
    contract = Contract("arrays", tuple("abcdefgh"), {"metric": "accuracy"})
    return replace(found, task=task, contract=contract, training=settings)


def settled(given: StageContext, teacher: nn.Module, monkeypatch: pytest.MonkeyPatch) -> ResolvedTraining:
    monkeypatch.setattr(invariance, "load_teacher", lambda *_: teacher)
    return invariance.settled(given, given.contract, "distill").training


def test_rows_are_changed_as_the_teacher_does_not_mind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settled(surroundings(tmp_path / "a"), Rows(), monkeypatch)
    assert (found.flip, found.shift) == (0.5, (0.0, 0.125)), "moved to another row it is another class"
    found = settled(surroundings(tmp_path / "b"), Rows(look=True), monkeypatch)
    assert (found.flip, found.shift) == (0.0, (0.0, 0.125))
    assert found.noisy and not found.without_noise().noisy


@pytest.mark.parametrize(("wrong", "mixed"), [(4, 0.5), (0, 0.0)])
def test_mixtures_where_the_teacher_knows_its_rows_by_heart(
    wrong: int, mixed: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = surroundings(tmp_path, training=ResolvedTraining(mixup="auto"))
    for row in given.validation[:wrong]:
        row["labels"] = (row["labels"] + 1) % 8
    assert settled(given, Rows(), monkeypatch) == ResolvedTraining(mixup=mixed)


def test_a_large_allowance_allows_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settled(surroundings(tmp_path, allowance=1.0), Rows(look=True), monkeypatch)
    assert (found.flip, found.shift) == (0.5, (0.125, 0.125))


def test_what_was_decided_stays_and_what_was_said_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settled(surroundings(tmp_path), Rows(), monkeypatch)
    (kept,) = tmp_path.iterdir()
    kept.write_text('{"flip": 0.0, "shift": []}')
    assert not settled(surroundings(tmp_path), Rows(), monkeypatch).noisy
    said = surroundings(tmp_path / "said", training=ResolvedTraining(flip=0.25))
    monkeypatch.setattr(invariance, "load_teacher", None)
    assert invariance.settled(said, said.contract, "distill").training.flip == 0.25


def test_auto_needs_a_teacher() -> None:
    assert DistillSpec(stage="distill", flip="auto").flip == "auto"
    assert PruneSpec(stage="prune", latency=0.5, shift="auto", teacher="finetune").shift == "auto"
    with pytest.raises(ValueError, match="'shift' to auto"):
        PruneSpec(stage="prune", latency=0.5, shift="auto")
    for name in ("flip", "mixup"):
        with pytest.raises(ValueError, match=f"'{name}' to auto"):
            FinetuneSpec(stage="finetune", **{name: "auto"})


def test_a_metric_is_steadier_on_changed_rows(tmp_path: Path) -> None:
    given = surroundings(tmp_path, training=ResolvedTraining(flip=0.5, shift=(0.0, 0.125), mixup=0.5))
    judge = invariance.views(given)
    assert judge is not None and len(judge.validation) == invariance.VIEWS * len(given.validation)
    assert [int(row["labels"]) for row in judge.validation] == [*range(8)] * invariance.VIEWS
    assert {float(row["x"].max()) for row in judge.validation} == {1.0}, "nothing is mixed in"
    assert len({row["x"].tobytes() for row in judge.validation}) > 2 * len(given.validation)
    assert score(Rows(), judge) == 1.0
    assert invariance.views(surroundings(tmp_path, training=ResolvedTraining(mixup=0.5))) is None
