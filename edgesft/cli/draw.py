"""`edgesft draw RUN --output grid.png`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that a run of image-generation left")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="where to write them, all on one picture"
    )
    parser.add_argument("--count", type=int, default=16, metavar="N", help="how many (default: 16)")
    parser.add_argument("--seed", type=int, default=0, help="the same one makes the same pictures (default: 0)")
    parser.add_argument("--label", metavar="NAME", help="class of all of them (default: each in turn)")
    parser.add_argument("--steps", type=int, metavar="N", help="inferences of each (default: the recipe's)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the runtime (default: 1)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Writes the pictures and prints how long they took."""
    from edgesft.measure.generation import Painter

    painter = Painter(options.run, options.threads)
    drawn = painter.draw(options.count, options.seed, label=options.label, steps=options.steps)
    drawn.save(options.output)
    if options.format == "json":
        times = {"picture_ns": drawn.picture_ns, "step_ns": drawn.step_ns}
        json.dump({"output": str(options.output), "labels": drawn.labels, **times}, sys.stdout, indent=1)
        print()
        return 0
    picture, step = (median(each) / 1e6 for each in (drawn.picture_ns, drawn.step_ns))
    print(f"{options.output}: {options.count} pictures, each {picture:.1f} ms, a step {step:.2f} ms (medians)")
    return 0
