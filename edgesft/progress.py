"""Progress of long work: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

Advance = Callable[..., None]
"""`advance(steps=1, **figures)`: moves the bar; figures such as `loss=0.31` are shown beside it."""

VERBOSE = "EDGESFT_VERBOSE"
"""Set, libraries say what they have to say, and plain lines come oftener; processes that are started inherit it."""

PLAIN_SECONDS = 10.0
"""A bar that is not on a terminal prints a line this often, so that a log stays readable."""


def verbose() -> bool:
    """Whether a person wants to see all there is."""
    return bool(os.environ.get(VERBOSE))


def _figures(figures: dict[str, object]) -> str:
    return " ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in figures.items()
    )


def _rate(steps: int, seconds: float) -> str:
    """Steps a second; of slow ones the seconds that each takes."""
    if steps >= seconds:
        return f"{steps / max(seconds, 1e-9):.3g}/s"
    return f"{seconds / max(steps, 1):.3g} s each"


class Progress:
    """Tells a person what goes on, on standard error, and its log. `quiet` keeps all but errors from the former."""

    def __init__(self, stream: TextIO | None = None, *, quiet: bool = False) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._log: Path | None = None

    def log(self, file: Path) -> None:
        """From now on, lines are also added to this file, with the time."""
        self._log = file

    @property
    def folder(self) -> Path | None:
        """The run's, where there is one: of the file that lines are added to."""
        return self._log and self._log.parent

    def say(self, line: str) -> None:
        """Prints one line."""
        if not self._quiet:
            print(line, file=self._stream, flush=True)
        self._note(line)

    def _note(self, line: str) -> None:
        if self._log:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    @contextmanager
    def bar(self, label: str, total: int | None, done: int = 0) -> Iterator[Advance]:
        """A bar of `total` steps, None where nobody knows how many, of which an earlier process may have done some;
        yields what advances it. The log has the plain lines, whatever is shown.
        """
        if self._quiet:
            yield self._plain(self._note, label, total, done)
        elif self._stream.isatty():
            note = self._plain(self._note, label, total, done)
            with self._rich(label, total, done) as show:

                def advance(steps: int = 1, **figures: object) -> None:
                    show(steps, **figures)
                    note(steps, **figures)

                yield advance
        else:
            yield self._plain(self.say, label, total, done)

    @contextmanager
    def _rich(self, label: str, total: int | None, done: int) -> Iterator[Advance]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Rich

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
        )
        with Rich(*columns, console=Console(file=self._stream)) as rich:
            task = rich.add_task(label, total=total, completed=done, figures="")
            started, made, shown = time.monotonic(), 0, ""

            def advance(steps: int = 1, **figures: object) -> None:
                nonlocal made, shown
                made, shown = made + steps, _figures(figures) if figures else shown
                rich.advance(task, steps)
                if total is not None and done + made > total:
                    rich.update(task, total=done + made)
                rich.update(task, figures=f"{_rate(made, time.monotonic() - started)} {shown}")

            yield advance

    def _plain(self, tell: Callable[[str], None], label: str, total: int | None, before: int) -> Advance:
        started = last = time.monotonic()
        done = before

        def advance(steps: int = 1, **figures: object) -> None:
            nonlocal done, last
            done += steps
            now = time.monotonic()
            if now - last >= (1.0 if verbose() else PLAIN_SECONDS):
                last = now
                made, seconds = max(done - before, 1), now - started
                count, left = f"{label} {done}", ""
                if total is not None and done <= total:
                    count, left = f"{count}/{total}", f"about {seconds / made * max(total - done, 0):.0f} s left"
                tell("  ".join(filter(None, (count, _figures(figures), _rate(made, seconds), left))))

        return advance
