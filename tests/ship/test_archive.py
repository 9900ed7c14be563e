"""The archive: read by any program that unpacks zips, and the same bytes whatever the files' times and order."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgesft.errors import InputError
from edgesft.ship import archive
from edgesft.ship.finding import RefusedError
from edgesft.ship.source import open_source, unpacked

CONTENTS = {"b.bin": os.urandom(5000), "a.json": b"{}", "empty": b"", "c/d.bin": os.urandom(archive.ALIGNED)}
LONG = os.urandom(archive.CHUNK_BYTES + 7)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    found = {}
    for number, (name, data) in enumerate(CONTENTS.items()):
        found[name] = tmp_path / str(number)
        found[name].write_bytes(data)
    return found


def write(files: dict[str, Path], target: Path) -> Path:
    with target.open("wb") as out:
        archive.write(files, out)
    return target


def test_other_programs_read_it(files: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(write(files, tmp_path / "x.zip")) as read:
        assert read.testzip() is None
        assert {name: read.read(name) for name in read.namelist()} == CONTENTS
        assert read.namelist() == sorted(CONTENTS)
        assert {info.date_time for info in read.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_same_files_give_the_same_bytes(files: dict[str, Path], tmp_path: Path) -> None:
    one = write(files, tmp_path / "1.zip").read_bytes()
    for path in files.values():
        os.utime(path, (0, 0))
        path.chmod(0o600)
    assert write(dict(reversed(files.items())), tmp_path / "2.zip").read_bytes() == one


def test_what_is_read_is_what_was_written(files: dict[str, Path], tmp_path: Path) -> None:
    source = open_source(write(files, tmp_path / "x.zip"))
    assert dict(source.files) == {name: len(data) for name, data in CONTENTS.items()}
    assert {name: source.read(name) for name in CONTENTS} == CONTENTS
    assert {name: bytes(source.view(name)) for name in CONTENTS} == CONTENTS


def test_large_files_begin_at_a_page(files: dict[str, Path], tmp_path: Path) -> None:
    with write(files, tmp_path / "x.zip").open("rb") as file:
        starts = {name: entry.start for name, entry in archive.read(file).items()}
    assert [name for name, start in starts.items() if start % archive.ALIGNED == 0 and start] == ["b.bin", "c/d.bin"]


def test_what_is_unpacked_is_what_was_looked_at(files: dict[str, Path], tmp_path: Path) -> None:
    source = open_source(write(files, tmp_path / "x.zip"))
    wanted = {name: hashlib.sha256(data).hexdigest() for name, data in CONTENTS.items()}
    with unpacked(source, wanted, tmp_path / "out") as folder:
        assert {name: (folder / name).read_bytes() for name in CONTENTS} == CONTENTS
    assert not (tmp_path / "out").exists()
    for path in files.values():  # other bytes, with a checksum of their own, in an archive of the same layout
        path.write_bytes(bytes(path.stat().st_size))
    other = open_source(write(files, tmp_path / "x.zip"))
    with pytest.raises(RefusedError, match="changed meanwhile"), unpacked(other, wanted, tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists()


def test_more_than_an_archive_holds(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, archive.MOST_BYTES)
    with pytest.raises(InputError, match="a folder instead"), (tmp_path / "x.zip").open("wb") as out:
        archive.write({"large": large}, out)


@pytest.mark.parametrize("data", [b"", b"PK\3\5", b"not a zip at all"])
def test_no_archive(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(InputError, match="bundle must be a folder or a zip archive"):
        open_source(tmp_path / "x.zip")


def test_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="that exists"):
        open_source(tmp_path / "none")


@pytest.mark.skipif(sys.platform == "win32", reason="unzip")
def test_unzip_finds_no_error(files: dict[str, Path], tmp_path: Path) -> None:
    try:
        done = subprocess.run(["unzip", "-t", write(files, tmp_path / "x.zip")], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("no unzip here")
    assert done.returncode == 0, done.stdout


def test_files_longer_than_what_is_read_at_once_are_whole(tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(LONG)
    packed = write({"long": tmp_path / "long"}, tmp_path / "x.zip")
    assert open_source(packed).read("long", 1 << 24) == LONG
