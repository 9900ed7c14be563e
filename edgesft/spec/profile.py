"""Device profiles: where the model runs, how it is measured there, and what the device can do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from edgesft.spec.base import Spec
from edgesft.spec.budget import BudgetSpec

Scenario = Literal["single-stream", "paced", "multi-stream", "offline", "sustained", "cold", "end-to-end", "pipeline"]
"""One request after another; requests at a fixed rate; several in flight, for the latency of each or for total
throughput; for minutes; each in a fresh process; from the raw row to the answer, one row after another or with the
steps overlapping."""


Io = Literal["host", "device"]
"""Where the inputs lie before an inference, and the outputs after it."""


Optimisation = Literal["all", "extended", "basic", "disabled"]
"""Of the graph, as ONNX Runtime names the levels."""

MOST_THREADS = 256

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class MachineSpec(Spec):
    """The machine that a profile describes. A field left out matches any machine."""

    architecture: Literal["x86_64", "aarch64", "arm64", "armv7l"] | None = None
    """As the operating system names it."""
    system: Literal["Linux", "Darwin", "Windows", "Android", "iOS"] | None = None
    """Operating system."""
    model: str | None = None
    """Text that the model name of the CPU or board must contain."""
    cores: int | None = Field(None, ge=1)
    """Minimum number of cores that this process may use."""


class ProviderSpec(Spec):
    """An ONNX Runtime execution provider, spelled as ONNX Runtime spells it."""

    name: str
    """For example CPUExecutionProvider."""
    options: dict[str, str] = {}
    """Provider options."""


class SessionSpec(Spec):
    """How ONNX Runtime makes a session; by default as it does by itself. `edgesft tune` finds what pays on a device."""

    optimisation: Optimisation = "all"
    """How far ONNX Runtime optimises the graph."""
    entries: dict[str, str] = {}
    """Entries of the session's configuration, spelled as ONNX Runtime spells them. For example
    `{session.intra_op.allow_spinning: "0"}`: threads that wait sleep."""

    def having(self, entries: Mapping[str, str]) -> SessionSpec:
        """The same with further entries, which go before its own."""
        return self.model_copy(update={"entries": {**self.entries, **entries}})

    @property
    def told(self) -> dict[str, str]:
        """What differs from the default, by name."""
        level = {} if self.optimisation == "all" else {"optimisation": str(self.optimisation)}
        return {**level, **self.entries}


class MeasureSpec(Spec):
    """How latency is measured."""

    samples: int = Field(300, ge=30)
    """Minimum number of timed inferences per model."""
    seconds: float = Field(5.0, gt=0)
    """Minimum time spent on each model."""
    rounds: int = Field(20, ge=5)
    """Number of interleaved rounds that the samples are spread over."""
    max_seconds: float = Field(120.0, gt=0)
    """Maximum time spent on each model."""
    warmup_seconds: float = Field(5.0, gt=0)
    """Maximum warm-up. It ends earlier once the running median is stable."""
    scenario: Scenario = "single-stream"
    """How requests arrive."""
    io: Io = "host"
    """`host`: inputs and outputs are in the host's memory, so the latency includes copies to and from an accelerator.
    `device`: both are in the accelerator's own memory, and nothing is copied."""
    interval_ms: float | None = Field(None, gt=0)
    """Milliseconds from one request to the next. `paced`: by default 30 requests per second. `pipeline`: by default the
    next row comes as soon as the queue has room, so none is dropped."""
    deadline_ms: float | None = Field(None, gt=0)
    """`paced`: milliseconds in which a request must be answered; by default until the next one comes. `pipeline`:
    milliseconds after which a row that no session has taken is given up; by default none is."""
    streams: int = Field(2, ge=1, le=256)
    """`multi-stream` and `offline`: requests in flight. `pipeline`: sessions."""
    queue: int = Field(4, ge=1)
    """`pipeline`: number of rows that may wait for the first step. At a fixed rate, a full queue drops its oldest row
    when a new one comes."""
    minutes: int = Field(5, ge=2)
    """`sustained`: duration."""


class ProfileSpec(Spec):
    """A target device, how to measure on it, and its typical budget."""

    name: str = Field(pattern=NAME)
    """Name of the profile. If a recipe names several profiles, also the name of the results folder."""
    description: str
    machine: MachineSpec = MachineSpec()
    providers: tuple[ProviderSpec, ...] = Field(min_length=1)
    """Execution providers in order of preference. The first one is measured."""
    threads: int = Field(1, ge=1, le=MOST_THREADS)
    """Intra-op threads."""
    session: SessionSpec = SessionSpec()
    precisions: tuple[Literal["fp32", "fp16", "int8", "int4"], ...] = Field(("fp32", "int8"), min_length=1)
    """Precisions that `quantize: {scheme: auto}` may try."""
    channel_multiple: int = Field(8, ge=1)
    """Pruned widths are rounded to a multiple of this."""
    static_shapes: bool = False
    """Whether the provider needs fixed shapes."""
    opset: int = Field(20, ge=17, le=23)
    """ONNX operator set of the export."""
    measure: MeasureSpec = MeasureSpec()
    budget: BudgetSpec = BudgetSpec()
    """A typical budget for this device. A recipe states its own."""
    vendor: dict[str, str] = {}
    """Figures published by the vendor, with their source."""
    assumed: dict[str, str] = {}
    """Figures that are assumptions, with the reason."""

    def options(self, provider: ProviderSpec) -> dict[str, str]:
        """What a measurement on a provider is bound to besides its threads: its options, and the session's."""
        return {**provider.options, **self.session.told}
