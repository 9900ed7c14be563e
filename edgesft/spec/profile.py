"""What a device profile says: where the model runs, how it is measured there, what the device can do."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgesft.spec.base import Spec
from edgesft.spec.budget import BudgetSpec

Scenario = Literal["single-stream", "paced", "multi-stream", "offline", "sustained", "cold", "end-to-end", "pipeline"]
"""One request after another; at a fixed rate; several in flight, for the latency of each or for the throughput of all;
for minutes; each in a fresh process; from the raw row to the answer, one row after another or with the steps
overlapping."""


Io = Literal["host", "device"]
"""Where inputs lie before an inference and outputs after it."""


class MachineSpec(Spec):
    """The machine that a profile means; a field left out fits any machine."""

    architecture: Literal["x86_64", "aarch64", "arm64", "armv7l"] | None = None
    """As the operating system names it."""
    system: Literal["Linux", "Darwin", "Windows", "Android", "iOS"] | None = None
    """Operating system."""
    model: str | None = None
    """Text that the CPU's or board's model name must contain."""
    cores: int | None = Field(None, ge=1)
    """Least number of cores that this process may use."""


class ProviderSpec(Spec):
    """One ONNX Runtime execution provider, named as ONNX Runtime spells it."""

    name: str
    """For example CPUExecutionProvider."""
    options: dict[str, str] = {}
    """Provider options."""


class MeasureSpec(Spec):
    """How the latency is taken."""

    samples: int = Field(300, ge=30)
    """Least number of timed inferences a model."""
    seconds: float = Field(5.0, gt=0)
    """Least time spent on each model."""
    rounds: int = Field(20, ge=5)
    """Interleaved rounds that the samples are spread over."""
    max_seconds: float = Field(120.0, gt=0)
    """No model is timed for longer than this."""
    warmup_seconds: float = Field(5.0, gt=0)
    """Longest warm-up; it ends earlier when the running median is stable."""
    scenario: Scenario = "single-stream"
    """How the requests come."""
    io: Io = "host"
    """`host`: an inference begins with its inputs in the host's memory and ends with its outputs there, copies to and
    from an accelerator included. `device`: both lie in the accelerator's own memory, and nothing is copied."""
    interval_ms: float | None = Field(None, gt=0)
    """Milliseconds from one request to the next. `paced`: by default 30 come a second. `pipeline`: by default the next
    row comes as soon as the queue takes it, so that none is dropped."""
    deadline_ms: float | None = Field(None, gt=0)
    """`paced`: milliseconds in which a request must be answered; by default until the next one comes. `pipeline`:
    milliseconds after which a row that no session has taken is given up; by default none is."""
    streams: int = Field(2, ge=1, le=256)
    """`multi-stream` and `offline`: requests in flight. `pipeline`: sessions."""
    queue: int = Field(4, ge=1)
    """`pipeline`: rows that may wait for the first step; where rows come at a fixed rate, the oldest of them is dropped
    when one more comes."""
    minutes: int = Field(5, ge=2)
    """`sustained`: how long."""


class ProfileSpec(Spec):
    """A target device and what holds there."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """Also the folder of its results where a recipe names several."""
    description: str
    machine: MachineSpec = MachineSpec()
    providers: tuple[ProviderSpec, ...] = Field(min_length=1)
    """In order of preference; the first one is the one that is measured."""
    threads: int = Field(1, ge=1, le=256)
    """Intra-op threads."""
    precisions: tuple[Literal["fp32", "fp16", "int8", "int4"], ...] = Field(("fp32", "int8"), min_length=1)
    """What `quantize: {scheme: auto}` may try."""
    channel_multiple: int = Field(8, ge=1)
    """Pruned widths are rounded to a multiple of this."""
    static_shapes: bool = False
    """The provider needs fixed shapes."""
    opset: int = Field(20, ge=17, le=23)
    """ONNX operator set of the export."""
    measure: MeasureSpec = MeasureSpec()
    budget: BudgetSpec = BudgetSpec()
    """What is typical on this device; a recipe states its own."""
    vendor: dict[str, str] = {}
    """Figures that the vendor publishes, and where."""
    assumed: dict[str, str] = {}
    """Figures that are our assumption, and why."""
