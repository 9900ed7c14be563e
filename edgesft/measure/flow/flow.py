"""Rows through pre-processing, sessions and post-processing, on a thread for each."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any

from edgesft.errors import InputError, Problem
from edgesft.measure.flow.channel import Channel
from edgesft.measure.flow.loop import Step, loop
from edgesft.measure.flow.outcome import Outcome, State

NS_PER_MS = 1_000_000


@dataclass
class _Request:
    """A row on its way; `value` is what the last step made of it."""

    number: int
    value: Any
    arrival_ns: int
    deadline_ns: int | None
    started_ns: int | None = None


class Flow:
    """Takes rows to answers with all steps at work at once. Its threads live until `close`, which `with` calls.

    A row waits in the queue until `before` is free. Past it, each step has at most one item a session waiting for it,
    and a step that is ahead of the next one waits: so nothing grows, and what is slow shows where rows can be dropped.
    """

    def __init__(
        self,
        before: Step,
        runs: Sequence[Step],
        after: Step,
        *,
        queue: int,
        deadline_ms: float | None = None,
        clock: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        """Starts the threads.

        Args:
            before: A row → feeds; called for one row at a time.
            runs: Feeds → outputs, one a session, each on a thread of its own and called for one row at a time.
            after: Outputs → the answer; called for one row at a time.
            queue: Most rows that wait for `before`.
            deadline_ms: Milliseconds from a row's arrival in which a session must have taken it; None for any time.
            clock: Nanoseconds, never going back; called by all threads.

        Raises:
            InputError: What is given cannot work.
        """
        _check(before, runs, after, queue, deadline_ms)
        self._before, self._runs, self._after, self._clock = before, tuple(runs), after, clock
        self._deadline_ns = None if deadline_ms is None else round(deadline_ms * NS_PER_MS)
        self._numbers = itertools.count()
        self._telling = threading.Lock()
        self._outcomes: Channel[Outcome] = Channel(alive=_program_runs)
        self._waiting: Channel[_Request] = Channel(queue, dropped=partial(self._tell, "dropped"), alive=_program_runs)
        self._threads: list[threading.Thread] = []
        self._start()

    def _start(self) -> None:
        sessions = len(self._runs)
        prepared: Channel[_Request] = Channel(sessions)
        ran: Channel[_Request] = Channel(sessions, writers=sessions)
        works = [
            ("before", partial(self._work, self._before, self._waiting, prepared)),
            *((f"session {place}", partial(self._work, run, prepared, ran)) for place, run in enumerate(self._runs)),
            ("after", partial(self._work, self._after, ran, None)),
        ]
        try:
            for name, work in works:
                thread = threading.Thread(target=work, name=f"flow: {name}")
                thread.start()
                self._threads.append(thread)
        except BaseException:
            # A system that has no more threads: those that did start would wait for ever.
            self.close()
            raise

    def __enter__(self) -> Flow:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(finish=error is None)

    @property
    def waiting(self) -> int:
        """How many rows wait in the queue just now."""
        return len(self._waiting)

    def submit(self, row: Any, *, block: bool = False) -> int:
        """Hands a row over; it arrives now.

        Args:
            row: Raw row.
            block: Whether to wait where the queue is full; otherwise the oldest row in it is dropped. The wait counts
                for the row's latency.

        Returns:
            Its number, which its outcome has.

        Raises:
            InputError: The flow is closed.
        """
        now = self._clock()
        deadline_ns = None if self._deadline_ns is None else now + self._deadline_ns
        request = _Request(next(self._numbers), row, now, deadline_ns)
        if not self._waiting.put(request, block=block):
            raise InputError("flow must be open to take a row, got a closed one", "submit before `close`")
        return request.number

    def close(self, *, finish: bool = True) -> None:
        """Takes no more rows, waits for those under way, and ends every thread. Calling it again does nothing.

        Args:
            finish: Whether rows that wait in the queue are still taken; otherwise they are dropped.
        """
        self._waiting.leave(drop=not finish)
        for thread in self._threads:
            thread.join()
        self._outcomes.leave()

    def take(self) -> list[Outcome]:
        """Outcomes since the last time, in the order of completion; never waits. They are kept until they are taken."""
        return self._outcomes.drain()

    def __iter__(self) -> Iterator[Outcome]:
        """Outcomes in the order of completion, each once, as they come; ends when the flow is closed."""
        return iter(self._outcomes)

    def warm_up(self, row: Any) -> None:
        """Takes a row through every step and session, in this thread and untold: a first inference takes much longer.

        To be called before the first row is submitted, for the steps need to bear only one caller at a time.
        """
        for run in self._runs:
            self._after(run(self._before(row)))

    def loop(self, rows: Iterable[Any]) -> list[Outcome]:
        """The plain loop with the same steps and the first session, in this thread, while the flow has no rows."""
        return loop(rows, self._before, self._runs[0], self._after, self._clock)

    def _work(self, step: Step, source: Channel[_Request], target: Channel[_Request] | None) -> None:
        """One thread: takes what there is through a step, to the next step or to the outcomes."""
        for request in source:
            now = self._clock()
            # The last step has what a session has taken.
            if target is not None and request.deadline_ns is not None and now > request.deadline_ns:
                self._tell("late", request)
                continue
            if request.started_ns is None:
                request.started_ns = now
            try:
                request.value = step(request.value)
            except BaseException as error:  # also SystemExit: a thread that ended would leave the others waiting
                self._tell("failed", request, error)
                continue
            if target is None:
                self._tell("answered", request)
            else:
                target.put(request)
        if target is not None:
            target.leave()

    def _tell(self, state: State, request: _Request, error: BaseException | None = None) -> None:
        # Read aside, two threads' moments could come in another order than their outcomes.
        with self._telling:
            self._outcomes.put(
                Outcome(
                    number=request.number,
                    state=state,
                    arrival_ns=request.arrival_ns,
                    started_ns=request.started_ns,
                    finished_ns=self._clock(),
                    deadline_ns=request.deadline_ns,
                    value=request.value if state == "answered" else None,
                    error=error,
                )
            )


def _program_runs() -> bool:
    # The interpreter ends only after its threads: a flow that nobody closes would keep it for ever.
    return threading.main_thread().is_alive()


def _check(before: Any, runs: Any, after: Any, queue: Any, deadline_ms: Any) -> None:
    """Everything that is wrong with a flow's arguments at once."""
    problems = [
        Problem(f"{name} must be a function of one value, got {_kind(step)}", hint)
        for name, step, hint in (
            ("before", before, "a function from a row to feeds"),
            ("after", after, "a function from outputs to an answer"),
        )
        if not callable(step)
    ]
    if not isinstance(runs, Sequence) or not runs or not all(map(callable, runs)):
        got = f"[{', '.join(map(_kind, runs))}]" if isinstance(runs, Sequence) else _kind(runs)
        problems.append(Problem(f"runs must be functions, one a session, got {got}", "a list of at least one"))
    if not isinstance(queue, int) or queue < 1:
        problems.append(Problem(f"queue must be a number of rows, 1 or more, got {queue!r}", "queue=1 for the newest"))
    number = isinstance(deadline_ms, (int, float)) and math.isfinite(deadline_ms) and deadline_ms > 0
    if deadline_ms is not None and not number:
        problems.append(
            Problem(f"deadline_ms must be more than 0 milliseconds, got {deadline_ms!r}", "None for no deadline")
        )
    if problems:
        raise InputError(problems)


def _kind(value: Any) -> str:
    return getattr(value, "__name__", type(value).__name__) if callable(value) else repr(value)
