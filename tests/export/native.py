"""Programs in C++ for tests: where the headers and the runtime's library are, and what builds them."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
HEADERS = Path(os.environ.get("EDGESFT_ORT_HEADERS") or ROOT / ".providers" / "headers").absolute()


SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
"""What the compiler is given to have two sanitizers look on."""


def made(source: Path, out: Path, *targets: str, **variables: str) -> Path:
    """Builds with a folder's Makefile, all of it or these files; skips where that is not possible."""
    if not (shutil.which("make") and shutil.which(os.environ.get("CXX", "g++"))):
        pytest.skip("it takes make and g++, and one of them is not here")
    if not (HEADERS / "onnxruntime_c_api.h").is_file():
        pytest.skip(f"{HEADERS} has no onnxruntime_c_api.h: export/runner/headers.sh fetches it")
    given = {"HEADERS": HEADERS, "OUT": out, **variables}
    command = ["make", "-j2", "-C", str(source), *(f"{name}={value}" for name, value in given.items())]
    command += [str(out / target) for target in targets]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, done.stderr
    return out


def compiled(name: str, folder: Path, *flags: str) -> Path:
    """A program of these tests, of the file `NAME.cpp`, that has parts of the kit; skips where there is no compiler."""
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        pytest.skip("it takes g++, which is not here")
    source, program = Path(__file__).with_name(f"{name}.cpp"), folder / name
    folders = [f"-I{ROOT / 'export' / each}" for each in ("cpp/kit", "native")]
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", *flags, *folders, str(source), "-o", str(program)]
    subprocess.run(command, check=True, timeout=600)
    return program


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


class Kit:
    """A bundle behind the functions of `edgesft_kit.h`."""

    def __init__(self, built: ctypes.CDLL, bundle: Path) -> None:
        self._library, error = built, ctypes.c_char_p()
        path, runtime = os.fsencode(bundle), os.fsencode(library())
        self._kit = ctypes.c_void_p(built.edgesft_kit_open(path, runtime, None, 1, ctypes.byref(error)))
        if not self._kit.value:
            raise ValueError((error.value or b"").decode())

    def close(self) -> None:
        self._library.edgesft_kit_close(self._kit)

    def call(self, name: str, *words: Any) -> str:
        function, error = getattr(self._library, f"edgesft_kit_{name}"), ctypes.c_char_p()
        function.restype = ctypes.c_void_p
        found = function(self._kit, *words, ctypes.byref(error))
        if not found:
            raise ValueError((error.value or b"").decode())
        text = ctypes.string_at(found).decode()
        self._library.edgesft_kit_free(ctypes.c_void_p(found))
        return text

    def answer(self, row: dict[str, Any]) -> Any:
        return json.loads(self.call("answer", json.dumps(row).encode()))

    def inputs(self, row: dict[str, Any]) -> list[dict[str, np.ndarray]]:
        from kit.model import array

        made = json.loads(self.call("inputs", json.dumps(row).encode()))
        return [{name: array(each) for name, each in feeds.items()} for feeds in made]

    def say(self, row: dict[str, Any], most: int = 20, told: Callable[[str], Any] = lambda _: None, **how: Any) -> Any:
        """What is said; `told` hears pieces, and ends it by what is true."""
        sampling = Sampling(how.get("temperature", 0), how.get("top_p", 1), how.get("top_k", 0), how.get("seed", 0))
        heard = TOLD(lambda piece, size, _: int(bool(told(piece[:size].decode()))))
        words = (json.dumps(row).encode(), ctypes.c_int32(most), ctypes.byref(sampling), heard, None)
        return json.loads(self.call("say", *words))


class Sampling(ctypes.Structure):
    """`edgesft_kit_sampling`."""

    _fields_ = [
        ("temperature", ctypes.c_double),
        ("top_p", ctypes.c_double),
        ("top_k", ctypes.c_int64),
        ("seed", ctypes.c_uint64),
    ]


TOLD = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t, ctypes.c_void_p)
"""`edgesft_kit_told`."""
