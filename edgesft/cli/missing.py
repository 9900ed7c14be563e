"""What this environment lacks beside edgesft itself, and the command that adds it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from importlib import metadata
from typing import Any

UNTOLD = ("dev", "docs", "demo")
"""Extras that only who works on edgesft wants."""

NAME, EXTRA = re.compile(r"[A-Za-z0-9._-]+"), re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")

TOOLS = {
    "valgrind": ("counts instructions, which are repeatable even on shared CI runners", "apt-get install valgrind"),
    "ssh": ("for boards over ssh", "apt-get install openssh-client"),
    "adb": ("for phones", "apt-get install adb"),
}
"""Program → what it is for, and how to get it."""


def extras() -> dict[str, dict[str, Any]]:
    """Each extra: the packages of it that are not here, and the command that adds them."""
    found: dict[str, dict[str, Any]] = {}
    for text in metadata.requires("edgesft") or ():
        extra, name = EXTRA.search(text), NAME.match(text)
        if extra is None or name is None or extra[1] in UNTOLD:
            continue
        told = found.setdefault(extra[1], {"missing": [], "install": f"pip install 'edgesft[{extra[1]}]'"})
        if name[0] != "edgesft" and not _there(name[0]):
            told["missing"].append(name[0])
    return dict(sorted(found.items()))


def tools() -> dict[str, dict[str, Any]]:
    """Each program: whether it is here, what it is for, and how to get it."""
    return {
        name: {"there": shutil.which(name) is not None, "purpose": purpose, "install": install}
        for name, (purpose, install) in TOOLS.items()
    }


def lines(facts: Mapping[str, Any]) -> list[str]:
    """Both, as a person reads them."""
    told = ["extras"]
    for name, each in facts["extras"].items():
        lacks = f"not installed: {', '.join(each['missing'])}; {each['install']}" if each["missing"] else "installed"
        told.append(f"  {name:18} {lacks}")
    told.append("programs")
    for name, each in facts["tools"].items():
        told.append(
            f"  {name:18} {'installed' if each['there'] else 'not installed; ' + each['install']} ({each['purpose']})"
        )
    return told


def _there(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
