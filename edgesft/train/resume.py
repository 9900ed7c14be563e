"""Checkpoints of a running training: whole or absent, whenever the process was killed."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgesft.budget.metric import fall
from edgesft.store.store import write_json

RECORD = "record.json"
PREFIX = "checkpoint-"


@dataclass
class Record:
    """What is known of a training up to a step.

    Attributes:
        fingerprint: Of all that the training depends on; another training's checkpoint is not resumed.
        step: Steps done.
        best_step: Step of the best evaluation, 0 before the first.
        best: Its metrics.
        history: Step, loss, learning rate and metrics of each evaluation.
        loss_sum: Sum of the losses since the last evaluation.
        loss_steps: Number of them.
        parts: Parts that each batch is computed in, more than asked where the memory did not suffice.
        seconds: Time spent, over all the processes that took part.
    """

    fingerprint: str
    step: int = 0
    best_step: int = 0
    best: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    loss_sum: float = 0.0
    loss_steps: int = 0
    parts: int = 1
    seconds: float = 0.0

    def stale(self, deciding: str) -> int:
        """Evaluations since the best one by a metric; of equal ones the last."""
        values = [each["metrics"][deciding] for each in self.history]
        best = 0
        for place, value in enumerate(values):
            best = place if fall(values[best], value) <= 0 else best
        return max(0, len(values) - 1 - best)


class Checkpoints:
    """The checkpoints of one training in a folder: the newest, and the one of the best evaluation.

    A checkpoint is written in `partial/` and appears under its own name by one rename.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder, self._fingerprint = folder, fingerprint

    @property
    def partial(self) -> Path:
        """Where a checkpoint is written before it counts."""
        return self._folder / "partial"

    def at(self, step: int) -> Path:
        """The checkpoint after so many steps."""
        return self._folder / f"{PREFIX}{step}"

    def latest(self) -> Record:
        """The record of the newest checkpoint of this training, or of the beginning; what is of no use is removed."""
        found = [record for place in self._folder.glob(f"{PREFIX}*") if (record := self._read(place))]
        newest = max(found, key=lambda record: record.step, default=Record(self._fingerprint))
        self._clean(newest)
        return newest

    def commit(self, record: Record) -> None:
        """Makes what lies in `partial` the checkpoint at the record's step, and removes those no longer needed."""
        written = self.partial / f"{PREFIX}{record.step}"
        write_json(written / RECORD, asdict(record))
        for file in written.iterdir():
            _sync(file)
        os.replace(written, self.at(record.step))
        self._clean(record)

    def _clean(self, record: Record) -> None:
        needed = {self.at(step) for step in (record.step, record.best_step) if step}
        for place in (*self._folder.glob(f"{PREFIX}*"), self.partial):
            if place not in needed:
                shutil.rmtree(place, ignore_errors=True)

    def _read(self, place: Path) -> Record | None:
        try:
            record = Record(**json.loads((place / RECORD).read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None  # a removal that was cut short
        return record if record.fingerprint == self._fingerprint else None


def _sync(path: Path) -> None:
    """Forces a file to the disk, so that a power cut does not leave an empty one under a name that counts."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
