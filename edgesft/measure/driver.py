"""Starts a measuring agent and talks to it: each model runs in a process, and if need be an interpreter, of its own."""

from __future__ import annotations

import json
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, TypeVar

import numpy as np

from edgesft.errors import EdgesftError, UnavailableError
from edgesft.measure import agent as protocol
from edgesft.measure.devices import HERE, Device
from edgesft.measure.devices.device import places
from edgesft.measure.model.fixed import Fixed
from edgesft.measure.replies import Loaded, Turn, Warmup
from edgesft.spec.profile import Io, ProviderSpec, SessionSpec

T = TypeVar("T")

USUAL = SessionSpec()

TIMEOUT_SECONDS = 900.0
"""Longest wait for one answer; providers that compile a model when they load it can take minutes."""

PIPELINE_BYTES = 64 * 2**20
"""Files beside a model that are larger than this are no tokenizer's: they are not brought to the pipeline."""

STDERR_LINES = 12
"""Last lines of the agent's standard error that an exception carries."""


class MeasureError(EdgesftError):
    """The agent could not do it, died, or did not answer.

    Attributes:
        op: What it was asked, or None where it never started.
        reason: Its own words where it refused, else None.
    """

    exit_code = 4

    def __init__(self, message: str, op: str | None = None, reason: str | None = None) -> None:
        super().__init__(message)
        self.op, self.reason = op, reason


class Agent:
    """One agent process; use it as a context manager, which ends the process.

    Every method raises `MeasureError` where the agent refuses, dies or does not answer in time.
    """

    def __init__(
        self,
        threads: int = 1,
        device: Device = HERE,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        script: Path = Path(protocol.__file__),
    ) -> None:
        """Starts the process.

        Args:
            threads: Threads that numeric libraries of the process may use.
            device: Where it runs; by default here.
            timeout_seconds: Longest wait for one answer.
            script: The agent's program; tests put another one here.

        Raises:
            MeasureError: The device cannot be reached, or the program not started.
        """
        self._timeout = timeout_seconds
        self._device = device
        self._fixed: Fixed | None = None
        command = self._reached(lambda: device.command(threads, script))
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=device.environment(threads),
                text=True,
                encoding="utf-8",
            )
        except OSError as error:
            self._stderr.close()
            raise MeasureError(f"{device} must start, got {command[0]}: {error}") from error
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Agent:
        """The agent itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process."""
        self.close()

    @property
    def pid(self) -> int:
        """The process here that the agent is, or by which it is reached."""
        return self._process.pid

    def close(self) -> None:
        """Ends the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        # An interpreter behind a wrapper is no child that can be killed: it sees its input end, and the reader its own.
        self._shut(self._process.stdin)
        self._reader.join()
        self._shut(self._process.stdout)
        self._shut(self._stderr)

    def _shut(self, stream: IO[Any] | None) -> None:
        # A request that the dead process never read may still be buffered.
        with suppress(BrokenPipeError):
            if stream is not None and not stream.closed:
                stream.close()

    def info(self) -> dict[str, Any]:
        """`runtime` (version) and `providers` that the agent's interpreter can use."""
        return self._call("info")

    def state(self) -> dict[str, Any]:
        """`load`, `temperature_mc`, `frequency_khz` and `throttles` of the agent's machine just now."""
        return self._call("state")

    def evict(self, files: Sequence[Path]) -> bool:
        """Drops files from the system's cache; False where the system cannot."""
        folder = Path(self._bring(files)).parent
        there = [str(folder / place) for place in places([Path(file) for file in files])]
        return bool(self._call("evict", files=there)["evicted"])

    def load(
        self,
        model: Path,
        providers: Sequence[ProviderSpec],
        threads: int,
        *,
        session: SessionSpec = USUAL,
        allow_cpu: bool = False,
        beside: Sequence[Path] = (),
        nameless: bool = False,
        io: Io = "host",
    ) -> Loaded:
        """Creates the session.

        Args:
            model: ONNX or ORT file.
            providers: The first one must take at least one node.
            threads: Intra-op threads.
            session: How the runtime makes it; by default as it does by itself.
            allow_cpu: Whether the CPU may take every node instead.
            beside: Further files that loading reads, in the same folder.
            nameless: Whether to load it from its bytes, so that what a provider compiles of it does not depend on where
                it lies; it must be one file.
            io: Where inputs lie before an inference and outputs after it.
        """
        names = [{"name": provider.name, "options": provider.options} for provider in providers]
        reply = self._call(
            "load",
            model=self._bring([model, *(file for file in beside if file != model)]),
            providers=names,
            threads=threads,
            optimisation=session.optimisation,
            allow_cpu=allow_cpu,
            config=session.entries,
            **({"nameless": True} if nameless else {}),
            **({"io": io} if io != "host" else {}),
        )
        found = Loaded.from_json(reply)
        if found.io != io:
            raise MeasureError(f"the agent must leave inputs and outputs on the {io}, got {found.io}", "load")
        self._fixed = found.fixed
        return found

    def feedback(self, states: Mapping[str, str]) -> None:
        """Which output becomes which input of the next inference."""
        self._call("feedback", states=dict(states))

    def request(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Adds a request to those that are timed, padded where the model that is loaded wants it."""
        self._call("request", feeds=_encode(self._fixed.pad(feeds) if self._fixed else feeds))

    def pipeline(self, file: Path, folder: Path, options: Mapping[str, Any]) -> None:
        """Loads the steps around the inference."""
        held = [each for each in sorted(folder.iterdir()) if each.is_file() and each.stat().st_size <= PIPELINE_BYTES]
        there = Path(self._bring(held)).parent if held else folder.absolute()
        self._call("pipeline", file=self._bring([file]), folder=str(there), options=dict(options))

    def row(self, row: Any) -> None:
        """Adds a raw row, which the pipeline makes a request of."""
        self._call("row", row=row)

    def first(self) -> int:
        """Nanoseconds of one inference of the middle request."""
        return int(self._call("first")["ns"])

    def warm_up(self, seconds: float) -> Warmup:
        """Runs until the median is steady, at most so many seconds."""
        reply = self._call("warm_up", seconds=seconds)
        return Warmup(reply["samples"], reply["stable"], reply["typical_ns"])

    def series(self, op: str, count: int, picks: Sequence[int], **more: int) -> Turn:
        """Times `count` inferences.

        Args:
            op: `time`, `paced`, `flight`, `spans` or `pipelined`.
            count: Inferences.
            picks: Requests that they take in turn, by their number.
            more: What the op takes besides: `interval_ns`, `streams` …
        """
        reply = self._call(op, count=count, picks=list(picks), **more)
        detail = {name: value for name, value in reply.items() if name not in ("op", "ns", "energy_uj")}
        return Turn(tuple(reply["ns"]), reply["energy_uj"], detail)

    def profile(self, count: int) -> dict[str, Any]:
        """`run_ns` and `nodes` of so many inferences under the runtime's own profiler."""
        return self._call("profile", count=count)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs of one inference by name; feeds are padded, and outputs cut back, where the model wants it."""
        fixed = self._fixed
        outputs = self._call("run", feeds=_encode(fixed.pad(feeds) if fixed else feeds))["outputs"]
        found = {name: protocol.decode(array) for name, array in outputs.items()}
        return fixed.crop(found, feeds) if fixed else found

    def memory(self) -> tuple[int | None, int | None]:
        """Peak resident bytes of the agent's process, now and before the model was loaded."""
        reply = self._call("memory")
        return reply["peak_bytes"], reply["baseline_bytes"]

    def _call(self, op: str, **fields: Any) -> dict[str, Any]:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            raise MeasureError("the measuring process is closed")
        try:
            pipe.write(json.dumps({"op": op, **fields}) + "\n")
            pipe.flush()
        except OSError:
            raise self._died(op) from None
        try:
            line = self._answers.get(timeout=self._timeout)
        except queue.Empty:
            self._process.kill()
            raise MeasureError(
                f"the measuring process did not answer '{op}' within {self._timeout:g} s and was ended; "
                f"a longer limit, or another provider, may help{self._tail()}",
                op,
            ) from None
        if not line:
            raise self._died(op)
        try:
            reply = json.loads(line)
        except ValueError:
            raise MeasureError(f"the measuring process must answer '{op}' with JSON, got {line[:200]!r}", op) from None
        if "error" in reply:
            raise MeasureError(f"measuring could not do '{op}': {reply['error']}", op, reply["error"])
        return dict(reply)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._answers.put(line)
        self._answers.put("")

    def _died(self, op: str) -> MeasureError:
        ending = self._device.ending(self._process.wait())
        return MeasureError(f"the measuring process died in '{op}' ({ending}){self._tail()}", op)

    def _bring(self, files: Sequence[Path]) -> str:
        return self._reached(lambda: self._device.bring([Path(file) for file in files]))

    def _reached(self, ask: Callable[[], T]) -> T:
        """What a device answers; that it cannot be reached is this subject's failure and nobody else's."""
        try:
            return ask()
        except UnavailableError as error:
            raise MeasureError(str(error)) from error

    def _tail(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "replace").splitlines()[-STDERR_LINES:]
        return "; its last words:\n" + "\n".join(lines) if lines else ""


def _encode(feeds: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: protocol.encode(np.asarray(array)) for name, array in feeds.items()}
