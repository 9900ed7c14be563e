"""What is told while something runs, where there is no terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from edgesft import progress
from edgesft.progress import VERBOSE, Progress
from edgesft.tasks.models.pretrained import quiet


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def told(clock: list[float], seconds: float) -> list[str]:
    """Lines of a bar of ten steps, each of which takes so long."""
    stream = io.StringIO()
    with Progress(stream).bar("finetune", 10) as advance:
        for step in range(10):
            clock[0] += seconds
            advance(1, loss=1 / (step + 1))
    return stream.getvalue().splitlines()


def test_plain_lines_come_now_and_then_with_stage_step_loss_rate_and_time_left(clock: list[float]) -> None:
    lines = told(clock, 4.0)
    assert lines[0] == "finetune 3/10  loss 0.3333  4 s each  about 28 s left" and len(lines) == 3


def test_fast_steps_are_told_by_the_second(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.25)
    assert told(clock, 0.125)[0] == "finetune 2/10  loss 0.5  8/s  about 1 s left"


def test_what_nobody_knows_the_end_of_has_no_time_left(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress(stream).bar("frames", None) as advance:
        clock[0] += 20
        advance(100)
    assert stream.getvalue() == "frames 100  5/s\n"


class Terminal(io.StringIO):
    """What shows bars."""

    def isatty(self) -> bool:
        """Always."""
        return True


def test_what_goes_on_behind_the_end_has_none(clock: list[float]) -> None:
    """A row may take more requests than one."""
    streams = [io.StringIO(), Terminal()]
    for stream in streams:
        with Progress(stream).bar("test rows", 10) as advance:
            clock[0] += 20
            advance(12)
    assert streams[0].getvalue() == "test rows 12  1.67 s each\n"
    assert "12/10" not in streams[1].getvalue()


def test_a_terminal_shows_a_bar_with_the_same() -> None:
    stream = Terminal()
    with Progress(stream).bar("finetune", 10, done=4) as advance:
        advance(2, loss=0.25)
        advance()
    shown = stream.getvalue()
    assert "finetune" in shown and "7/10" in shown and "/s" in shown and "loss 0.25" in shown


def test_verbose_tells_oftener_and_lets_libraries_speak(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    import logging

    monkeypatch.setenv(VERBOSE, "1")
    assert len(told(clock, 4.0)) == 10
    with quiet():
        assert logging.root.manager.disable == logging.NOTSET
    monkeypatch.delenv(VERBOSE)
    with quiet():
        assert logging.root.manager.disable == logging.WARNING


def test_quiet_still_logs(tmp_path: Path) -> None:
    stream = io.StringIO()
    silent = Progress(stream, quiet=True)
    assert silent.folder is None
    silent.log(tmp_path / "log.txt")
    silent.say("export …")
    assert stream.getvalue() == "" and "export …" in (tmp_path / "log.txt").read_text() and silent.folder == tmp_path


@pytest.mark.parametrize("way", ["plain", "terminal", "quiet"])
def test_the_log_has_the_plain_lines_whatever_is_shown(way: str, clock: list[float], tmp_path: Path) -> None:
    told = Progress(Terminal() if way == "terminal" else io.StringIO(), quiet=way == "quiet")
    told.log(tmp_path / "log.txt")
    with told.bar("finetune", 10) as advance:
        for _ in range(3):
            clock[0] += 5
            advance(1, loss=0.25, accuracy=0.75)
    (line,) = (tmp_path / "log.txt").read_text().splitlines()
    assert line.endswith(" finetune 2/10  loss 0.25 accuracy 0.75  5 s each  about 40 s left")
