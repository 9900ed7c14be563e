"""Results files that nobody measured."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from edgesft.gate.key import Key
from tests.report.gates import check
from tests.report.measured import MACHINE

FIRST = datetime(2025, 3, 1, 4, 5, tzinfo=UTC)


def document(p50: float = 5e6, *, day: int = 0, **changes: Any) -> dict[str, Any]:
    """The JSON form of a check.

    Args:
        p50: Nanoseconds.
        day: After `FIRST`.
        changes: Of the key, of the subject's `sha256`, or figures; and `created`, `commit`.
    """
    key = {"model": "model.onnx", "profile": "board", "provider": "CPUExecutionProvider", "runtime": "1.32.0"}
    key |= {"threads": 1, "machine": MACHINE, "io": "host"}
    key |= {name: changes.pop(name) for name in (*key, "options") if name in changes}
    told = {"created": (FIRST + timedelta(days=day)).isoformat(timespec="seconds"), "commit": f"{day:040x}"}
    told |= {name: changes.pop(name) for name in ("created", "commit", "edgesft") if name in changes}
    subject = {"name": key["model"], "sha256": changes.pop("sha256", "ab" * 32)}
    figures = {"p50": {"value": round(p50), "lower": round(p50 * 0.99), "upper": round(p50 * 1.01), "n": 500}}
    figures |= {"size": 22_713_216, "parameters": 22_000, "scenario": "single-stream", **changes}
    return {**check(subject=subject), "key": Key.of(**key).to_json(), "figures": figures, **told}


def write(folder: Path, documents: Sequence[dict[str, Any]]) -> Path:
    """One file each, `0.json`, `1.json` and so on, in a folder that is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, each in enumerate(documents):
        (folder / f"{number}.json").write_text(json.dumps(each))
    return folder


NOISE = (0.4, -0.7, 0.1, 1.1, -0.3, 0.6, -1.2, 0.2, -0.5, 0.8, 0.3, -0.9, 1.3, -0.2, -0.6, 0.5)
"""Deviations of a hundredth of a level, so that they look like noise."""


def times(*levels: tuple[float, int]) -> list[float]:
    """Nanoseconds: so many points at each level, with noise of a hundredth."""
    flat = [level for level, count in levels for _ in range(count)]
    return [level * (1 + 0.01 * NOISE[place % len(NOISE)]) for place, level in enumerate(flat)]
