"""How long commands that only look take, and a report of twenty runs: whole processes, one after another by turns.

    python bench/start.py RECIPE RUN

RECIPE is one whose run is in the store, so that its plan is cached, and RUN what that run left. To hold, as medians:
`--help` within 200 ms, `validate` and `plan` within 700 ms, the report within 3 s.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

TIMES = 10

RUNS = 20


def seconds(words: Sequence[str]) -> float:
    """Wall-clock of a command."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "edgesft", *words], check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> int:
    """Measures, prints a table, and answers 1 where a median is too long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("run")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = ["report", *[options.run] * RUNS, "--format", "html", "--output", str(Path(folder) / "page.html")]
        commands = {
            "--help": (["--help"], 0.2),
            "validate": (["validate", options.recipe], 0.7),
            "plan, cached": (["plan", options.recipe], 0.7),
            f"report of {RUNS} runs": (report, 3.0),
        }
        for words, _ in commands.values():
            seconds(words)  # files and bytecode are in the caches from here on
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(TIMES):
            for name, (words, _) in commands.items():
                taken[name].append(seconds(words))
    print("| command | median ms | least | most | limit |\n|---|---|---|---|---|")
    medians = {name: statistics.median(found) for name, found in taken.items()}
    for name, (_, limit) in commands.items():
        least, most = min(taken[name]), max(taken[name])
        print(f"| {name} | {medians[name] * 1e3:.0f} | {least * 1e3:.0f} | {most * 1e3:.0f} | {limit * 1e3:.0f} |")
    return int(any(medians[name] > limit for name, (_, limit) in commands.items()))


if __name__ == "__main__":
    sys.exit(main())
