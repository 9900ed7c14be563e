"""Pip chooses among wheels of a folder: nothing is asked of the network."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import UnavailableError
from edgesft.measure.devices import wheels
from edgesft.measure.devices.wheels import fetch


def save_wheel(folder: Path, name: str, version: str, tags: str) -> None:
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-{tags}.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tags}\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that pip looks in."""
    folder = tmp_path / "index"
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for version, platform in (("1.0", "manylinux2014"), ("2.0", "manylinux_2_28"), ("3.0", "manylinux_2_39")):
        save_wheel(folder, "numpy", version, f"cp313-cp313-{platform}_aarch64")
    save_wheel(folder, "numpy", "4.0", "cp311-cp311-manylinux_2_28_aarch64")
    save_wheel(folder, "numpy", "5.0", "cp313-cp313-manylinux_2_28_x86_64")
    save_wheel(folder, "onnxruntime", "1.5", "cp313-cp313-manylinux_2_27_aarch64.manylinux_2_28_aarch64")
    return folder


def test_the_newest_that_fits_is_taken_and_kept(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    found = fetch("aarch64", (3, 13), "2.36", of="board", folder=kept)
    assert [file.name.split("-")[:2] for file in found] == [["numpy", "2.0"], ["onnxruntime", "1.5"]]
    assert [folder.name for folder in kept.iterdir()] == ["aarch64-3.13-2.36"]
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("they were there"))
    assert fetch("aarch64", (3, 13), "2.36", of="board", folder=kept) == found


def test_half_of_them_is_none(index: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    with pytest.raises(UnavailableError, match="got aarch64 with Python 3.11 and glibc 2.36"):
        fetch("aarch64", (3, 11), "2.36", of="board", folder=kept)
    assert not list(kept.rglob("*.whl"))
    save_wheel(index, "onnxruntime", "1.6", "cp311-cp311-manylinux_2_28_aarch64")
    assert len(fetch("aarch64", (3, 11), "2.36", of="board", folder=kept)) == 2


def said(text: str) -> Any:
    return lambda command, **_: subprocess.CompletedProcess(command, 1, "", text)


RETRY = "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError': /simple/numpy/\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ERROR: No matching distribution found for numpy\n", "must have numpy and onnxruntime, or be a machine"),
        (
            f"{RETRY}ERROR: No matching distribution found for numpy\n",
            "pip must fetch .* for board, got: WARNING: Retry",
        ),
        ("/usr/bin/python3: No module named pip\n", "pip must fetch .*, got: /usr/bin/python3: No module named pip"),
        ("", "pip must fetch numpy and onnxruntime for board, got: nothing"),
    ],
)
def test_what_pip_says(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", said(text))
    with pytest.raises(UnavailableError, match=f"{message}(?s:.*)Try: "):
        fetch("aarch64", (3, 13), "2.36", of="board", folder=tmp_path / "kept")
    assert not list(tmp_path.rglob("*.whl"))


def test_older_systems_are_asked_for_older_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_: asked.append(command) or said("")(command))
    for libc in ("2.17", "2.27", "2.41"):
        with pytest.raises(UnavailableError):
            fetch("x86_64", (3, 12), libc, of="board", folder=tmp_path)
    glibc = [[word for word in command if word.startswith("manylinux")] for command in asked]
    assert glibc[0] == ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]
    assert "manylinux_2_27_x86_64" in glibc[1] and "manylinux_2_28_x86_64" not in glibc[1]
    assert len(glibc[2]) == len(wheels.GLIBC) + 1
    assert all(command[0] == sys.executable and "--python-version" in command for command in asked)


def test_no_glibc_no_wheels(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="or be a machine that there are wheels for, got arm64 without glibc"):
        fetch("arm64", (3, 12), "", of="the Mac", folder=tmp_path)
