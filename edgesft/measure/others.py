"""What other programs take of this machine's processors while models are timed.

They slow models unequally: beside a training on the other of two cores, ResNet-56 took three times as long in fp32, and
a fifth longer in int8 (measured), steadily, so that neither samples nor ratios tell.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

NOTED = 0.25
"""Cores. What a system does for itself takes less."""

OTHERS = "others"
"""What a measurement's conditions have at last: the cores."""

IDLE = (3, 4)
"""Places of what is no work among the times of proc/stat: idle, and waiting for disks (proc(5))."""

COUNTED = 8
"""Times of proc/stat up to that which other machines stole; those of guests are in the first ones."""


class Others:
    """Counts from when it is made.

    Args:
        own: Processes that are no others, besides this one and what it ended.
        root: Folder of `proc`.
    """

    def __init__(self, own: Collection[int], root: str | os.PathLike[str] = "/") -> None:
        self._own, self._proc = own, Path(root, "proc")
        self._before = self._now()

    def cores(self) -> float | None:
        """Cores that others were busy on, on average; None where the system does not tell."""
        after = self._now()
        if self._before is None or after is None or after[1] <= self._before[1]:
            return None
        return max(0.0, (after[0] - self._before[0]) / (after[1] - self._before[1]))

    def _now(self) -> tuple[float, float] | None:
        """Seconds that others have worked so far, and the time."""
        try:
            ticks = os.sysconf("SC_CLK_TCK")
            line = (self._proc / "stat").read_text().split("\n", 1)[0]
            times = [int(each) for each in line.split()[1 : COUNTED + 1]]
            busy = sum(each for place, each in enumerate(times) if place not in IDLE)
            mine = sum(map(self._worked, self._own))
        except (OSError, ValueError, IndexError, AttributeError):
            return None
        return (busy - mine) / ticks - sum(os.times()[:4]), time.monotonic()

    def _worked(self, process: int) -> int:
        """Ticks in user and in system mode; what follows the name, which may hold anything."""
        said = (self._proc / str(process) / "stat").read_text().rpartition(")")[2].split()
        return int(said[11]) + int(said[12])


def disturbed(cores: float | None) -> tuple[str, ...]:
    """What to say of others' work; nothing where there was little."""
    if cores is None or cores < NOTED:
        return ()
    return (
        f"other programs were busy on {cores:.1f} cores meanwhile: they slow models unequally, so that ratios change, "
        "too: measure again with nothing else running",
    )
