"""Baselines, and documents of checks, that nobody made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgesft.gate.baseline import Baseline, Entry, Figures, Key

CREATED = "2030-01-02T03:04:05+00:00"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA256 = "ab" * 32
CPU = "CPUExecutionProvider"
MACHINE = {
    "architecture": "riscv64",
    "system": "Linux",
    "model": "a core",
    "board": "a board",
    "cores": 4,
    "instructions": ["v", "zfh"],
}
COUNTS = {"size": 1000, "parameters": 200, "nodes": 10}


def key(**changes: Any) -> Key:
    """A key; fields of the machine as `machine_cores=2`."""
    machine = MACHINE | {name[8:]: changes.pop(name) for name in list(changes) if name.startswith("machine_")}
    told = {"model": "m.onnx", "profile": "ci", "provider": CPU, "runtime": "1.32.0", "threads": 1}
    return Key.of(**(told | changes), machine=machine)


def timing(value: int, margin: int = 0, n: int = 1000) -> dict[str, int]:
    """A time with bounds that are so far from it."""
    return {"value": value, "lower": value - margin, "upper": value + margin, "n": n}


def entry(whose: Key | None = None, *, created: str = CREATED, sha256: str = SHA256, **figures: Any) -> Entry:
    """An entry with three counts, others by name; None leaves one out."""
    told = {name: value for name, value in (COUNTS | figures).items() if value is not None}
    return Entry(
        key=whose or key(),
        figures=Figures.from_json(told),
        sha256=sha256,
        bytes=told["size"],
        created=created,
        commit=COMMIT,
    )


def baseline(*entries: Entry, accepted: Any = (), path: str = "baseline.json") -> Baseline:
    """A baseline of these entries, or of one."""
    return Baseline(Path(path), entries or (entry(),), tuple(accepted))


def document(whose: Key | None = None, *, lines: Any = (), changes: Any = (), **figures: Any) -> dict[str, Any]:
    """The JSON form of a check that found these figures.

    Args:
        whose: Its key.
        lines: Name and verdict of each line.
        changes: Keys that take the place of others.
        figures: As `entry` takes them.
    """
    told = {name: value for name, value in (COUNTS | figures).items() if value is not None}
    verdicts = [verdict for _, verdict in lines]
    return {
        "schema": "edgesft/check",
        "schema_version": 1,
        "edgesft": "0.1.0",
        "created": CREATED,
        "commit": COMMIT,
        "verdict": "fail" if "fail" in verdicts else "pass",
        "subject": {"name": "m.onnx", "sha256": SHA256, "size_bytes": told["size"], "form": "onnx"},
        "lines": [{"name": name, "verdict": verdict, "limit": 1.0, "gates": True} for name, verdict in lines],
        "notes": [],
        "key": (whose or key()).to_json(),
        "figures": told,
        "measurement": None,
        **dict(changes),
    }


def save(path: Path, data: Any) -> Path:
    """Writes JSON."""
    path.write_text(data if isinstance(data, str) else json.dumps(data), "utf-8")
    return path
