"""The contract of a model: what code on a device must know besides the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Contract:
    """What device code must know besides the weights; travels with every artefact as `contract.json`.

    Attributes:
        task: Name of the task.
        labels: Class names in the order of the model's outputs; empty where the task has none.
        options: Further facts (for text: `max_length`), JSON values only.
    """

    task: str
    labels: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def extended(self, options: Mapping[str, Any]) -> Contract:
        """The same with further options."""
        return Contract(self.task, self.labels, {**self.options, **options})

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `from_json`."""
        return {"task": self.task, "labels": list(self.labels), "options": dict(self.options)}

    def text(self) -> str:
        """What `contract.json` beside a model holds; the same contract gives the same bytes."""
        return json.dumps(self.to_json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Contract:
        """Inverse of `to_json`."""
        return cls(data["task"], tuple(data["labels"]), dict(data["options"]))
