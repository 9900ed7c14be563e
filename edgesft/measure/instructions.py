"""Counts the processor's instructions of one inference: a cost that hardly depends on what else the machine does."""

from __future__ import annotations

import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgesft.errors import UnavailableError
from edgesft.measure import agent as protocol
from edgesft.measure.devices import Device, Interpreter
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.subject import Subject

TOOLS = ("perf", "callgrind")
"""In the order in which they are tried: the processor's own counter takes no time."""

REPEATS = 24
"""Most inferences that are counted; the latter half decides. The C library's allocator takes some ten inferences to
settle, and until then they vary by some thousand instructions."""

ENOUGH = 40_000_000
"""Instructions after which nothing is counted again: the same few thousand are then a few ten-thousandths."""

OPTIONS = (
    *("--tool=callgrind", "--instr-atstart=no", "--trace-children=yes", "--quiet"),
    # No pipes of its debugger in the system's temporary folder, and no options of the user's.
    *("--vgdb=no", "--command-line-only=yes"),
)
"""Loading goes unwatched, which is some five times as fast."""

INSTALL = "apt-get install valgrind (Debian, Ubuntu), dnf install valgrind (Fedora), on Linux with x86-64 or ARM64"


@dataclass(frozen=True)
class Instructions:
    """Instructions of one inference of the middle request, on one thread, the kernel's left out.

    Counts may be compared where `how` is the same: another processor has other kernels chosen for it.

    Attributes:
        instructions: Of the median inference; some 25 000 of them are the call, whatever the model.
        counts: Of each inference that was counted.
        tool: `perf`, which is the processor's own counter, or `callgrind`.
        version: Of Valgrind, or of the kernel whose counter it is.
        cpu: Processor that the runtime saw, with its instruction sets. Valgrind shows one of its own: every machine
            that has AVX2 gets the same kernels, and none those for AVX-512, which Valgrind 3.19 does not know.
    """

    instructions: int
    counts: tuple[int, ...]
    tool: str
    version: str
    cpu: str

    @property
    def spread(self) -> float | None:
        """Largest less smallest count, as a share of the median; None of a single one."""
        return (max(self.counts) - min(self.counts)) / self.instructions if len(self.counts) > 1 else None

    @property
    def how(self) -> str:
        """What must be the same where counts are compared."""
        return f"{self.tool}, {self.version}, {self.cpu}"

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        names = ("instructions", "tool", "version", "cpu")
        return {**{name: getattr(self, name) for name in names}, "counts": list(self.counts), "spread": self.spread}


def count(subject: Subject, tools: Sequence[str] = TOOLS) -> Instructions:
    """Counts what one inference of the middle request executes, by the first of the tools that works here.

    The session has one thread, whatever the subject has: threads that wait for each other execute instructions, too, of
    a number that never repeats.

    Args:
        subject: A model on the CPU provider.
        tools: Those of `TOOLS` that may be used, in this order.

    Raises:
        MeasureError: The model cannot be loaded, or not run.
        UnavailableError: No tool is here that can, or it would take longer than the subject's time limit.
    """
    name = subject.providers[0].name
    if name != protocol.CPU:
        raise UnavailableError(
            f"instructions can be counted on {protocol.CPU}, got {name}", "a profile whose first provider is the CPU's"
        )
    if not isinstance(subject.device, Interpreter):
        raise UnavailableError(f"instructions can be counted on this machine alone, got {subject.device}")
    alone, reasons = replace(subject, threads=1), []
    for tool in tools:
        try:
            return COUNTERS[tool](alone)
        except UnavailableError as error:
            reasons.append(f"{tool}: {error}")
    hint = INSTALL if shutil.which("valgrind") is None else None
    raise UnavailableError("instructions cannot be counted here; " + "; ".join(reasons), hint)


class _Counter(Agent):
    """An agent whose answers together, not each, must come within the time limit."""

    def __init__(self, device: Device, seconds: float) -> None:
        self.seconds, self.ends = seconds, time.monotonic() + seconds
        super().__init__(1, device, timeout_seconds=seconds)

    def __enter__(self) -> _Counter:
        return self

    def instructions(self, how: str, count: int, folder: str) -> tuple[list[int], str]:
        """Instructions of so many inferences, and the processor that the runtime saw."""
        reply = self._call("instructions", how=how, count=count, folder=folder)
        return reply["counts"], reply["cpu"]

    def _call(self, op: str, **fields: Any) -> dict[str, Any]:
        self._timeout = max(0.0, self.ends - time.monotonic())
        try:
            return super()._call(op, **fields)
        except MeasureError:
            if time.monotonic() >= self.ends:
                raise UnavailableError(
                    f"counting took longer than the time limit of {self.seconds:g} s and was ended in '{op}'; "
                    "a longer limit may help"
                ) from None
            raise


def _counted(subject: Subject, tool: str, version: str, device: Device, folder: str) -> Instructions:
    with _Counter(device, subject.time_limit) as agent:
        subject.begin(agent, whole=False)
        counts, cpu = agent.instructions(tool, 1, folder)
        # How often depends on the count alone, never on the time, or it would not be the same twice.
        if repeats := min(REPEATS, ENOUGH // max(1, counts[0])):
            # The very first one binds its inputs and makes its outputs.
            counts = agent.instructions(tool, 1 + repeats, folder)[0][1 + repeats // 2 :]
    return Instructions(statistics.median_low(counts), tuple(counts), tool, version, cpu)


def _perf(subject: Subject) -> Instructions:
    try:
        protocol.Perf().close()
        return _counted(subject, "perf", f"Linux {platform.release()}", subject.device, "")
    except protocol.Refusal as error:
        raise UnavailableError(str(error)) from error
    except MeasureError as error:
        if error.op == "instructions" and error.reason:
            raise UnavailableError(error.reason) from error
        raise


def _callgrind(subject: Subject) -> Instructions:
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise UnavailableError("valgrind is not installed")
    version = _version(valgrind)
    with tempfile.TemporaryDirectory(prefix="edgesft-") as name:
        folder = Path(name)
        own = subject.device.python if isinstance(subject.device, Interpreter) else None
        python = _under(valgrind, own or Path(sys.executable), folder)
        device = Interpreter(python, conditions=subject.device.conditions)
        try:
            return _counted(subject, "callgrind", version, device, name)
        except MeasureError as error:
            words = "".join(f"\n{log.read_text('utf-8', 'replace')[-1000:]}" for log in sorted(folder.glob("log.*")))
            raise UnavailableError(f"under {version}, {error}{words.rstrip()}") from error


def _version(valgrind: str) -> str:
    """`valgrind-3.19.0`."""
    try:
        done = subprocess.run([valgrind, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"{valgrind} does not start: {error}") from error
    return done.stdout.strip()


def _under(valgrind: str, python: Path, folder: Path) -> Path:
    """An interpreter that runs the given one under Valgrind in its own process, so that ending it ends both."""
    options = [*OPTIONS, f"--callgrind-out-file={folder}/callgrind.out.%p", f"--log-file={folder}/log.%p"]
    path = folder / "python"
    command = shlex.join([valgrind, *options, str(python)])
    # Without a seed, each process arranges its dictionaries in another way.
    path.write_text(f'#!/bin/sh\nPYTHONHASHSEED=0\nexport PYTHONHASHSEED\nexec {command} "$@"\n', "utf-8")
    path.chmod(0o755)
    return path


COUNTERS = {"perf": _perf, "callgrind": _callgrind}
