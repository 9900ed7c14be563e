"""The artefact: a model with its task, lineage and metrics, passed from stage to stage."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from edgesft.tasks.contract import Contract

Form = Literal["torch", "torch-qat", "onnx"]

CONTRACT = "contract.json"

TOKENIZER = "tokenizer.json"
"""Holds a fast tokenizer's vocabulary and rules; where it is, the older formats beside it say the same again."""

RANGES = "ranges.json"
"""Beside a torch model: layer → least and greatest value that it learned to read."""

VOCABULARY = "vocabulary"
"""Option in the contract of a model whose tokenizer lacks tokens: how many it knows."""


@dataclass(frozen=True)
class Artefact:
    """A model with its contract, in a folder.

    A torch folder holds `config.json`, `model.safetensors`, the processor's files, `contract.json` and, where widths
    differ from what the configuration says, `widths.json`. An ONNX folder holds `model.onnx`, the
    task's side graphs (`Task.side_graphs`), the processor's files and `contract.json`: all that the device loads.

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
        """Bytes of every file in the folder: all of them are loaded with the model."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())

    @cached_property
    def parameters(self) -> int:
        """Number of weights of the torch model, from its file's header (no torch needed).

        The header is JSON behind its length as a little-endian 64-bit integer (safetensors format specification).
        """
        if self.origin:
            return self.origin.parameters
        if self.form == "onnx":
            from edgesft.measure.model.facts import read_facts

            return read_facts(self.model).parameters
        with self.model.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__")


def refill(out: Path, files: Iterable[Path], artefact: Artefact) -> None:
    """Fills a folder with graphs that were made of an ONNX artefact's, and with the files that lie beside those."""
    out.mkdir(parents=True, exist_ok=True)
    made = [place for file in files for place in (file, file.with_name(f"{file.name}.data"))]
    replaced = {place.name for place in made}
    kept = [place for place in sorted(artefact.path.iterdir()) if place.name not in replaced]
    for place in (*kept, *made):
        if place.is_file():
            shutil.copy2(place, out / place.name)
