"""How long a text bundle takes in the kit in Python, from the start of a process to its first answer.

`python bench/kits.py BUNDLE` times `python -m kit BUNDLE --text TEXT`, each a fresh process, by turns of the bundle as
a folder and as an archive, with the files in the system's cache, and with those of the bundle, of numpy and of
onnxruntime dropped from it. What is to hold: at most 1.5 s. `make bench-kits` makes a bundle of 25 MB for it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnxruntime

from edgesft.resources import folder

LIMIT_S = 1.5

TEXT = "How long does it take from the start of a process until this sentence is answered, on a machine like this one?"


def drop(files: Iterable[Path]) -> None:
    """Takes files from the system's cache, as far as no process has them mapped."""
    for file in files:
        with file.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def files_of(place: Path) -> list[Path]:
    """A file, or those of a folder."""
    return [place] if place.is_file() else [file for file in place.rglob("*") if file.is_file()]


def seconds(bundle: Path) -> tuple[float, float]:
    """Wall-clock and processor time of a process that opens a bundle and answers a text."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, "-m", "kit", str(bundle.absolute()), "--text", TEXT]
    done = subprocess.run(command, cwd=folder("export") / "python", check=True, capture_output=True, text=True)
    took = time.perf_counter() - began
    if "label" not in json.loads(done.stdout):
        raise ValueError(f"the answer must have a label, got {done.stdout!r}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> int:
    """Times all, prints medians and the slowest, and answers whether the figure holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="an archive")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, help="JSON file of the figures")
    options = parser.parse_args()
    os.sync()  # what is not on the disk yet stays in the cache
    libraries = [file for module in (np, onnxruntime) for file in files_of(Path(str(module.__file__)).parent)]
    with tempfile.TemporaryDirectory() as place, zipfile.ZipFile(options.bundle) as archive:
        archive.extractall(place)
        forms = {"folder": Path(place), "archive": options.bundle}
        times: dict[str, list[tuple[float, float]]] = {}
        seconds(options.bundle)  # Python writes its byte code at first.
        for _ in range(options.rounds):
            for form, bundle in forms.items():
                for cache in ("warm", "cold"):
                    if cache == "cold":
                        drop([*files_of(bundle), *libraries])
                    times.setdefault(f"{form}, {cache}", []).append(seconds(bundle))
        size = sum(file.stat().st_size for file in files_of(Path(place)))
    holds = True
    for name, each in times.items():
        walls, processors = zip(*each, strict=True)
        middle, busy = statistics.median(walls), statistics.median(processors)
        holds &= middle <= LIMIT_S
        told = f"median {middle * 1e3:.0f} ms, slowest {max(walls) * 1e3:.0f} ms, {busy * 1e3:.0f} ms of a processor"
        print(f"{name:14} {size / 1e6:.1f} MB: {told}, n = {len(each)}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps({"bytes": size, "holds": holds, "seconds": times}, indent=1) + "\n")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
