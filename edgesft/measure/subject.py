"""One thing that is measured: a model on a provider, with what is fed to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.measure.devices import HERE, Device
from edgesft.measure.driver import TIMEOUT_SECONDS, Agent
from edgesft.measure.inputs import Requests
from edgesft.measure.replies import Loaded
from edgesft.measure.schedule import fitting
from edgesft.spec.profile import Io, ProviderSpec, SessionSpec

if TYPE_CHECKING:
    from edgesft.measure.pipelines import PipelineSource

Start = tuple[Loaded, int]
"""What loading told, and nanoseconds of the first inference."""


@dataclass(frozen=True)
class Subject:
    """A model on a provider.

    Attributes:
        model: ONNX or ORT file.
        providers: The first one is measured.
        threads: Intra-op threads.
        requests: What is fed, one inference an item, in turn.
        states: Input → output that becomes its value at the next inference.
        allow_cpu: Whether nodes that the provider does not take may all go to the CPU.
        device: Where the agent runs.
        pipeline: The steps around the inference, which make requests of `rows`; then `requests` are not used.
        rows: Raw rows.
        files: Every file that loading reads.
        time_limit: Longest seconds to wait for one answer of the agent.
        io: Where inputs lie before an inference and outputs after it.
        session: How the session is made.
    """

    model: Path
    providers: tuple[ProviderSpec, ...]
    threads: int
    requests: Requests
    states: Mapping[str, str] = field(default_factory=dict)
    allow_cpu: bool = False
    device: Device = HERE
    pipeline: PipelineSource | None = None
    rows: Sequence[Any] = ()
    files: tuple[Path, ...] = ()
    time_limit: float = TIMEOUT_SECONDS
    io: Io = "host"
    session: SessionSpec = field(default_factory=SessionSpec)

    def connect(self) -> Agent:
        """A fresh agent for it.

        Raises:
            MeasureError: The device cannot be reached, or the agent not started.
        """
        return Agent(self.threads, self.device, timeout_seconds=self.time_limit)

    def begin(self, agent: Agent, *, whole: bool = True) -> Start:
        """Loads the model and runs it once.

        Args:
            agent: A fresh one.
            whole: Whether it gets every request, or only the middle one, which is the one that is run.

        Raises:
            MeasureError: It cannot be loaded, or not run.
        """
        loaded = agent.load(
            self.model,
            self.providers,
            self.threads,
            session=self.session,
            allow_cpu=self.allow_cpu,
            beside=self.files,
            io=self.io,
        )
        if self.states:
            agent.feedback(self.states)
        held = self.held
        if self.pipeline is not None:
            agent.pipeline(self.pipeline.file, self.pipeline.folder, self.pipeline.options)
            add: Callable[[Any], None] = agent.row
        else:
            add = agent.request
        for item in held if whole else [held[len(held) // 2]]:
            add(item)
        return loaded, agent.first()

    @cached_property
    def held(self) -> Sequence[Any]:
        """The rows or requests that it cycles through, the requests by their size."""
        return self.rows if self.pipeline is not None else fitting(self.requests.feeds)
