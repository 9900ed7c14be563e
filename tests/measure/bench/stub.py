"""An agent without a process, for what no runtime here does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edgesft.measure.agent import CPU
from edgesft.measure.driver import MeasureError
from edgesft.measure.replies import Loaded, Value
from edgesft.spec.profile import ProviderSpec

ENDS = (Value("x", "float32", ("batch", 4)),), (Value("y", "float32", ("batch", 4)),)


class Stub:
    """Answers `y = x` on a model of one input and one output."""

    def __init__(self, *, cpu: bool = True, refuses: Mapping[str, str] | None = None) -> None:
        """A stub.

        Args:
            cpu: Whether the CPU takes the model; another provider does.
            refuses: Operation → why it is refused.
        """
        self.cpu, self.refuses = cpu, refuses or {}
        self.asked: list[str] = []

    def __enter__(self) -> Stub:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def info(self) -> dict[str, Any]:
        self._ask("info")
        return {"runtime": "1.0", "providers": [CPU, "QNNExecutionProvider"]}

    def load(self, model: Path, providers: Sequence[ProviderSpec], threads: int, **more: Any) -> Loaded:
        self._ask("load")
        if providers[0].name == CPU and not self.cpu:
            raise MeasureError("no kernel", "load", "no kernel")
        return Loaded(1, None, None, None, *ENDS)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self._ask("run")
        return {"y": feeds["x"]}

    def request(self, feeds: Mapping[str, np.ndarray]) -> None:
        self._ask("request")

    def first(self) -> int:
        self._ask("first")
        return 1

    def _ask(self, op: str) -> None:
        self.asked.append(op)
        if op in self.refuses:
            raise MeasureError(f"refused: {self.refuses[op]}", op, self.refuses[op])
