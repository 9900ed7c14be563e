"""The Python interpreter on another machine. numpy and onnxruntime are copied there if they are missing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from edgesft.errors import UnavailableError
from edgesft.measure.devices import wheels
from edgesft.measure.devices.remote import Remote

PYTHON = (3, 10)
"""The oldest that the agent's program runs on (`zip(strict=…)`, `itertools.pairwise`)."""

PROBE = """
import json, platform, sys
def version(name):
    try:
        return __import__(name).__version__
    except Exception:
        return None
machine = platform.machine()
if sys.maxsize < 2**32:  # boards whose system is of 32 bits may have a kernel of 64
    machine = {"aarch64": "armv7l", "x86_64": "i686"}.get(machine, machine)
libc, libc_version = platform.libc_ver()
print(json.dumps({"python": list(sys.version_info[:2]), "machine": machine,
    "libc": libc_version if libc == "glibc" else "", "onnxruntime": version("onnxruntime"), "numpy": version("numpy")}))
"""
"""What the interpreter there is, and whether it has what the agent needs."""


def runtime(device: Remote, python: str) -> str:
    """Folder there of what an interpreter lacks and was brought; empty where it lacks nothing.

    Args:
        device: Connected.
        python: The interpreter there.

    Raises:
        UnavailableError: There is no interpreter that will do, or nothing can be brought for it.
    """
    facts = _facts(device, python)
    if tuple(facts["python"]) < PYTHON:
        raise UnavailableError(
            f"'{python}' of {device.label} must be Python {_dotted(PYTHON)} or newer, got {_dotted(facts['python'])}",
            "install a newer one there, and python: PATH in the file of devices",
        )
    if facts["onnxruntime"] and facts["numpy"]:
        return ""
    found = wheels.fetch(facts["machine"], tuple(facts["python"]), facts["libc"], of=device.label)
    brought = PurePosixPath(device.kept(found)).parent
    site = f"{brought}-site"

    def make(part: str) -> list[str]:
        # It may lack pip, too.
        unpack = [(python, "-m", "zipfile", "-e", str(brought / file.name), part) for file in found]
        return [f"mkdir {shlex.quote(part)}", *map(shlex.join, unpack)]

    device.once(site, make)
    # The agent starts in the home folder, which relative paths are relative to.
    return site if site.startswith("/") else f"{device.shell('pwd').strip()}/{site}"


def _facts(device: Remote, python: str) -> Mapping[str, Any]:
    """What the probe tells; what the interpreter says besides is shown only where it fails, for runtimes warn a lot."""
    run = f"{shlex.quote(python)} -c {shlex.quote(PROBE)}"
    told = device.shell(f'{{ said=$({run} 2>&1 >&3) || echo "$said"; }} 3>&1').strip()
    others, _, line = told.rpartition("\n")
    try:
        facts = dict(json.loads(line))
    except ValueError:
        raise UnavailableError(
            f"{device.label} must have the interpreter '{python}', got: {told or 'nothing'}",
            f"install Python {_dotted(PYTHON)} or newer there, or python: PATH in the file of devices",
        ) from None
    if others:
        raise UnavailableError(
            f"the shell of {device.label} must print nothing by itself, got {others.splitlines()[0]!r}",
            "its start-up files there, such as .bashrc: print only where somebody sees it",
        )
    return facts


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))
