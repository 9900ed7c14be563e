"""What is asked of a place where models are measured."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType


@dataclass(frozen=True)
class Conditions:
    """What holds on a device while a model is measured.

    Attributes:
        environment: Further variables of the agent's process.
        cores: Cores that it may run on, as taskset takes them; empty for all.
        cool_c: Degrees Celsius that the hottest sensor must be at or below before a model is measured, or None.
        cool_seconds: Longest wait for that.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    cores: str = ""
    cool_c: float | None = None
    cool_seconds: float = 300.0


class Device(ABC):
    """A place where an agent can run.

    What reaches it is a process here (an interpreter, `ssh`, `adb`), whose standard input and output are the agent's.

    Attributes:
        label: What the person calls it.
        conditions: What holds there.
    """

    def __init__(self, label: str, conditions: Conditions | None = None) -> None:
        self.label, self.conditions = label, conditions or Conditions()

    @abstractmethod
    def command(self, threads: int, script: Path) -> list[str]:
        """The command that runs the agent there; what it needs is brought first.

        Args:
            threads: Threads that numeric libraries of the agent's process may use.
            script: The agent's program, where it is one of Python.

        Raises:
            UnavailableError: The device cannot be reached, or cannot run an agent.
        """

    @abstractmethod
    def environment(self, threads: int) -> dict[str, str]:
        """Environment of that command."""

    @abstractmethod
    def bring(self, files: Sequence[Path]) -> str:
        """Path there of the first of the files, beside which the others lie as they do here (`places`).

        What is there already is not sent again.

        Raises:
            UnavailableError: They cannot be brought: the connection is lost, the disk is full.
        """

    def ending(self, code: int) -> str:
        """What an exit code of the command means."""
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def close(self) -> None:  # noqa: B027 (most have nothing to give back)
        """Gives back what was opened for it."""

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __str__(self) -> str:
        return self.label


def places(files: Sequence[Path]) -> list[str]:
    """Where each of the files lies beside the first: below its folder as it does here, from elsewhere by its name."""
    root = files[0].parent
    return [file.relative_to(root).as_posix() if file.is_relative_to(root) else file.name for file in files]


def variables(threads: int) -> dict[str, str]:
    """Variables that every agent of Python gets."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    # Otherwise the agent's folder leads the import path, and its neighbours could shadow other packages' modules.
    return {**dict.fromkeys(names, str(threads)), "PYTHONSAFEPATH": "1"}
