"""Prints a row a task of what `edgesft run` left: before is the fine-tuned original, after the compressed model.

python bench/task_rows.py FOLDER …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

HEAD = (
    "| recipe | task | test rows | metric | fine-tuned | compressed (Δ, 95 % bounds) | size MB | p50 ms | ratio of p50 "
    "| verdict |"
)


def main() -> None:
    """In the order of the folders."""
    print(HEAD, "|---" * (HEAD.count("|") - 1) + "|", sep="\n")
    for folder in map(Path, sys.argv[1:]):
        print(row(folder.name, json.loads((folder / "results.json").read_text("utf-8"))))


def row(name: str, found: dict[str, Any]) -> str:
    """One run in one line of markdown."""
    before, after = found["stages"][0], [stage for stage in found["stages"] if stage["kept"] and "levels" in stage][-1]
    metric, drop = found["metric"], after["drops"][found["metric"]]
    change = f"{-drop['value']:+.3f}, {-drop['upper']:+.3f} to {-drop['lower']:+.3f}"
    ratio = next((line for line in found["budget"] if line["name"] == "latency_ratio.p50"), None)
    cells = [
        name,
        found["recipe"]["task"],
        f"{found['evaluation']['rows']:,}",
        metric,
        f"{before['levels'][metric]['value']:.3f}",
        f"{after['levels'][metric]['value']:.3f} ({change})",
        f"{before['size_bytes'] / 1e6:.1f} → {after['size_bytes'] / 1e6:.1f}",
        f"{before['latency_ns']['p50'] / 1e6:.2f} → {after['latency_ns']['p50'] / 1e6:.2f}",
        f"{ratio['value']:.3f} ({ratio['lower']:.3f} to {ratio['upper']:.3f})" if ratio else "–",
        found["verdict"],
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
