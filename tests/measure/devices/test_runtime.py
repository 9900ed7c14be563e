"""What an interpreter elsewhere tells of itself, and what it is brought; the machine is a folder with programs."""

from __future__ import annotations

import json
import platform
import shlex
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import UnavailableError
from edgesft.measure.devices import wheels
from edgesft.measure.devices.runtime import PROBE, runtime
from tests.measure.devices.shell import Shell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")

FACTS = {"python": [3, 11], "machine": "aarch64", "libc": "2.36", "onnxruntime": "1.23.0", "numpy": "2.3.0"}


@pytest.fixture
def board(tmp_path: Path) -> Shell:
    home = tmp_path / "board"
    home.mkdir()
    return Shell(home)


@pytest.fixture
def telling(board: Shell) -> Callable[..., Shell]:
    """The machine, whose interpreter tells these facts."""

    def tell(**facts: Any) -> Shell:
        board.program("python3", f"echo {shlex.quote(json.dumps({**FACTS, **facts}))}")
        return board

    return tell


def save_wheel(folder: Path, name: str) -> Path:
    """A wheel of a package that knows only its version."""
    file = folder / f"{name}-9.9-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}/__init__.py", "__version__ = '9.9'\n")
    return file


@pytest.fixture
def fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What wheels were asked for."""
    asked: list[tuple[Any, ...]] = []
    # Made once: a wheel has the time in it, and is another one seconds later.
    saved = [save_wheel(tmp_path, name) for name in wheels.PACKAGES]

    def fetch(*machine: Any, of: str) -> list[Path]:
        asked.append((*machine, of))
        return saved

    monkeypatch.setattr(wheels, "fetch", fetch)
    return asked


def test_one_that_has_all_lacks_nothing(telling: Callable[..., Shell]) -> None:
    assert runtime(telling(), "python3") == ""


def test_this_one_tells_what_it_is(board: Shell) -> None:
    import numpy
    import onnxruntime

    told = json.loads(board.shell(shlex.join([sys.executable, "-c", PROBE])))
    assert told["python"] == list(sys.version_info[:2]) and told["machine"] == platform.machine()
    assert (told["numpy"], told["onnxruntime"]) == (numpy.__version__, onnxruntime.__version__)


def test_one_that_lacks_them_is_brought_both(board: Shell, fetched: list[tuple[Any, ...]]) -> None:
    python = board.program("bare", f'exec "{sys.executable}" -S "$@"')
    site = runtime(board, str(python))
    assert Path(site).is_absolute() and len(fetched) == 1 and fetched[0][0] == platform.machine()
    ask = "import numpy, onnxruntime; print(numpy.__version__, onnxruntime.__version__)"
    assert board.shell(f"PYTHONPATH={site} {shlex.join([str(python), '-c', ask])}") == "9.9 9.9\n"
    sent = list(board.sent)
    assert len(sent) == 2 and runtime(board, str(python)) == site and board.sent == sent


def test_what_was_not_unpacked_whole_is_not_there(board: Shell, fetched: list[tuple[Any, ...]]) -> None:
    once = 'case "$*" in *onnxruntime-9.9*) echo No space left on device >&2; exit 1; esac'
    python = board.program("bare", f'{once}\nexec "{sys.executable}" -S "$@"')
    with pytest.raises(UnavailableError, match="No space left"):
        runtime(board, str(python))
    assert not list((board.home / "kept/sets").glob("*site*"))
    board.program("bare", f'exec "{sys.executable}" -S "$@"')
    assert (Path(runtime(board, str(python))) / "onnxruntime").is_dir()


@pytest.mark.parametrize("lacks", ["numpy", "onnxruntime"])
def test_wheels_are_those_of_the_machine_there(
    lacks: str, telling: Callable[..., Shell], fetched: list[tuple[Any, ...]]
) -> None:
    board = telling(**{lacks: None, "libc": "2.31", "python": [3, 13]})
    assert runtime(board, "python3").endswith("-site")
    assert fetched == [("aarch64", (3, 13), "2.31", "board")]


@pytest.mark.parametrize(
    ("bits", "machine", "found"),
    [(64, "aarch64", "aarch64"), (32, "aarch64", "armv7l"), (32, "x86_64", "i686"), (32, "armv6l", "armv6l")],
)
def test_a_system_of_32_bits_on_a_kernel_of_64(
    bits: int, machine: str, found: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "maxsize", 2 ** (bits - 1) - 1)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    exec(PROBE, {})
    assert json.loads(capsys.readouterr().out)["machine"] == found


@pytest.mark.parametrize(("libc", "told"), [(("glibc", "2.36"), "2.36"), (("musl", "1.2.5"), ""), (("", ""), "")])
def test_only_glibc_counts(
    libc: tuple[str, str], told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: libc)
    exec(PROBE, {})
    assert json.loads(capsys.readouterr().out)["libc"] == told


def test_what_a_runtime_warns_of_is_no_answer(board: Shell) -> None:
    board.program("python3", f"echo 'GPU device discovery failed' >&2\necho '{json.dumps(FACTS)}'")
    assert runtime(board, "python3") == ""


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (None, "board must have the interpreter 'python3', got: .*not found(?s:.*)install Python 3.10 or newer"),
        ("echo 'bad magic number' >&2; exit 1", "must have the interpreter 'python3', got: bad magic number"),
        ("exit 1", "must have the interpreter 'python3', got: nothing"),
        ("echo hello", "must have the interpreter 'python3', got: hello"),
    ],
)
def test_no_interpreter(program: str | None, message: str, board: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    if program is None:
        monkeypatch.setenv("PATH", "/nowhere")
        board.programs.joinpath("sh").symlink_to("/bin/sh")
    else:
        board.program("python3", program)
    with pytest.raises(UnavailableError, match=message):
        runtime(board, "python3")


def test_an_interpreter_that_is_too_old(telling: Callable[..., Shell]) -> None:
    with pytest.raises(UnavailableError, match="'python3' of board must be Python 3.10 or newer, got 3.8"):
        runtime(telling(python=[3, 8]), "python3")


def test_a_shell_that_prints_by_itself_is_named(telling: Callable[..., Shell]) -> None:
    board = telling()
    plain = board.shell
    board.shell = lambda script: plain(f"echo welcome to the board; {script}")  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="must print nothing by itself, got 'welcome to the board'"):
        runtime(board, "python3")


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"libc": ""}, "board must have numpy and onnxruntime, or be a machine .* got aarch64 without glibc"),
        ({"machine": "riscv64"}, "got riscv64 with Python 3.11 and glibc 2.36"),
    ],
)
def test_a_machine_without_wheels(
    facts: dict[str, Any],
    message: str,
    telling: Callable[..., Shell],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(UnavailableError, match=f"(?s){message}.*export/runner"):
        runtime(telling(onnxruntime=None, **facts), "python3")
