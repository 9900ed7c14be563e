"""The one value that travels through the chain."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from edgesft.tasks.base import Contract

Form = Literal["torch", "torch-qat", "onnx"]

CONTRACT = "contract.json"
PROVENANCE = ("report.json",)
"""Files of an artefact's folder that the device does not load."""


@dataclass(frozen=True)
class Artefact:
    """A model with its contract, in a folder.

    A torch folder holds `config.json`, `model.safetensors`, the processor's files, `contract.json` and, where widths
    differ from what the configuration says, `widths.json`. An ONNX folder holds `model.onnx`, the processor's
    files and `contract.json`, which is all that the device loads.

    Attributes:
        form: What the folder holds.
        path: The folder; read only.
        key: Content key of the step that made it.
        origin: The torch artefact that an ONNX one was exported from.
    """

    form: Form
    path: Path
    key: str
    origin: Artefact | None = None

    @cached_property
    def contract(self) -> Contract:
        """What device code must know besides the weights."""
        return Contract.from_json(json.loads((self.path / CONTRACT).read_text("utf-8")))

    @property
    def model(self) -> Path:
        """The main file."""
        return self.path / ("model.onnx" if self.form == "onnx" else "model.safetensors")

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of every file that is loaded with the model."""
        return sum(
            file.stat().st_size for file in self.path.rglob("*") if file.is_file() and file.name not in PROVENANCE
        )
