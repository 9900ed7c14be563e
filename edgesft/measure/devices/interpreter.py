"""This machine: the interpreter that runs edgesft, or another one with a runtime of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from edgesft.measure.agent import HOST
from edgesft.measure.devices.device import Conditions, Device, variables


class Interpreter(Device):
    """An interpreter on this machine, which needs numpy and an onnxruntime but not edgesft."""

    def __init__(self, python: Path | None = None, *, label: str = "", conditions: Conditions | None = None) -> None:
        """Nothing is started yet.

        Args:
            python: The interpreter; by default this one.
            label: What the person calls it.
            conditions: What holds there.
        """
        super().__init__(label or str(python or "here"), conditions)
        self.python = python

    def command(self, threads: int, script: Path) -> list[str]:
        """The interpreter with the agent's program."""
        cores = self.conditions.cores
        pinned = ["taskset", "-c", cores] if cores else []
        return [*pinned, str(self.python or sys.executable), str(script)]

    def environment(self, threads: int) -> dict[str, str]:
        """This process's, without what would make another interpreter import this one's packages."""
        found = dict(os.environ)
        if self.python is not None:
            for name in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
                found.pop(name, None)
        return {**found, **variables(threads), HOST: str(os.getpid()), **self.conditions.environment}

    def bring(self, files: Sequence[Path]) -> str:
        """The file where it lies."""
        return str(files[0].absolute())


HERE = Interpreter()
"""The interpreter that runs edgesft."""
