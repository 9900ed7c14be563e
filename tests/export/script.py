"""Node.js, for the tests of what is written in JavaScript."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXPORT = ROOT / "export"
PACKAGES = ROOT / ".kits"
"""What `make kits` installed."""


class RefusedInNode(Exception):
    """Findings that a kit threw."""

    def __init__(self, findings: list[dict[str, Any]]) -> None:
        self.findings = findings
        super().__init__(json.dumps(findings, ensure_ascii=False))


class Probe:
    """A process of Node.js that calls functions of `export/js`."""

    def __init__(self, folder: Path = EXPORT) -> None:
        command = [node(), str(Path(__file__).with_name("probe.mjs")), str(folder)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, op: str, **asked: Any) -> Any:
        """What a function gives.

        Raises:
            RefusedInNode: It refused.
        """
        self.process.stdin.write(json.dumps({"op": op, **asked}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "broken" not in answer, answer["broken"]
        if "findings" in answer:
            raise RefusedInNode(answer["findings"])
        return answer["value"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=20)


def node() -> str:
    """The program; the test is skipped where it is not here or too old."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is not here: apt-get install nodejs")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.lstrip("v").partition(".")[0]) < 20:
        pytest.skip(f"node must be 20 or newer, got {version.strip()}")
    return found


def installed(name: str, target: Path) -> Path:
    """A kit as a person has it: its folder and the shared one beside its packages; skipped where those are not here."""
    if not (PACKAGES / name / ".ready").is_file():
        pytest.skip(f"the packages of export/{name} are not here: make kits")
    for each in ("js", name):
        shutil.copytree(EXPORT / each, target / each)
    (target / "node_modules").symlink_to(PACKAGES / name / "node_modules")
    return target / name
