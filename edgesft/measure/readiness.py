"""Before a model is measured: whether the device has room for it, and has cooled down from the one before."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edgesft.measure.devices import Conditions
from edgesft.measure.driver import MeasureError

LOOK_SECONDS = 2.0
"""How often a hot device is looked at."""

HELD = 2
"""A runtime holds a model's weights about twice while it loads them: as the file has them, and as its kernels want them
(seen of ONNX Runtime on the CPU; on phones the rest of the system needs what is left)."""

SLOW_GOVERNORS = ("powersave", "conservative")
"""Linux's governors that hold the clock down or raise it late (kernel documentation, admin-guide/pm/cpufreq)."""


class Told(Protocol):
    """What is asked of an agent here."""

    def state(self) -> dict[str, Any]:
        """What may slow its machine just now."""


def cool(
    agent: Told,
    conditions: Conditions,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Waits until the device's hottest sensor is at or below what was asked; at once where nothing was, or none tells.

    Args:
        agent: On the device.
        conditions: Degrees, and the longest wait.
        clock: In seconds.
        sleep: Waits for some seconds.

    Raises:
        MeasureError: It is still too hot after the longest wait.
    """
    if conditions.cool_c is None:
        return
    ends = clock() + conditions.cool_seconds
    while (heat := agent.state().get("temperature_mc")) is not None and heat > conditions.cool_c * 1000:
        if clock() >= ends:
            raise MeasureError(
                f"the device must cool down to {conditions.cool_c:g} °C within {conditions.cool_seconds:g} s before it "
                f"is measured, got {heat / 1000:.1f} °C: shade or a fan, a longer cool_seconds, or a higher cool_c"
            )
        sleep(LOOK_SECONDS)


def room(state: Mapping[str, Any], size_bytes: int) -> None:
    """Refuses a model that the device's free memory does not hold.

    Raises:
        MeasureError: It does not.
    """
    free = state.get("memory_free_bytes")
    if free is not None and free < HELD * size_bytes:
        raise MeasureError(
            f"the device must have {HELD * size_bytes / 1e6:.0f} MB of memory free, {HELD} times the model, "
            f"got {free / 1e6:.0f} MB"
        )


def slowed(machine: Mapping[str, Any]) -> str | None:
    """Why a machine may be slower than it can be; None where nothing is known against it."""
    if machine.get("governor") in SLOW_GOVERNORS:
        return f"the clock's governor is {machine['governor']}: times are longer than under performance"
    return None
