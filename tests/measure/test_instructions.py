from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.errors import UnavailableError
from edgesft.measure import agent, instructions
from edgesft.measure.devices import Interpreter
from edgesft.measure.driver import MeasureError
from edgesft.measure.inputs import Requests
from edgesft.measure.instructions import Instructions, count
from edgesft.measure.subject import Subject
from edgesft.spec.profile import ProviderSpec
from tests.measure.interpreters import DIE, HANG, first, save_interpreter
from tests.measure.models import save_product

posix = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts stand for programs")
valgrind = pytest.mark.skipif(
    shutil.which("valgrind") is None or sys.platform != "linux", reason="valgrind is not installed"
)

FAKE_VALGRIND = """#!/bin/sh
if [ "$1" = --version ]; then echo valgrind-9.9.0; exit; fi
echo "$PYTHONHASHSEED $@" > '{seen}'
while true; do
    case "$1" in
        --log-file=*) echo "vex: unhandled instruction" > "${{1#--log-file=}}"; shift;;
        --*) shift;;
        *) break;;
    esac
done
exec "$@"
"""
"""Notes what it was asked for, and runs the program as it is."""

COUNTING = """
def counting(self, how, count, folder=""):
    assert self.origin["threads"] == 1 and len(self.requests) == 1
    return {{"counts": [{base} + 1000 // (index + 1) for index in range(count)], "cpu": "made up"}}
agent.Agent.instructions = counting
"""
"""An allocator that settles while a model takes so many instructions."""


def subject(model: Path, **changes: Any) -> Subject:
    """The product's, with three requests, on two threads."""
    width = changes.pop("width", 4)
    feeds = tuple({"x": np.ones((rows, width), np.float32)} for rows in (1, 2, 3))
    settings: dict[str, Any] = {
        "providers": (ProviderSpec(name=agent.CPU),),
        "threads": 2,
        "requests": Requests(feeds, "made"),
        "time_limit": 60.0,
    }
    return Subject(model, **{**settings, **changes})


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts a fake Valgrind first on the path, and all temporary files into a folder; what it saw comes here."""
    programs, seen = tmp_path / "programs", tmp_path / "seen"
    programs.mkdir()
    (tmp_path / "temporary").mkdir()
    (programs / "valgrind").write_text(FAKE_VALGRIND.format(seen=seen), "utf-8")
    (programs / "valgrind").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    return seen


def interpreter(tmp_path: Path, code: str) -> Path:
    return save_interpreter(tmp_path / "counting", code)


@posix
def test_small_models_are_counted_again_until_the_allocator_has_settled(tmp_path: Path, fake: Path) -> None:
    python = interpreter(tmp_path, COUNTING.format(base=100_000))
    found = count(subject(save_product(tmp_path / "m.onnx"), device=Interpreter(python)), ["callgrind"])
    assert found.counts == tuple(100_000 + 1000 // (index + 1) for index in range(13, 25))
    assert found.instructions == 100_000 + 1000 // 20
    assert (found.tool, found.version, found.cpu) == ("callgrind", "valgrind-9.9.0", "made up")
    assert found.spread == pytest.approx((1000 // 14 - 1000 // 25) / found.instructions)
    assert found.how == "callgrind, valgrind-9.9.0, made up"
    assert found.to_json()["counts"] == list(found.counts)
    seed, *options = fake.read_text("utf-8").split()
    assert seed == "0" and options[0] == "--tool=callgrind" and str(python) in options
    (out,) = (option.split("=", 1)[1] for option in options if option.startswith("--callgrind-out-file="))
    assert Path(out).is_relative_to(tmp_path / "temporary")
    assert not list((tmp_path / "temporary").iterdir())


@posix
def test_large_models_are_counted_once_and_those_between_as_often_as_pays(tmp_path: Path, fake: Path) -> None:
    model = save_product(tmp_path / "m.onnx")
    large = count(subject(model, device=Interpreter(interpreter(tmp_path, COUNTING.format(base=10**9)))), ["callgrind"])
    assert (large.counts, large.spread) == ((10**9 + 1000,), None)
    middle = count(
        subject(model, device=Interpreter(interpreter(tmp_path, COUNTING.format(base=8 * 10**6)))), ["callgrind"]
    )
    assert middle.counts == (8 * 10**6 + 1000 // 4, 8 * 10**6 + 1000 // 5)


@posix
@pytest.mark.parametrize("op", ["load", "instructions"])
def test_the_time_limit_is_named_and_nothing_is_left(tmp_path: Path, fake: Path, op: str) -> None:
    pid = tmp_path / "pid"
    python = interpreter(tmp_path, f"open({str(pid)!r}, 'w').write(str(os.getpid()))\n" + first(op, HANG))
    slow = subject(save_product(tmp_path / "m.onnx"), device=Interpreter(python), time_limit=2.0)
    with pytest.raises(UnavailableError, match=f"callgrind: counting took longer than the time limit of 2 s.*'{op}'"):
        count(slow, ["callgrind"])
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert not list((tmp_path / "temporary").iterdir())


@posix
def test_an_interrupted_count_leaves_nothing(tmp_path: Path, fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    pid = tmp_path / "pid"
    python = interpreter(tmp_path, f"open({str(pid)!r}, 'w').write(str(os.getpid()))")
    monkeypatch.setattr(instructions._Counter, "instructions", interrupt)
    with pytest.raises(KeyboardInterrupt):
        count(subject(save_product(tmp_path / "m.onnx"), device=Interpreter(python)), ["callgrind"])
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
    assert not list((tmp_path / "temporary").iterdir())


@posix
def test_what_valgrind_said_before_it_died_is_told(tmp_path: Path, fake: Path) -> None:
    python = interpreter(tmp_path, first("load", DIE))
    with pytest.raises(UnavailableError, match=r"(?s)under valgrind-9\.9\.0.*died in 'load'.*vex: unhandled instr"):
        count(subject(save_product(tmp_path / "m.onnx"), device=Interpreter(python)), ["callgrind"])


@posix
def test_a_process_that_valgrind_does_not_follow_is_not_counted(tmp_path: Path, fake: Path) -> None:
    """As behind a wrapper that starts the interpreter on another machine."""
    with pytest.raises(UnavailableError, match="does not run under Valgrind"):
        count(subject(save_product(tmp_path / "m.onnx")), ["callgrind"])


@posix
def test_a_valgrind_that_does_not_start(tmp_path: Path, fake: Path) -> None:
    (tmp_path / "programs/valgrind").write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(UnavailableError, match="valgrind does not start") as caught:
        count(subject(tmp_path / "m.onnx"), ["callgrind"])
    assert "apt-get" not in str(caught.value)


def test_without_any_tool_each_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise agent.Refusal("not permitted")

    monkeypatch.setattr(agent, "Perf", refuse)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError) as caught:
        count(subject(tmp_path / "m.onnx"))
    for told in ("perf: not permitted", "callgrind: valgrind is not installed", "apt-get install valgrind"):
        assert told in str(caught.value)


def test_the_first_tool_that_works_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def counter(name: str, works: Sequence[str]) -> Any:
        def run(alone: Subject) -> Instructions:
            asked.append((name, alone.threads))
            if name not in works:
                raise UnavailableError("no")
            return Instructions(7, (7,), name, "1", "cpu")

        return run

    for works, tool in ((("perf", "callgrind"), "perf"), (("callgrind",), "callgrind")):
        monkeypatch.setattr(instructions, "COUNTERS", {name: counter(name, works) for name in instructions.TOOLS})
        assert count(subject(tmp_path / "m.onnx")).tool == tool
    assert asked == [("perf", 1), ("perf", 1), ("callgrind", 1)]


def test_only_the_cpu_has_instructions_that_are_counted(tmp_path: Path) -> None:
    cuda = (ProviderSpec(name="CUDAExecutionProvider"), ProviderSpec(name=agent.CPU))
    with pytest.raises(UnavailableError, match="counted on CPUExecutionProvider, got CUDAExecutionProvider"):
        count(subject(tmp_path / "m.onnx", providers=cuda))


class Open:
    """A counter that opens."""

    def close(self) -> None:
        """Nothing to do."""


@posix
def test_perf_counts_without_valgrind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "Perf", Open)
    python = interpreter(tmp_path, COUNTING.format(base=500_000))
    found = count(subject(save_product(tmp_path / "m.onnx"), device=Interpreter(python)))
    assert (found.tool, len(found.counts)) == ("perf", 12) and found.version.startswith("Linux ")


@posix
def test_perf_that_is_taken_away_is_no_failure_of_the_model_but_a_bad_model_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent, "Perf", Open)
    python = interpreter(tmp_path, first("instructions", "raise agent.Refusal('taken away')"))
    with pytest.raises(UnavailableError, match="perf: taken away"):
        count(subject(save_product(tmp_path / "m.onnx"), device=Interpreter(python)), ["perf"])
    with pytest.raises(MeasureError, match="model must be a file"):
        count(subject(tmp_path / "none.onnx"), ["perf"])


@valgrind
def test_valgrind_counts_work_and_repeats(tmp_path: Path) -> None:
    """Three products of a row with a matrix; a multiplication and an addition of eight lanes are an instruction."""
    narrow, wide = (save_product(tmp_path / f"{width}.onnx", width=width, repeats=3).absolute() for width in (64, 256))
    before = set(Path.cwd().iterdir())
    small, again = (count(subject(narrow, width=64), ["callgrind"]) for _ in range(2))
    large = count(subject(wide, width=256), ["callgrind"])
    assert again.instructions == pytest.approx(small.instructions, rel=2e-3)
    assert small.how == large.how and small.version.startswith("valgrind-")
    more = 3 * 2 * (256**2 - 64**2)  # multiply-accumulates of the two rows that the middle request has
    assert more / 16 < large.instructions - small.instructions < more
    assert small.spread is not None and small.spread < 0.1
    assert set(Path.cwd().iterdir()) == before
