"""Files are kept by their content, whole or not at all; the device is a folder, its shell this machine's."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgesft.errors import UnavailableError
from edgesft.measure.devices.device import places
from edgesft.measure.devices.remote import KEPT_DAYS, SPARE_BYTES
from tests.measure.devices.shell import Shell

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")

DAY = 24 * 3600


@pytest.fixture
def board(tmp_path: Path) -> Shell:
    home = tmp_path / "board"
    home.mkdir()
    return Shell(home)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def save(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def blobs(board: Shell) -> list[str]:
    return sorted(file.name for file in (board.home / board.folder / "blobs").iterdir())


def sets(board: Shell) -> list[Path]:
    return sorted((board.home / board.folder / "sets").iterdir())


def age(path: Path, days: float) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_files_lie_there_as_they_do_here(board: Shell, here: Path, tmp_path: Path) -> None:
    model = save(here / "a model's $HOME ü.onnx", "m")
    near, deep = save(here / "weights.bin", "w"), save(here / "data" / "deep" / "rest.bin", "r")
    other = save(tmp_path / "elsewhere" / "library.so", "l")
    place = board.home / board.bring([model, near, deep, other])
    assert place.name == model.name and place.read_text() == "m"
    assert (place.parent / "weights.bin").read_text() == "w"
    assert (place.parent / "data/deep/rest.bin").read_text() == "r"
    assert (place.parent / "library.so").read_text() == "l"
    assert places([model, deep, other]) == [model.name, "data/deep/rest.bin", "library.so"]


def test_nothing_is_sent_twice(board: Shell, here: Path) -> None:
    first, same, other = (save(here / name, name[0]) for name in ("a.onnx", "a-copy.onnx", "b.onnx"))
    there = board.home / board.bring([first, same, other])
    assert len(board.sent) == 2 and blobs(board) == sorted(hashlib.sha256(text).hexdigest() for text in (b"a", b"b"))
    assert (there.parent / "a-copy.onnx").read_text() == "a"
    asked: list[str] = []
    board.shell, told = lambda script: asked.append(script) or told(script), board.shell  # type: ignore[method-assign]
    assert board.bring([first, same, other]) == str(there.relative_to(board.home)) and not asked
    assert board.bring([other, first]) != board.bring([first, other]), "another set of the same contents"
    again = Shell(board.home)
    assert again.bring([first, same, other]) == str(there.relative_to(board.home))
    assert len(board.sent) == 2 and not again.sent


def test_a_file_that_was_written_anew_is_sent_anew(board: Shell, here: Path) -> None:
    model = save(here / "m.onnx", "one")
    before = board.bring([model])
    save(model, "two")
    os.utime(model, ns=(1, model.stat().st_mtime_ns + 1))
    after = board.bring([model])
    assert before != after and [(board.home / each).read_text() for each in (before, after)] == ["one", "two"]


def test_what_arrives_damaged_is_refused_and_removed(board: Shell, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "send", lambda file, place: save(board.home / place, "other") and None)
    with pytest.raises(UnavailableError, match="'m.onnx' must arrive at board as it was sent, got other bytes"):
        board.bring([save(here / "m.onnx", "m")])
    assert not blobs(board) and not sets(board)


def test_where_links_are_forbidden_files_are_copied(board: Shell, here: Path) -> None:
    board.program("ln", "echo Permission denied >&2; exit 1")
    place = board.home / board.bring([save(here / "m.onnx", "m")])
    assert place.read_text() == "m" and place.stat().st_nlink == 1


def test_half_a_set_is_none(board: Shell, here: Path) -> None:
    board.program("ln", "exit 1")
    board.program("cp", "echo 'cp: No space left on device' >&2; exit 1")
    with pytest.raises(UnavailableError, match="No space left"):
        board.bring([save(here / "m.onnx", "m"), save(here / "w.bin", "w")])
    assert sets(board) == []
    for name in ("ln", "cp"):
        (board.programs / name).unlink()
    assert (board.home / board.bring([here / "m.onnx", here / "w.bin"])).read_text() == "m"
    assert len(board.sent) == 2, "the contents had arrived"


@pytest.mark.parametrize(
    ("told", "refused"), [("100", True), ("99999999", False), ("-", False)], ids=["full", "room", "untold"]
)
def test_a_disk_without_room_is_told_before_anything_is_sent(
    told: str, refused: bool, board: Shell, here: Path
) -> None:
    board.program("df", f"echo Filesystem; echo '/dev/sda 1 1 {told} 1% /'")
    model = save(here / "m.onnx", "m" * SPARE_BYTES)
    if not refused:
        board.bring([model])
        return
    with pytest.raises(UnavailableError, match=r"the disk of board must have 2\.1 MB free .* got 0\.1 MB at kept"):
        board.bring([model])
    assert not board.sent


def test_what_nobody_used_for_long_is_removed(board: Shell, here: Path) -> None:
    old, used, new = (save(here / f"{name}.onnx", name) for name in ("old", "used", "new"))
    there = {file: board.home / board.bring([file]) for file in (old, used, new)}
    again = Shell(board.home)
    for file in (old, used):
        age(there[file], KEPT_DAYS + 2)  # its contents, too: they are the same file
        age(there[file].parent, KEPT_DAYS + 2)
    again.bring([used])
    again.open()
    assert [there[file].is_file() for file in (old, used, new)] == [False, True, True] and not again.sent
    assert len(blobs(board)) == len(sets(board)) == 2


def test_what_was_broken_off_is_removed_a_day_later(board: Shell) -> None:
    kept = board.home / board.folder
    parts = [save(kept / "blobs" / f"{each}.part", "half") for each in "ab"]
    folders = [save(kept / "sets" / f"{each}.part" / "m.onnx", "half").parent for each in "ab"]
    for path in (parts[0], folders[0]):
        age(path, 2.5)
    board.open()
    assert [path.exists() for path in (*parts, *folders)] == [False, True, False, True]


def test_several_computers_bring_the_same_at_once(board: Shell, here: Path) -> None:
    files = [save(here / f"{number}.bin", str(number) * 1000) for number in range(5)]
    boards = [Shell(board.home) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        (place,) = set(threads.map(lambda each: each.bring(files), boards))
    assert [file.read_text() for file in files] == [
        (board.home / place).with_name(file.name).read_text() for file in files
    ]
    assert len(blobs(board)) == 5 and all("part" not in name for name in blobs(board))


def test_folders_with_odd_names(tmp_path: Path) -> None:
    board = Shell(tmp_path, str(tmp_path / "a b's $X"))
    assert Path(board.bring([save(tmp_path / "m.onnx", "m")])).read_text() == "m"


def test_exit_codes_of_a_shell(board: Shell) -> None:
    assert [board.ending(code) for code in (1, 137, 139, -15)] == [
        *("exit code 1", "killed by signal 9", "killed by signal 11"),
        "killed by signal 15",
    ]
