"""`edgesft draw RUN --output grid.png`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median

from edgesft.errors import InputError, UnavailableError


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of an image-generation run")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="file to write: one picture with all of them"
    )
    parser.add_argument("--count", type=int, default=16, metavar="N", help="number of pictures (default: 16)")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--label", metavar="NAME", help="class of the pictures (default: each class in turn)")
    parser.add_argument("--steps", type=int, metavar="N", help="inferences per picture (default: the recipe's)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of the runtime (default: 1)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="what to print")


def main(options: argparse.Namespace) -> int:
    """Writes the pictures and prints how long they took."""
    from edgesft.cli import output
    from edgesft.measure.generation import Painter

    # An earlier picture in the folder may be replaced, what the run left there may not.
    output.require(options.output, [file for file in options.run.glob("*") if not _is_picture(file)], "grid.png")
    if not _is_picture(options.output):
        raise InputError(f"--output must be named as a picture, got '{options.output}'", "grid.png")
    painter = Painter(options.run, options.threads)
    drawn = painter.draw(options.count, options.seed, label=options.label, steps=options.steps)
    drawn.save(options.output)
    if options.format == "json":
        times = {"picture_ns": drawn.picture_ns, "step_ns": drawn.step_ns}
        json.dump({"output": str(options.output), "labels": drawn.labels, **times}, sys.stdout, indent=1)
        print()
        return 0
    picture, step = (median(each) / 1e6 for each in (drawn.picture_ns, drawn.step_ns))
    print(f"{options.output}: {options.count} pictures, {picture:.1f} ms per picture, {step:.2f} ms per step (medians)")
    return 0


def _is_picture(file: Path) -> bool:
    """Whether pictures are written into files of such a name."""
    try:
        from PIL import Image
    except ImportError as error:
        raise UnavailableError("pictures: writing them needs pillow", "pip install 'edgesft[image]'") from error

    return Image.registered_extensions().get(file.suffix.lower()) in Image.SAVE
