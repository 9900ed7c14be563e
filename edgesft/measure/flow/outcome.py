"""What became of one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["answered", "dropped", "late", "failed"]
"""It has an answer; a newer row took its place in the queue; its deadline passed before a session took it; a step
threw."""


@dataclass(frozen=True)
class Outcome:
    """What became of one row; moments are nanoseconds of the clock that took them.

    Attributes:
        number: Of the row, in the order of submission, from 0.
        state: How it ended.
        arrival_ns: When it was submitted.
        started_ns: When the first step began with it; None where none did.
        finished_ns: When this was known.
        deadline_ns: When a session was to have it at the latest; None for any time.
        value: The answer.
        error: What the step threw that failed.
    """

    number: int
    state: State
    arrival_ns: int
    started_ns: int | None
    finished_ns: int
    deadline_ns: int | None = None
    value: Any = None
    error: BaseException | None = None

    @property
    def latency_ns(self) -> int:
        """Nanoseconds from arrival to this outcome."""
        return self.finished_ns - self.arrival_ns

    @property
    def overdue(self) -> bool:
        """Whether it was answered after its deadline, a session having taken it just in time."""
        return self.state == "answered" and self.deadline_ns is not None and self.finished_ns > self.deadline_ns
