"""How long commands that only look take, beside a process that imports what they cannot do without.

Milliseconds say nothing on a busy machine: both are processor time, taken by turns, the least of a few. Those are for
`bench/start.py`.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import chain

TRIES = 4

YARDSTICK = ("-c", "import argparse, json, numpy, pydantic, pydantic.fields, yaml")


def seconds(words: Sequence[str]) -> float:
    """Processor time of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize(("command", "most"), [("--help", 0.6), ("validate", 2.6), ("plan", 3.0)])
def test_starting_takes_little_more_than_what_is_needed(
    command: str, most: float, tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    words = ["-m", "edgesft", command, *([] if command == "--help" else [str(chain.write(tmp_path, bert))])]
    taken = [(seconds(words), seconds(YARDSTICK)) for _ in range(TRIES)]
    ratio = min(own for own, _ in taken) / min(needed for _, needed in taken)
    assert ratio < most, f"{command} takes {ratio:.2f} times what its libraries do"
