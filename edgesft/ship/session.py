"""Runs a bundle's model; onnxruntime is imported when the first one is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import UnavailableError
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.variant import Device

if TYPE_CHECKING:
    import numpy as np

CPU = "CPUExecutionProvider"

Feeds = Mapping[str, "np.ndarray"]

Answer = Callable[[Feeds], "dict[str, np.ndarray]"]


def here(provider: str) -> Device:
    """What this machine is to a selector, with one provider."""
    import platform

    import onnxruntime

    from edgesft.measure.providers import PROVIDERS

    static = tuple(name for name, known in PROVIDERS.items() if known.static_shapes)
    return Device((provider,), onnxruntime.__version__, platform.machine(), static=static)


def runner(path: Path, name: str, fixed: Mapping[str, Any], provider: str = CPU) -> Answer:
    """What answers requests by a model's file, on one thread.

    Args:
        path: The file.
        name: What it is called in the bundle.
        fixed: Axes that were free before, as its variant has them.
        provider: What runs it; the CPU provider takes what it leaves.

    Raises:
        UnavailableError: The provider is not here.
        RefusedError: ONNX Runtime does not load it.
    """
    from edgesft.measure import agent
    from edgesft.measure.model.fixed import Fixed

    shapes = Fixed.from_json(fixed) if fixed else None
    asked = [{"name": each, "options": {}} for each in dict.fromkeys((provider, CPU))]
    try:
        session = agent.create_session(str(path), asked, agent.session_options(str(path), 1))
    except agent.Refusal as refusal:
        raise UnavailableError(str(refusal), "edgesft doctor") from refusal
    except Exception as error:  # ONNX Runtime raises its own unrelated types.
        raise RefusedError(Finding(f"must load in ONNX Runtime, got: {error}", None, name, "model")) from error
    names = [value.name for value in session.get_outputs()]

    def answer(feeds: Feeds) -> dict[str, np.ndarray]:
        try:
            found = dict(zip(names, session.run(names, shapes.pad(feeds) if shapes else dict(feeds)), strict=True))
        except Exception as error:  # The same.
            raise RefusedError(Finding(f"must run in ONNX Runtime, got: {error}", None, name, "golden")) from error
        return shapes.crop(found, feeds) if shapes else found

    return answer
