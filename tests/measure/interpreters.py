"""Interpreters for `--python`: the real agent, of which a few lines were changed."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

STEADY = """
def time(self, count, picks):
    return {"ns": [1_000_000 + index % 5 for index in range(count)], "energy_uj": None}
agent.Agent.time = time
"""
"""Every inference takes a millisecond, whatever this machine is doing."""

DIE = "os.kill(os.getpid(), 9)"
HANG = "time.sleep(600)"


def save_interpreter(path: Path, code: str) -> Path:
    """A program that ignores its arguments and serves the agent's protocol after it ran this code.

    Args:
        path: Of the program.
        code: Python that may change `agent`, the agent's module.
    """
    script = path.with_suffix(".changed.py")
    script.write_text(
        f"import os, sys, time\nsys.path.insert(0, {str(ROOT)!r})\nsys.argv = ['agent']\n"
        f"from edgesft.measure import agent\n{code}\nagent.main()\n",
        "utf-8",
    )
    path.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{script}'\n", "utf-8")
    path.chmod(0o755)
    return path


def first(op: str, action: str, when: str = "True") -> str:
    """Code after which the agent does something before it answers `op`.

    Args:
        op: The operation.
        action: A statement, such as `DIE`.
        when: Expression of `self`, the agent, and `fields`, what the request says by name.
    """
    return f"""
real = agent.Agent.{op}
def changed(self, *values, **fields):
    if {when}:
        {action}
    return real(self, *values, **fields)
agent.Agent.{op} = changed
"""
