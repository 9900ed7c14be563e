"""What a raw model costs and gives: its answers and its latency beside those of its parts.

`python bench/raw.py BUNDLE ROWS` takes a bundle that was packed with `--raw`, and rows: JSON lines with the contract's
column, or pictures. Each row is answered four ways by turns, on one thread: by the kit in Python (its own tokens or
pixels, the model, its own decoding), by the libraries that training uses (tokenizers or Pillow) and the model, by the
raw model, and by the model alone on what was prepared before.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.budget.percentile import interval, percentile
from edgesft.data.media import image
from edgesft.measure.pipelines import text
from edgesft.resources import folder

sys.path.insert(0, str(folder("export") / "python"))

import kit


def rows(places: list[Path], column: str) -> Iterator[Mapping[str, Any]]:
    """Rows of files of JSON lines, or a picture each."""
    for place in places:
        if place.suffix == ".jsonl":
            yield from (json.loads(line) for line in place.read_text("utf-8").splitlines())
        else:
            # Decoded before: a device hands pixels over, and a file is decoded alike for all.
            yield {column: kit_pixels(place)}


def kit_pixels(place: Path) -> np.ndarray:
    """A picture's pixels."""
    from kit import picture

    return picture.read(str(place))


def library(bundle: Path, said: Mapping[str, Any]) -> Any:
    """Edgesft's own pipeline, which prepares by the libraries that training uses."""
    options = {**said["preparation"], "labels": said["labels"], "temperature": said["decoding"]["temperature"]}
    options["accept_above"] = said["thresholds"].get("unknown", {}).get("accept_above")
    options["inputs"] = [each["name"] for each in said["inputs"]]
    module: Any = text if said["preparation"]["kind"] == "text" else image
    return module.Pipeline(str(bundle / "processor"), options)


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two answers are one, scores within 1e-4."""
    return {**one, "score": 0} == {**other, "score": 0} and abs(one["score"] - other["score"]) < 1e-4


def main() -> int:
    """Times all ways and prints them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path, help="a folder")
    parser.add_argument("rows", type=Path, nargs="+")
    parser.add_argument("--most", type=int, default=400, help="rows that are timed, evenly spaced")
    options = parser.parse_args()
    whole, parts = kit.open_bundle(options.bundle, raw=True), kit.open_bundle(options.bundle)
    said = parts.bundle.contract
    pipeline = library(options.bundle, said)
    given = list(rows(options.rows, said["preparation"]["columns"][0]))
    answers = [(whole.answer(row), parts.answer(row)) for row in given]
    print(f"{len(given)} rows, of which {sum(same(*pair) for pair in answers)} are answered alike by kit and raw model")
    places = np.unique(np.linspace(0, len(given) - 1, min(options.most, len(given))).round().astype(int))
    feeds = {int(place): next(iter(parts.preparation(given[int(place)]))).feeds for place in places}
    ways: Mapping[str, Callable[[int], Any]] = {
        "kit": lambda place: parts.answer(given[place]),
        "library": lambda place: pipeline.after(parts.model(pipeline.before(given[place]))),
        "raw": lambda place: whole.answer(given[place]),
        "model": lambda place: parts.model(feeds[place]),
    }
    taken: dict[str, list[int]] = {name: [] for name in ways}
    for place in feeds:
        for name, answer in ways.items():
            began = time.perf_counter_ns()
            answer(place)
            taken[name].append(time.perf_counter_ns() - began)
    for name, each in taken.items():
        found = interval(each, 50)
        ends = (found.lower, found.upper)
        bounds = " to ".join("n too small" if end is None else f"{end / 1e6:.3g}" for end in ends)
        middle, high = (percentile(each, p) / 1e6 for p in (50, 95))
        print(f"{name:8} p50 {middle:.3g} ms ({bounds}), p95 {high:.3g} ms, n = {len(each)}")
    for model in (whole.model, parts.model):
        file = model.variant["file"]
        print(f"{file} {(options.bundle / file).stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
