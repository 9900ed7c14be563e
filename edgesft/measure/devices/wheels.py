"""numpy and onnxruntime for the processor and interpreter of another machine, fetched by pip and kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import platformdirs

from edgesft.errors import UnavailableError

PACKAGES = ("numpy", "onnxruntime")
"""All that the agent needs; onnxruntime's own dependencies are for tools that it does not use."""

GLIBC = (17, 27, 28, 31, 34, 39)
"""Minor versions of glibc that wheels are built for (PEP 600); 2.17 is also called manylinux2014."""


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
        raise _none(f"Linux with another C library than glibc on {machine}", of)
    minor = int(libc.split(".")[1])
    version = f"{python[0]}.{python[1]}"
    place = (folder or Path(platformdirs.user_cache_dir("edgesft")) / "wheels") / f"{machine}-{version}-{libc}"
    if found := _in(place):
        return found
    platforms = [f"manylinux_2_{each}_{machine}" for each in GLIBC if each <= minor] + [f"manylinux2014_{machine}"]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary=:all:", "--python-version", version, "--dest", str(place)]
    command += [word for each in platforms for word in ("--platform", each)]
    done = subprocess.run([*command, *PACKAGES], capture_output=True, text=True)
    if done.returncode or not (found := _in(place)):
        words = done.stderr.strip().splitlines()
        if any("No matching distribution" in line for line in words):
            raise _none(f"{machine} with Python {version} and glibc {libc}", of)
        raise UnavailableError(f"pip must fetch {' and '.join(PACKAGES)} for {of}, got: {words[-1] if words else '?'}")
    return found


def _in(place: Path) -> list[Path]:
    found = sorted(place.glob("*.whl"))
    whole = {file.name.split("-")[0] for file in found} >= set(PACKAGES)
    return found if whole else []


def _none(what: str, of: str) -> UnavailableError:
    return UnavailableError(
        f"{of} must have numpy and onnxruntime, or be a machine that there are wheels for, got {what}",
        "install both there by hand, or build the native runner of export/runner for it",
    )
