"""Bundles that kits open, made once; the kit in Python is imported from where it lies."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.export import bundles, kinds, native, streams
from tests.export.chromium import WEBGPU, Chromium
from tests.export.script import Probe, installed, node
from tests.ship.spoken import run_of

KIT = Path(__file__).parents[2] / "export" / "python"

sys.path.insert(0, str(KIT))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind → the three bundles' folders; read only."""
    return bundles.write(tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind → the folders of two bundles of sound in frames; read only."""
    return streams.write(tmp_path_factory.mktemp("streams"))


@pytest.fixture(scope="session")
def said(spoken: Path, put: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Task → the folder of a bundle that answers token by token; read only."""
    found = {}
    for exported, task, rows in (
        (spoken, "text-generation", tiny.asked(12)),
        (put, "text-to-text", tiny.translated(12)),
    ):
        folder = tmp_path_factory.mktemp(task)
        found[task] = bundles.packed(run_of(exported, folder, rows), folder, task, variants=("model",))
    return found


@pytest.fixture(scope="session")
def runs_of(tmp_path_factory: pytest.TempPathFactory) -> dict[str, kinds.Made]:
    """Task → a run and its bundle; read only."""
    return kinds.write(tmp_path_factory.mktemp("kinds"))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the program and the library, built without optimisation: a test's time is the compiler's."""
    return native.made(native.ROOT / "export" / "cpp", tmp_path_factory.mktemp("cpp"), CXXFLAGS="-O0")


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the program as two sanitizers look on."""
    out = tmp_path_factory.mktemp("sanitized")
    return native.made(native.ROOT / "export" / "cpp", out, "kit", CXXFLAGS=" ".join(native.SANITIZED))


@pytest.fixture
def run(built: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program."""
    return lambda *words, code=0: native.program(built / "kit", words, code)


@pytest.fixture
def opened(built: Path) -> Iterator[Callable[[Path], native.Kit]]:
    """Opens bundles with the library."""
    library = ctypes.CDLL(str(built / "libedgesft_kit.so"))
    library.edgesft_kit_open.restype = ctypes.c_void_p
    library.edgesft_kit_close.restype = None
    library.edgesft_kit_free.restype = None
    kits: list[native.Kit] = []

    def open_bundle(bundle: Path) -> native.Kit:
        kits.append(native.Kit(library, bundle))
        return kits[-1]

    yield open_bundle
    for each in kits:
        each.close()


@pytest.fixture(scope="session")
def probe() -> Iterator[Probe]:
    """Asks the kits' JavaScript."""
    found = Probe()
    yield found
    found.close()


@pytest.fixture(scope="session")
def node_kit(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `node kit.mjs …`."""
    program = [node(), str(installed("node", tmp_path_factory.mktemp("node")) / "kit.mjs")]

    def run(*words: object, code: int | None = 0, **more: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*program, *map(str, words)], capture_output=True, text=True, timeout=120, **more)
        assert code is None or done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def web_kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit with its packages."""
    node()
    return installed("web", tmp_path_factory.mktemp("web"))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Chromium]]:
    """A browser for a provider, started when it is first asked for."""
    found: dict[str, Chromium] = {}

    def get(provider: str = "wasm") -> Chromium:
        if provider not in found:
            flags = WEBGPU if provider == "webgpu" else ()
            found[provider] = Chromium(tmp_path_factory.mktemp(f"profile-{provider}"), *flags)
        return found[provider]

    yield get
    for each in found.values():
        each.close()
