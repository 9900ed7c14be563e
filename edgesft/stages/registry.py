"""The registry of stages: the forms that each takes and gives, and where its code is. A new stage is one line here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from edgesft.stages.artefact import Artefact, Form
    from edgesft.stages.context import StageContext, StageReport

Role = Literal["origin", "speed", "recovery", "convert", "measure"]
"""How a stage is judged: `origin` never, `speed` by latency and size, `recovery` by accuracy, the others change no
answer."""

Runner = Callable[[Any, "Artefact", Path, "StageContext"], "StageReport"]
"""`run(spec, artefact, out, context)` reads the artefact and fills the folder `out`."""


@dataclass(frozen=True)
class StageKind:
    """One kind of stage.

    Attributes:
        takes: Forms that it can start from.
        gives: Form of what it makes; None where it makes no model.
        role: How it is judged.
        module: Where its `run` is; imported when it runs.
        profile: Fields of the profile that change what it makes.
        version: Part of the content key; raised when the stage would make other bytes than before.
    """

    takes: tuple[Form, ...]
    gives: Form | None
    role: Role
    module: str | None
    profile: tuple[str, ...] = ()
    version: int = 1

    def runner(self) -> Runner:
        """Imports the stage's code."""
        return importlib.import_module(str(self.module)).run  # type: ignore[no-any-return]


KINDS: dict[str, StageKind] = {
    "finetune": StageKind(("torch",), "torch", "origin", "edgesft.stages.finetune", version=6),
    "prune": StageKind(("torch",), "torch", "speed", "edgesft.stages.prune", ("channel_multiple",), version=20),
    "distill": StageKind(("torch",), "torch", "recovery", "edgesft.stages.distill", version=9),
    "optimize": StageKind(("onnx",), "onnx", "speed", "edgesft.stages.optimize", version=3),
    "quantize": StageKind(
        ("onnx",), "onnx", "speed", "edgesft.stages.quantize", ("precisions", "providers"), version=11
    ),
    "export": StageKind(("torch",), "onnx", "convert", "edgesft.stages.export", ("opset", "static_shapes"), version=3),
    # Made by the pipeline itself, which alone sees every row.
    "benchmark": StageKind(("torch", "onnx"), None, "measure", None),
}
