"""How often the gate is wrong: comparisons of a model with itself and with slower ones, on this machine.

    python bench/gate.py [--minutes 90] [--output runs/gate]

Two models take about 1 ms and about 10 ms. Each is compared with itself, 200 times on a machine that is left alone and
200 times while another process keeps a core busy half of the time, in spells of 0.2 to 4 s; and 50 times with a copy of
which one layer is so much wider that the whole takes about 5 % longer, and 50 times 10 %. The true size of each
slowdown is measured once, at length. Comparisons are in a shuffled order; each is one line of `comparisons.jsonl`, and
the same command goes on where it was stopped. `results.json` and the tables are made of those lines alone (`--tables`
only makes them).

Beside the gate stand other rules, on the same samples:

- naive: the mean of the candidate's first 20 inferences is more than 5 % above a number that was stored at the start;
- pytest-benchmark: `--benchmark-compare-fail=mean:5%` and `min:5%`, the candidate's samples against a stored run;
- asv: the ratio of the medians is above the factor (1.1 as it comes, and 1.05) and a Mann-Whitney test says p < 0.002,
  on both sides' samples of this comparison, as `asv continuous` takes them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from edgesft.budget.paired import change, limit
from edgesft.measure.agent import CPU
from edgesft.measure.bench.comparison import Comparison, Question, compare
from edgesft.measure.bench.order import Order
from edgesft.progress import Progress
from edgesft.spec import load
from edgesft.spec.profile import ProviderSpec

ROWS, WIDTH = 176, 256
"""Of the models: products of so many rows with square matrices, each through a Tanh."""

LAYERS = {"1 ms": 7, "10 ms": 56}
"""Model → products."""

WIDTHS = {
    "1 ms": {0.05: 296, 0.10: 352},
    "10 ms": {0.05: 640, 0.10: 992},
}
"""Model → slowdown → width of the one layer that is widened; what it truly costs is measured."""

MIN_EFFECT = 0.05
"""What the gate is asked to find, in every comparison."""

SAME, SLOWER = 200, 50
"""Comparisons of each model with itself, for each state of the machine, and with each slower copy."""

AT_LENGTH = 64
"""Blocks in which a true size is measured."""

BUSY = """
import math, random, sys, time
rng = random.Random(int(sys.argv[1]))
time.sleep(rng.uniform(0, 2))
while True:
    seconds = math.exp(rng.uniform(math.log(0.2), math.log(4)))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    time.sleep(seconds)
"""
"""Keeps a core busy half of the time, in spells of 0.2 to 4 s: shorter and longer than a block, as a comparison."""

STORED = 100
"""Samples of the run that the stored rules compare with."""

FACTORS = (1.1, 1.05)
"""asv's, as it comes and as the effect that is looked for."""

SIGNIFICANT = 0.002
"""asv's p."""


@dataclass(frozen=True)
class Case:
    """One comparison to make.

    Attributes:
        model: Name of the model.
        effect: Of the slower copy; 0 is the model itself.
        loaded: Whether another process loads a core half of the time.
        number: Tells those of a kind apart.
    """

    model: str
    effect: float
    loaded: bool
    number: int

    @property
    def key(self) -> str:
        """Its name in the file of results."""
        return f"{self.model}|{self.effect:g}|{'loaded' if self.loaded else 'alone'}|{self.number}"

    @property
    def group(self) -> str:
        """The row of the table that it counts in."""
        what = f"{self.effect:.0%} slower" if self.effect else "itself"
        return f"{self.model} against {what}" + (", a core loaded half of the time" if self.loaded else "")


def cases() -> list[Case]:
    """All comparisons, shuffled, so that what the hour brings falls on all kinds alike."""
    found = [
        *(Case(model, 0.0, loaded, n) for model in LAYERS for loaded in (False, True) for n in range(SAME)),
        *(Case(model, effect, False, n) for model in LAYERS for effect in WIDTHS[model] for n in range(SLOWER)),
    ]
    random.Random(0).shuffle(found)
    return found


def make(path: Path, layers: int, width: int) -> Path:
    """The model, the layer in its middle of the given width."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    widths = [WIDTH] * (layers + 1)
    widths[layers // 2] = width
    nodes, weights = [], []
    for layer, (into, out) in enumerate(itertools.pairwise(widths)):
        source, target = f"x{layer}" if layer else "x", f"x{layer + 1}" if layer + 1 < layers else "y"
        values = rng.standard_normal((into, out), np.float32) / np.float32(into**0.5)
        weights.append(numpy_helper.from_array(values, f"weight{layer}"))
        nodes += [
            helper.make_node("MatMul", [source, f"weight{layer}"], [f"product{layer}"]),
            helper.make_node("Tanh", [f"product{layer}"], [target]),
        ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [ROWS, WIDTH]) for name in ("x", "y")]
    graph = helper.make_graph(nodes, "layers", ends[:1], ends[1:], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    return path


def models(folder: Path) -> dict[tuple[str, float], Path]:
    """Model and slowdown → its file."""
    return {
        (model, effect): make(folder / f"{model.replace(' ', '')}-{width}.onnx", layers, width)
        for model, layers in LAYERS.items()
        for effect, width in {0.0: WIDTH, **WIDTHS[model]}.items()
    }


def contest(candidate: Path, baseline: Path, seed: int, question: Question) -> Comparison:
    """One comparison as `edgesft compare` makes it."""
    provider = ProviderSpec(name=CPU)
    order = Order([candidate, baseline], load.profile("this-machine"), [provider], seed=seed)
    return compare(order, question, Progress(quiet=True))


@contextmanager
def neighbour(seed: int | None) -> Iterator[None]:
    """Another process beside the comparison; none where there is no seed."""
    if seed is None:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", BUSY, str(seed)])
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError(f"the neighbour must last as long as the comparison, got exit code {process.returncode}")
    finally:
        process.kill()
        process.wait()


def samples(found: Comparison) -> tuple[list[int], list[int]]:
    """Nanoseconds of all inferences of candidate and baseline."""
    ours, theirs = ([ns for block in found.blocks for ns in block[side].samples] for side in (0, 1))
    return ours, theirs


def record(case: Case, files: Mapping[tuple[str, float], Path], stored: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Makes a comparison; what the gate and the other rules say of it."""
    rng = random.Random(case.key)
    began = time.monotonic()
    with neighbour(rng.randrange(2**31) if case.loaded else None):
        found = contest(
            files[case.model, case.effect], files[case.model, 0.0], rng.randrange(2**31), Question(MIN_EFFECT)
        )
    taken = time.monotonic() - began
    ratio = found.look.ratios["p50"]
    said = change(ratio, found.bar)
    return {
        "key": case.key,
        "group": case.group,
        "effect": case.effect,
        "change": said,
        "ratio": ratio._asdict(),
        "confidence": found.look.confidence,
        "floor": found.floor,
        "refused": found.refused,
        "blocks": len(found.blocks),
        "seconds": taken,
        "p50_ns": found.blocks[0][1].samples and int(statistics.median(samples(found)[1])),
        "rules": rules(*samples(found), stored[case.model]),
    }


def rules(ours: Sequence[int], theirs: Sequence[int], stored: Sequence[int]) -> dict[str, bool]:
    """Other rules → whether they say that the candidate is slower."""
    middle = statistics.median(ours) / statistics.median(theirs)
    significant = mann_whitney(ours, theirs) < SIGNIFICANT
    return {
        "naive mean of 20, 5 %": statistics.fmean(ours[:20]) > 1.05 * statistics.fmean(stored[:20]),
        "pytest-benchmark mean:5%": statistics.fmean(ours) > 1.05 * statistics.fmean(stored),
        "pytest-benchmark min:5%": min(ours) > 1.05 * min(stored),
        **{f"asv, factor {factor:g}": middle > factor and significant for factor in FACTORS},
    }


def mann_whitney(ours: Sequence[int], theirs: Sequence[int]) -> float:
    """Two-sided p of the rank sum test by its normal approximation; ties are too rare here to correct for."""
    both = np.concatenate([ours, theirs])
    ranks = np.empty(len(both))
    ranks[np.argsort(both, kind="stable")] = np.arange(1, len(both) + 1)
    n, m = len(ours), len(theirs)
    statistic = ranks[:n].sum() - n * (n + 1) / 2
    z = (statistic - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return 2 * NormalDist().cdf(-abs(z))


def prelude(files: Mapping[tuple[str, float], Path]) -> Iterator[dict[str, Any]]:
    """What is measured once: the stored runs and the true sizes."""
    for model in LAYERS:
        base = files[model, 0.0]
        first = contest(base, base, 1, Question(MIN_EFFECT))
        yield {"key": f"stored|{model}", "samples": (samples(first)[0] * STORED)[:STORED]}
        for effect in WIDTHS[model]:
            # An effect that small is never decided, and so measured until the time is up.
            found = at_length(files[model, effect], base)
            yield {"key": f"true|{model}|{effect:g}", **found}


def at_length(candidate: Path, baseline: Path) -> dict[str, Any]:
    """The true size of a slowdown: mean log ratio of many blocks."""
    from edgesft.budget.paired import Block, effect, ratio

    effects = []
    for number in range(AT_LENGTH // 4):
        found = contest(candidate, baseline, 7 + number, Question(0.5))
        effects += [effect(Block(ours.rounds, theirs.rounds), 50) for ours, theirs in found.blocks]
    return {"ratio": ratio([each for each in effects if each is not None])._asdict(), "blocks": len(effects)}


def read(file: Path) -> dict[str, dict[str, Any]]:
    """Key → line of the file; a line that was cut short by a kill is left out."""
    found = {}
    for line in file.read_text("utf-8").splitlines() if file.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found[entry["key"]] = entry
    return found


def take(folder: Path, minutes: float) -> None:
    """Makes the comparisons that are not there yet, as long as there is time."""
    until = time.monotonic() + minutes * 60
    file = folder / "comparisons.jsonl"
    files = models(folder)
    done = read(file)
    with file.open("a", encoding="utf-8") as out:
        if file.stat().st_size:
            # A line that was cut short must not swallow the next one.
            out.write("\n")

        def keep(entry: dict[str, Any]) -> None:
            done[entry["key"]] = entry
            out.write(json.dumps(entry) + "\n")
            out.flush()

        if not all(f"true|{model}|{effect:g}" in done for model in LAYERS for effect in WIDTHS[model]):
            for entry in prelude(files):
                keep(entry)
        stored = {model: done[f"stored|{model}"]["samples"] for model in LAYERS}
        todo = [case for case in cases() if case.key not in done]
        for number, case in enumerate(todo):
            if time.monotonic() > until:
                break
            keep(record(case, files, stored))
            if number % 20 == 0:
                print(f"{number} of {len(todo)} comparisons", file=sys.stderr, flush=True)


def summary(lines: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """All figures of the tables."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for case in sorted(cases(), key=lambda case: (case.loaded, case.effect, case.model)):
        if case.key in lines:
            groups.setdefault(case.group, []).append(lines[case.key])
    return {
        "min_effect": MIN_EFFECT,
        "bar": limit(MIN_EFFECT),
        "true": {key.removeprefix("true|"): line["ratio"] for key, line in lines.items() if key.startswith("true|")},
        "groups": {name: _group(found) for name, found in groups.items()},
    }


def _group(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    seconds = sorted(line["seconds"] for line in found)
    slower = bool(found[0]["effect"])
    said = [line["change"] for line in found]
    right = sum(each == "slower" for each in said) if slower else sum(each in ("same", "not slower") for each in said)
    undecided = said.count("undecided")
    return {
        "n": len(found),
        "right": right,
        "wrong": len(found) - right - undecided,
        "inconclusive": undecided,
        "p50_ns": int(statistics.median(line["p50_ns"] for line in found)),
        "median_seconds": statistics.median(seconds),
        "longest_seconds": seconds[-1],
        "median_blocks": statistics.median(line["blocks"] for line in found),
        "median_floor": statistics.median(line["floor"] for line in found),
        "rules": {rule: sum(line["rules"][rule] != slower for line in found) for rule in found[0]["rules"]},
    }


def tables(found: Mapping[str, Any]) -> None:
    """Prints what was found."""
    console = Console(width=200)
    table = Table(title=f"the gate, asked for {found['min_effect']:.0%}", title_justify="left", header_style="bold")
    names = ("comparison", "p50 ms", "n", "right", "wrong", "inconclusive", "median s", "longest s", "noise floor %")
    for name in names:
        table.add_column(name, justify="left" if name == "comparison" else "right")
    for name, group in found["groups"].items():
        counts = (str(group[key]) for key in ("n", "right", "wrong", "inconclusive"))
        times = (f"{group[key]:.1f}" for key in ("median_seconds", "longest_seconds"))
        table.add_row(name, f"{group['p50_ns'] / 1e6:.2f}", *counts, *times, f"{group['median_floor'] * 100:.2f}")
    console.print(table)
    others = Table(title="other rules on the same samples: wrong of n", title_justify="left", header_style="bold")
    others.add_column("comparison")
    for rule in next(iter(found["groups"].values()))["rules"] if found["groups"] else ():
        others.add_column(rule, justify="right")
    for name, group in found["groups"].items():
        others.add_row(name, *(f"{wrong} of {group['n']}" for wrong in group["rules"].values()))
    console.print(others)
    for name, ratio in found["true"].items():
        console.print(f"true ratio of {name}: {ratio['value']:.4f}, {ratio['lower']:.4f} to {ratio['upper']:.4f}")


def main() -> None:
    """Takes what is missing, then prints the tables and writes `results.json`."""
    parser = argparse.ArgumentParser(description="Counts the gate's wrong verdicts.")
    parser.add_argument("--minutes", type=float, default=90.0, help="longest time (default: 90)")
    parser.add_argument("--output", type=Path, default=Path("runs/gate"), help="folder (default: runs/gate)")
    parser.add_argument("--tables", action="store_true", help="only what is there already")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    if not options.tables:
        take(options.output, options.minutes)
    found = summary(read(options.output / "comparisons.jsonl"))
    (options.output / "results.json").write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    tables(found)


if __name__ == "__main__":
    main()
