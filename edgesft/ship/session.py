"""Runs a bundle's models; onnxruntime is imported when the first one is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import UnavailableError
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.variant import MODEL, Chip, Device, Variant
from edgesft.ship.wiring import Feeds, Run

if TYPE_CHECKING:
    import numpy as np

    from edgesft.measure.devices import Device as Machine

CPU = "CPUExecutionProvider"


@dataclass(frozen=True)
class Place:
    """Where models are run: here and on the CPU, in this process; elsewhere, and on any other provider, in an agent's.

    Attributes:
        provider: As ONNX Runtime spells it; the CPU provider takes what it leaves.
        options: Of the provider.
        machine: Where it is; None for this interpreter.
    """

    provider: str = CPU
    options: Mapping[str, str] = field(default_factory=dict)
    machine: Machine | None = None

    def __str__(self) -> str:
        """What a person is told of it."""
        return self.provider if self.machine is None else f"{self.provider} of {self.machine}"

    @cached_property
    def device(self) -> Device:
        """What it is to a selector.

        Raises:
            UnavailableError: The provider is not there.
            MeasureError: The device cannot be reached.
        """
        from edgesft.measure.driver import Agent
        from edgesft.measure.providers import PROVIDERS
        from edgesft.measure.providers.find import lacking

        static = tuple(name for name, known in PROVIDERS.items() if known.static_shapes)
        if self._inside:
            import platform

            import onnxruntime

            return Device((self.provider,), onnxruntime.__version__, platform.machine(), static=static)
        with Agent(device=self._machine) as agent:
            info = agent.info()
        if why := lacking(self.provider, info):
            raise UnavailableError(why, "--device names an interpreter that has it; edgesft doctor")
        known, plugin = PROVIDERS.get(self.provider), info["plugins"].get(self.provider)
        chip = self.options.get(known.chip) if known else None
        return Device(
            (self.provider,),
            info["runtime"],
            info["machine"]["architecture"],
            # A plugin is not asked for its nodes of a model in ORT's format (ONNX Runtime 1.32, QNN 2.7: "EP_FAIL").
            forms=("onnx",) if plugin else Device.forms,
            static=static,
            chips={self.provider: Chip(chip, (plugin or {}).get("sdk") or "")} if chip else {},
        )

    @contextmanager
    def running(self, folder: Path, variant: Variant) -> Iterator[tuple[Run, str | None]]:
        """What runs a variant's graphs, on one thread, and what stands in for the provider's hardware.

        Args:
            folder: Where the variant's files are.
            variant: Of a bundle.

        Raises:
            RefusedError: ONNX Runtime does not load it.
        """
        if self._inside:
            yield runner(folder, variant), None
            return
        from edgesft.measure.driver import Agent, MeasureError
        from edgesft.spec.profile import ProviderSpec

        spec = ProviderSpec(name=self.provider, options=dict(self.options))
        beside, simulated = [folder / name for name in variant.files], None
        with ExitStack() as stack:
            agents = {graph: stack.enter_context(Agent(device=self._machine)) for graph in variant.parts}
            for graph, file in variant.parts.items():
                try:
                    told = agents[graph].load(folder / file, [spec, ProviderSpec(name=CPU)], 1, beside=beside)
                except MeasureError as error:
                    raise _refused(file, "model", f"load on {self}", error) from error
                simulated = simulated or told.simulated

            def run(feeds: Feeds, graph: str = MODEL) -> dict[str, np.ndarray]:
                try:
                    return agents[graph].run(feeds)
                except MeasureError as error:
                    raise _refused(variant.parts[graph], "golden", f"run on {self}", error) from error

            yield run, simulated

    @property
    def _inside(self) -> bool:
        return self.machine is None and self.provider == CPU

    @property
    def _machine(self) -> Machine:
        from edgesft.measure.devices import HERE

        return self.machine or HERE


def runner(folder: Path, variant: Variant) -> Run:
    """What runs a variant's graphs on the CPU provider, in this process and on one thread.

    Args:
        folder: Where its files are.
        variant: Of a bundle.

    Raises:
        RefusedError: ONNX Runtime does not load it.
    """
    parts = {graph: file_runner(folder / file, file, variant.fixed) for graph, file in variant.parts.items()}
    return lambda feeds, graph=MODEL: parts[graph](feeds)


def file_runner(path: Path, name: str, fixed: Mapping[str, Any]) -> Run:
    """The same of a graph's file alone.

    Args:
        path: The file.
        name: What it is called in the bundle.
        fixed: Axes that were free before, as its variant has them.

    Raises:
        RefusedError: ONNX Runtime does not load it.
    """
    from edgesft.measure import agent
    from edgesft.measure.model.fixed import Fixed

    shapes = Fixed.from_json(fixed) if fixed else None
    try:
        session = agent.create_session(str(path), [{"name": CPU, "options": {}}], agent.session_options(str(path), 1))
    except Exception as error:  # ONNX Runtime raises its own unrelated types.
        raise _refused(name, "model", "load in ONNX Runtime", error) from error
    names = [value.name for value in session.get_outputs()]

    def run(feeds: Feeds, graph: str = MODEL) -> dict[str, np.ndarray]:
        try:
            found = dict(zip(names, session.run(names, shapes.pad(feeds) if shapes else dict(feeds)), strict=True))
        except Exception as error:  # The same.
            raise _refused(name, "golden", "run in ONNX Runtime", error) from error
        return shapes.crop(found, feeds) if shapes else found

    return run


def _refused(name: str, kind: Any, what: str, error: Exception) -> RefusedError:
    return RefusedError(Finding(f"must {what}, got: {error}", None, name, kind))
