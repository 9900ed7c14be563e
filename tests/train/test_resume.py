from __future__ import annotations

import math
from pathlib import Path

from edgesft.train.resume import RECORD, Checkpoints, Record


def commit(checkpoints: Checkpoints, record: Record, text: str) -> None:
    folder = checkpoints.partial / f"checkpoint-{record.step}"
    folder.mkdir(parents=True)
    (folder / "weights").write_text(text)
    checkpoints.commit(record)


def test_keeps_the_newest_and_the_best(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "a")
    for step, best in ((1, 1), (2, 1), (3, 3), (4, 3), (5, 3)):
        commit(checkpoints, Record("a", step=step, best_step=best), f"of {step}")
    assert sorted(place.name for place in tmp_path.iterdir()) == ["checkpoint-3", "checkpoint-5"]
    assert checkpoints.latest() == Record("a", step=5, best_step=3)
    assert (checkpoints.at(3) / "weights").read_text() == "of 3"


def test_nothing_yet(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path / "new", "a").latest() == Record("a")


def test_what_is_of_no_use_is_removed(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "a")
    commit(checkpoints, Record("a", step=2), "whole")
    commit_foreign = tmp_path / "checkpoint-9"
    commit_foreign.mkdir()
    (commit_foreign / RECORD).write_text('{"fingerprint": "b", "step": 9}')
    (tmp_path / "checkpoint-8").mkdir()
    (tmp_path / "checkpoint-7").mkdir()
    (tmp_path / "checkpoint-7" / RECORD).write_text('{"finger')
    (checkpoints.partial / "checkpoint-10").mkdir(parents=True)
    assert checkpoints.latest().step == 2
    assert [place.name for place in tmp_path.iterdir()] == ["checkpoint-2"]


def test_evaluations_count_from_the_best_one() -> None:
    def stale(*scores: float) -> int:
        history = [{"step": step, "metrics": {"accuracy": score}} for step, score in enumerate(scores, 1)]
        # Whatever step was chosen: with `selection: last` it is the last one.
        return Record("a", best_step=len(scores), history=history).stale("accuracy")

    assert stale() == stale(0.5) == stale(math.nan) == stale(0.5, 0.6) == stale(0.5, 0.5) == 0
    assert stale(0.5, 0.6, 0.55, 0.59) == 2 and stale(0.6, math.nan) == 1 and stale(math.nan, 0.1) == 0
