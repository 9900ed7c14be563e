"""Programs in C++ for tests: where the headers and the runtime's library are, and what builds them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEADERS = Path(os.environ.get("EDGESFT_ORT_HEADERS") or ROOT / ".providers" / "headers").absolute()


def made(source: Path, out: Path, **variables: str) -> Path:
    """Builds with a folder's Makefile; skips where that is not possible."""
    if not (shutil.which("make") and shutil.which(os.environ.get("CXX", "g++"))):
        pytest.skip("it takes make and g++, and one of them is not here")
    if not (HEADERS / "onnxruntime_c_api.h").is_file():
        pytest.skip(f"{HEADERS} has no onnxruntime_c_api.h: export/runner/headers.sh fetches it")
    given = {"HEADERS": HEADERS, "OUT": out, **variables}
    command = ["make", "-C", str(source), *(f"{name}={value}" for name, value in given.items())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return out


def library() -> Path:
    """The runtime's library; skips where it has none of its own."""
    import onnxruntime

    found = sorted(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    if not found:
        pytest.skip("this onnxruntime has no library of its own, as those for Linux have")
    return found[0]


def program(path: Path, words: Sequence[object], code: int) -> subprocess.CompletedProcess[str]:
    command = [str(path), "--runtime", str(library()), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done
