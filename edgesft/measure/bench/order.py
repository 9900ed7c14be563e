"""An order to measure: which models, where and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.errors import InputError, Problem
from edgesft.measure.devices import HERE, Device
from edgesft.measure.driver import TIMEOUT_SECONDS, Agent
from edgesft.measure.providers.options import wrong_options, wrong_session
from edgesft.measure.scenario import KINDS, RAW
from edgesft.spec.profile import ProfileSpec, ProviderSpec

if TYPE_CHECKING:
    from edgesft.measure.bench.prepared import Prepared


@dataclass(frozen=True)
class Variant:
    """What a provider is given in place of a model.

    Attributes:
        label: Behind the model's name; empty for the file as it is.
        file: ONNX file; None where it could not be made.
        made: How it was made, or why it was not.
    """

    label: str
    file: Path | None
    made: str = ""


@dataclass(frozen=True)
class Order:
    """What to measure, and how.

    Attributes:
        models: ONNX or ORT files.
        profile: Threads, measuring protocol and limits.
        providers: Each is measured with each model.
        inputs: npz file of requests, or a file of raw rows for scenarios that take those; None uses random requests.
        axes: Sizes of dynamic axes for random requests.
        batch: Rows per request.
        states: Input → output that is fed back into it; None recognises them by their names.
        pipeline: Pipeline for raw rows, a kind or a file; None uses that of the contract beside the model.
        pipeline_settings: Options of the pipeline, `option=value`.
        reference: Model that the answers of all models are compared with; None compares each with itself, unoptimised.
        allow_cpu: Whether a provider may leave all nodes to the CPU.
        explain: Whether to find out where the time goes.
        devices: Where to measure; each device with each model and provider.
        time_limit: Maximum seconds to wait for one answer of the measuring process.
        seed: Random seed of requests and of the order within rounds.
        variants: `variants(prepared, provider)` returns the models that a provider is given instead of the file. None
            gives it the file as it is.
    """

    models: Sequence[Path]
    profile: ProfileSpec
    providers: Sequence[ProviderSpec]
    inputs: Path | None = None
    axes: Mapping[str, int] = field(default_factory=dict)
    batch: int = 1
    states: Mapping[str, str] | None = None
    pipeline: str | Path | None = None
    pipeline_settings: Sequence[str] = ()
    reference: Path | None = None
    allow_cpu: bool = False
    explain: bool = False
    devices: Sequence[Device] = (HERE,)
    time_limit: float = TIMEOUT_SECONDS
    seed: int = 0
    variants: Callable[[Prepared, ProviderSpec], Sequence[Variant]] | None = None

    @property
    def end_to_end(self) -> bool:
        """Whether raw rows are measured through a pipeline."""
        return KINDS[self.profile.measure.scenario].raw

    def check(self, *, distinct: bool = True, single: bool = False) -> None:
        """Refuses what would silently have no effect.

        Args:
            distinct: Whether a model may stand only once.
            single: Whether there may be only one device.

        Raises:
            InputError: A model, device or provider is named twice, or something is given that has no effect.
        """
        scenario, problems = self.profile.measure.scenario, []
        labels = [device.label for device in self.devices]
        if again := [label for label in dict.fromkeys(labels) if labels.count(label) > 1]:
            problems.append(Problem(f"devices must differ, got {', '.join(again)} more than once"))
        if single and len(labels) > 1:
            problems.append(Problem(f"device must be one, got {', '.join(labels)}"))
        asked = [(each.name, dict(each.options)) for each in self.providers]
        if alike := [name for name, options in asked if asked.count((name, options)) > 1]:
            got = ", ".join(dict.fromkeys(alike))
            problems.append(Problem(f"providers must differ, got {got} more than once with the same options"))
        problems += [problem for provider in self.providers for problem in wrong_options(provider)]
        problems += wrong_session(self.profile.session)
        twice = [str(path) for path in dict.fromkeys(self.models) if list(self.models).count(path) > 1]
        if distinct and twice:
            problems.append(Problem(f"models must differ, got {', '.join(twice)} more than once", "--aa"))
        if (self.pipeline or self.pipeline_settings) and not self.end_to_end:
            message = f"pipeline must go with the scenario {' or '.join(RAW)}, got {scenario}"
            problems.append(Problem(message, f"--scenario {RAW[0]}"))
        if self.end_to_end and self.profile.measure.io != "host":
            message = f"io must be host for the scenario {scenario}, whose raw rows are the host's, got device"
            problems.append(Problem(message, "--scenario single-stream"))
        if self.reference and self.end_to_end:
            message = f"reference must go with requests whose answers can be compared, got the scenario {scenario}"
            problems.append(Problem(message, "another scenario, or leave it out"))
        if self.batch > 1 and self.end_to_end:
            problems.append(Problem(f"batch must be 1 for the scenario {scenario}, got {self.batch}"))
        if self.axes and self.inputs:
            message = f"axes must go with random inputs, whose sizes they are, got inputs from '{self.inputs}'"
            problems.append(Problem(message, "leave one of the two out"))
        if problems:
            raise InputError(problems)

    @property
    def device(self) -> Device:
        """The first of the devices; where several make no sense the only one."""
        return self.devices[0]

    def preference(self, provider: ProviderSpec) -> tuple[ProviderSpec, ...]:
        """A provider, and behind it the profile's others, which get the nodes that it does not take."""
        return (provider, *(other for other in self.profile.providers if other.name != provider.name))

    def connect(self, device: Device = HERE) -> Agent:
        """A fresh agent."""
        return Agent(self.profile.threads, device, timeout_seconds=self.time_limit)
