from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edgesft.measure.devices import Conditions
from edgesft.measure.driver import MeasureError
from edgesft.measure.readiness import HELD, LOOK_SECONDS, cool, room, slowed


class Sensor:
    """A device that tells these millidegrees one after another, and a clock that only sleeping moves."""

    def __init__(self, *told: int | None) -> None:
        self.now = 0.0
        self._told: Iterator[int | None] = iter(told)

    def state(self) -> dict[str, Any]:
        return {"temperature_mc": next(self._told)}

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def cool(self, **conditions: Any) -> float:
        """Seconds waited."""
        cool(self, Conditions(**conditions), clock=self.clock, sleep=self.sleep)
        return self.now


def test_a_hot_device_is_waited_for() -> None:
    assert Sensor(71_000, 65_000, 60_001, 60_000).cool(cool_c=60) == 3 * LOOK_SECONDS
    assert Sensor(41_500).cool(cool_c=41.5) == 0


def test_nothing_is_waited_for_where_nothing_is_asked_or_told() -> None:
    assert Sensor().cool() == 0, "it is not even asked"
    assert Sensor(None).cool(cool_c=40) == 0
    assert Sensor(90_000, None).cool(cool_c=40) == LOOK_SECONDS, "a sensor may fall silent"


def test_one_that_stays_hot_is_given_up() -> None:
    sensor = Sensor(*range(90_000, 80_000, -100))
    with pytest.raises(MeasureError, match=r"must cool down to 60 °C within 7 s before it is measured, got 89\.6 °C"):
        sensor.cool(cool_c=60, cool_seconds=7)
    assert 7 <= sensor.now < 7 + LOOK_SECONDS + 1


def test_a_model_must_fit_into_free_memory() -> None:
    room({"memory_free_bytes": HELD * 10**6}, 10**6)
    room({"memory_free_bytes": None}, 10**12)
    room({}, 10**12)
    with pytest.raises(MeasureError, match="must have 2000 MB of memory free, 2 times the model, got 512 MB"):
        room({"memory_free_bytes": 512 * 10**6}, 10**9)


@pytest.mark.parametrize(
    ("governor", "slow"),
    [("powersave", True), ("conservative", True), ("performance", False), ("schedutil", False), (None, False)],
)
def test_a_clock_that_is_held_down_is_named(governor: str | None, slow: bool) -> None:
    told = slowed({"governor": governor})
    assert (told is not None) == slow and (told is None or f"governor is {governor}" in told)
    assert slowed({}) is None
