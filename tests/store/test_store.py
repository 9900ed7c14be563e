"""What is in the store is whole, whatever happened to the process that wrote it."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgesft.errors import UnavailableError
from edgesft.store.disk import guarded, require_writable
from edgesft.store.keys import key, versions
from edgesft.store.store import Store, default_root, write_json


def test_an_object_is_built_once(tmp_path: Path) -> None:
    store, calls = Store(tmp_path), []

    def build(out: Path, work: Path) -> None:
        calls.append(work)
        (out / "file").write_text("x")

    first, second = store.make("k", build), store.make("k", build)
    assert first == second == store.folder("k")
    assert (first / "file").read_text() == "x" and len(calls) == 1
    assert not calls[0].exists()  # the work folder goes when the object is there


def test_a_failed_build_leaves_its_work_and_no_object(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def fail(out: Path, work: Path) -> None:
        (work / "checkpoint").write_text("half way")
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        store.make("k", fail)
    assert store.folder("k") is None and not list((tmp_path / "incoming").iterdir())

    def resume(out: Path, work: Path) -> None:
        (out / "file").write_text((work / "checkpoint").read_text())

    assert (store.make("k", resume) / "file").read_text() == "half way"


def test_a_killed_build_frees_its_lock(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from edgesft.store.store import Store\n"
        "def build(out, work):\n"
        "    (out / 'part').write_text('x'); (work / 'seen').write_text('y'); os.kill(os.getpid(), signal.SIGKILL)\n"
        "Store(Path(sys.argv[1])).make('k', build)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert done.returncode == -signal.SIGKILL
    store = Store(tmp_path)
    assert store.folder("k") is None

    def build(out: Path, work: Path) -> None:
        assert (work / "seen").read_text() == "y"
        (out / "whole").write_text("z")

    assert [file.name for file in store.make("k", build).iterdir()] == ["whole"]


def test_a_record_is_measured_once(tmp_path: Path) -> None:
    values = iter((1, 2))
    store = Store(tmp_path)
    assert [store.record("k", lambda: {"v": next(values)}) for _ in range(2)] == [{"v": 1}, {"v": 1}]


def test_json_is_whole_or_absent(tmp_path: Path) -> None:
    place = tmp_path / "a.json"
    write_json(place, [1])
    with pytest.raises(TypeError):
        write_json(place, [2, object()])
    assert json.loads(place.read_text()) == [1] and os.listdir(tmp_path) == ["a.json"]


def test_keys_follow_content_not_order() -> None:
    assert key({"a": 1, "b": [2]}) == key({"b": [2], "a": 1}) != key({"a": 1, "b": [3]})
    assert versions()["numpy"]


def test_the_root_is_the_environment_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path))
    assert default_root() == tmp_path
    monkeypatch.delenv("EDGESFT_STORE")
    assert default_root().name == "edgesft"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "must be writable"),
        (OSError(errno.EROFS, "Read-only file system"), "must be writable"),
    ],
)
def test_disk_errors_are_the_environment_s(tmp_path: Path, error: Exception, message: str) -> None:
    with pytest.raises(UnavailableError, match=message), guarded(tmp_path):
        raise error


def test_a_file_where_a_folder_must_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UnavailableError, match=r"must be writable: '.*file' is a file\n    Try: .*--output"):
        require_writable(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mine"), guarded(tmp_path):
        raise ValueError("mine")


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UnavailableError):
        require_writable(tmp_path / "file" / "runs")
    with pytest.raises(UnavailableError, match="EDGESFT_STORE"):
        Store(tmp_path / "file" / "store").make("k", lambda out, work: None)
