"""The environments that `make providers` builds, each with a runtime or an emulator of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesft.measure.devices import Device
from edgesft.measure.devices.find import made, pool

FILE = Path(__file__).parents[2] / "bench" / "devices.yaml"


def device(name: str) -> Device:
    """A device of the file; the test is skipped where its environment was not built."""
    known, base = pool(FILE)
    if not (base / str(known[name].python)).is_file():
        pytest.skip(f"{name} is not here: make providers")
    return made(name, known[name], base)
