"""numpy and onnxruntime for the processor and interpreter of another machine, fetched by pip and kept."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import platformdirs

from edgesft.errors import UnavailableError

PACKAGES = ("numpy", "onnxruntime")
"""All that the agent needs; onnxruntime's own dependencies are for tools that it does not use."""

GLIBC = (17, 27, 28, 31, 34, 39)
"""Minor versions of glibc that wheels are built for (PEP 600); 2.17 is also called manylinux2014."""

UNREACHED = re.compile("Retrying|connection|ProxyError|SSLError", re.IGNORECASE)
"""Pip also says that nothing matches where it could not look at all; then it has warned of that."""


def fetch(machine: str, python: tuple[int, int], libc: str, *, of: str, folder: Path | None = None) -> list[Path]:
    """Wheels for another machine; those that were fetched once are taken again.

    Args:
        machine: As `uname -m` names it.
        python: Major and minor version of its interpreter.
        libc: Version of its glibc, such as `2.36`; empty where it has none.
        of: What the person calls the machine.
        folder: Where they are kept; by default the user's cache.

    Raises:
        UnavailableError: There are none, or pip cannot reach any.
    """
    if not libc:
        raise _none(f"{machine} without glibc", of)
    version = f"{python[0]}.{python[1]}"
    place = (folder or Path(platformdirs.user_cache_dir("edgesft")) / "wheels") / f"{machine}-{version}-{libc}"
    if found := _in(place):
        return found
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent, ignore_cleanup_errors=True) as part:
        said = _download(machine, version, int(libc.split(".")[1]), Path(part))
        if not _in(Path(part)):
            unreached = [line for line in said if UNREACHED.search(line)]
            if not unreached and any("No matching distribution" in line for line in said):
                raise _none(f"{machine} with Python {version} and glibc {libc}", of)
            got = (unreached or said or ["nothing"])[-1]
            message = f"pip must fetch {' and '.join(PACKAGES)} for {of}, got: {got}"
            raise UnavailableError(message, "the network here, or install both there by hand")
        place.mkdir(exist_ok=True)
        for file in _in(Path(part)):
            file.replace(place / file.name)
    return _in(place)


def _download(machine: str, version: str, minor: int, place: Path) -> list[str]:
    """Has pip fetch the wheels; the lines that it says."""
    platforms = [f"manylinux_2_{each}_{machine}" for each in GLIBC if each <= minor] + [f"manylinux2014_{machine}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", version, "--dest", str(place)]
    command += [word for each in platforms for word in ("--platform", each)]
    return subprocess.run([*command, *PACKAGES], capture_output=True, text=True).stderr.splitlines()


def _in(place: Path) -> list[Path]:
    found = sorted(place.glob("*.whl"))
    whole = {file.name.split("-")[0] for file in found} >= set(PACKAGES)
    return found if whole else []


def _none(what: str, of: str) -> UnavailableError:
    return UnavailableError(
        f"{of} must have numpy and onnxruntime, or be a machine that there are wheels for, got {what}",
        "install both there by hand, or build the native runner of export/runner for it",
    )
