"""How much faster and smaller does a model get within a point of accuracy, and how far do others get?

    python bench/compression.py [CASE …] [--seeds 3] [--olive PYTHON] [--no-pruner] [--output runs/compression]

A case is a recipe of bench/compression/, all of which say `stages: auto` and nothing else of how to do it. Each seed is
a run of its own; where the test set has less than a thousand rows, figures are means of the seeds. Peers get the model
that the first seed fine-tuned: ONNX Runtime's dynamic and static int8, torch-pruning by MACs with the same teacher and
as many epochs (`bench/peers.py`; with many rows it trains for long, `--no-pruner` leaves it out), and Olive's
candidates, where `--olive` names the Python of an environment that has it. All models of a seed are then timed against
each other, and scored on the test rows.

What is done is not done again, so that a killed bench goes on where it was. Prints a table and what each stage bought,
and leaves `compression.json`. EDGESFT_DATA and EDGESFT_WEIGHTS name the folders of data sets and of pretrained weights.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import peers

from edgesft.budget.ratio import ratio
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.pipeline.rows import Measurer, required
from edgesft.progress import Progress
from edgesft.spec import auto
from edgesft.stages.artefact import Artefact
from edgesft.store.store import Store

RECIPES = Path(__file__).with_name("compression")

AIMS = {"sentiment": (5, 10), "intents": (8, 12), "objects": (4, 8), "signs": (1.5, 3), "keywords": (1.5, 3)}
"""Case → how many times faster, and smaller, it must and should get."""

ORIGINAL, OURS = "fine-tuned, fp32", "edgesft, stages: auto"

FINETUNE = json.dumps(auto.stages()[0])
QUANTIZE = "{stage: quantize, keep: always, scheme: int8-"
VARIANTS = {
    OURS: None,
    ORIGINAL: f"[{FINETUNE}]",
    "ONNX Runtime, int8 dynamic": f"[{FINETUNE}, {QUANTIZE}dynamic}}]",
    "ONNX Runtime, int8 static": f"[{FINETUNE}, {QUANTIZE}static}}]",
}
"""What is run → the stages that take the recipe's place."""

ALLOWED = 0.01
"""Accuracy that may be lost."""

JUDGED = (0, 1, 3)
"""Exit codes of a run that came to a verdict."""

FEW = 1000
"""Test rows below which one seed says too little."""


@dataclass(frozen=True)
class Seed:
    """One run of a case.

    Attributes:
        job: The recipe with this seed.
        folder: What is left of it.
    """

    job: Job
    folder: Path

    @classmethod
    def of(cls, case: str, number: int, output: Path) -> Seed:
        """A case's recipe with a seed."""
        checked = check(RECIPES / f"{case}.yaml", [f"seed={number}"])
        job = Job(checked.recipe, checked.base, checked.profiles[0], Store(None), Progress())
        return cls(job, output / f"{case}-{number}")

    def run(self, case: str, name: str) -> Path:
        """Runs a variant by the command line; the folder of its model."""
        folder = self.folder / sha256(name.encode()).hexdigest()[:8] if name != OURS else self.folder / "edgesft"
        command = [sys.executable, "-m", "edgesft", "run", str(RECIPES / f"{case}.yaml"), "--output", str(folder)]
        settings = [f"seed={self.job.recipe.seed}", *([f"stages={VARIANTS[name]}"] if VARIANTS[name] else [])]
        done = subprocess.run([*command, *settings], check=False)
        if done.returncode not in JUDGED:
            sys.exit(f"{case}, seed {self.job.recipe.seed}: {name} ended with {done.returncode}")
        return folder

    def judged(self, models: Mapping[str, Path]) -> list[dict[str, Any]]:
        """Each model's figures, timed against each other and scored on the test rows."""
        measurer = Measurer(self.job)
        found = {name: Artefact("onnx", folder, _digest(folder / "model.onnx")) for name, folder in models.items()}
        timed = {name: required(one) for name, one in measurer.latencies(found, self.job.full).items()}
        rows, metric = [], self.job.metric
        for name, artefact in found.items():
            faster = ratio(timed[name].rounds, timed[ORIGINAL].rounds, 50)
            levels, drops = measurer.intervals(artefact, found[ORIGINAL], "test", 0.95)
            rows.append(
                {
                    "model": name,
                    "p50_ns": int(np.median(timed[name].samples)),
                    "samples": len(timed[name].samples),
                    "ratio": faster._asdict(),
                    "bytes": artefact.model.stat().st_size,
                    "accuracy": levels[metric].value,
                    "drop": drops[metric]._asdict(),
                }
            )
        return rows


def _digest(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()


def case(name: str, seeds: int, output: Path, *, olive: Path | None, pruner: bool) -> dict[str, Any]:
    """Everything of one case; JSON values."""
    first = Seed.of(name, 0, output)
    count = seeds if len(first.job.splits.test or ()) < FEW else 1
    found = []
    for number in range(count):
        seed = Seed.of(name, number, output)
        models = {variant: seed.run(name, variant) for variant in (OURS, ORIGINAL)}
        if number == 0:
            models |= {variant: seed.run(name, variant) for variant in VARIANTS if variant not in models}
            models |= peers.pruned_by_macs(seed.job, seed.folder) if pruner else {}
            models |= peers.olive(seed.job, olive, models[ORIGINAL], seed.folder) if olive else {}
        results = json.loads((models[OURS] / "results.json").read_text("utf-8"))
        found.append({"seed": number, "rows": seed.judged(models), "stages": waterfall(results)})
    return {"case": name, "test_rows": len(first.job.splits.test or ()), "seeds": found}


def waterfall(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each stage of a run bought, against the fine-tuned original; all rows were timed together."""
    base = results["stages"][0]
    return [
        {
            "stage": stage["name"],
            "kept": stage["kept"],
            "summary": stage["summary"],
            "faster": base["latency_ns"]["p50"] / stage["latency_ns"]["p50"] if stage["latency_ns"] else None,
            "smaller": base["size_bytes"] / stage["size_bytes"],
            "drop": stage["drops"].get(results["metric"]),
        }
        for stage in results["stages"]
    ]


def table(cases: Sequence[Mapping[str, Any]]) -> str:
    """The cases in markdown: means over the seeds that have the model."""
    lines = ["| case | model | faster | smaller | accuracy | lost (95 % bounds) | n |", "|---|---|---|---|---|---|---|"]
    for each in cases:
        for model in (row["model"] for row in each["seeds"][0]["rows"]):
            rows = [row for seed in each["seeds"] for row in seed["rows"] if row["model"] == model]
            bases = [row for seed in each["seeds"] for row in seed["rows"] if row["model"] == ORIGINAL]
            faster = float(np.mean([1 / row["ratio"]["value"] for row in rows]))
            smaller = float(np.mean([base["bytes"] / row["bytes"] for row, base in zip(rows, bases, strict=False)]))
            drop = {part: 100 * float(np.mean([row["drop"][part] for row in rows])) for part in rows[0]["drop"]}
            accuracy = float(np.mean([row["accuracy"] for row in rows]))
            lost = f"{drop['value']:+.2f} ({drop['lower']:+.2f} to {drop['upper']:+.2f})"
            cells = [each["case"], model, f"{faster:.2f}", f"{smaller:.2f}", f"{accuracy:.4f}", lost, str(len(rows))]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def stages(cases: Sequence[Mapping[str, Any]]) -> str:
    """What each stage of each run bought, in markdown."""
    lines = ["| case | seed | stage | faster | smaller | lost (95 % bounds) | what |", "|---|---|---|---|---|---|---|"]
    for each in cases:
        for seed in each["seeds"]:
            for stage in seed["stages"]:
                drop = {part: 100 * value for part, value in (stage["drop"] or {}).items()}
                lost = f"{drop['value']:+.2f} ({drop['lower']:+.2f} to {drop['upper']:+.2f})" if drop else "–"
                name = stage["stage"] + ("" if stage["kept"] else " (rolled back)")
                faster = f"{stage['faster']:.2f}" if stage["faster"] else "–"
                cells = [
                    each["case"],
                    str(seed["seed"]),
                    name,
                    faster,
                    f"{stage['smaller']:.2f}",
                    lost,
                    stage["summary"],
                ]
                lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Runs the cases named, by default all; exits with 1 where one misses what it must reach."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", choices=[*AIMS, []], metavar="CASE", help=", ".join(AIMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--olive", type=Path, help="Python of an environment that has olive-ai")
    parser.add_argument("--no-pruner", action="store_true", help="leave torch-pruning out")
    parser.add_argument("--output", type=Path, default=Path("runs/compression"))
    options = parser.parse_args()
    found = []
    for name in options.cases or AIMS:
        pruner = not options.no_pruner
        found.append(case(name, options.seeds, options.output, olive=options.olive, pruner=pruner))
        (options.output / f"{name}.json").write_text(json.dumps(found[-1], indent=1), "utf-8")
    (options.output / "compression.json").write_text(json.dumps(found, indent=1), "utf-8")
    print(table(found), stages(found), sep="\n\n")
    sys.exit(0 if all(_reached(each) for each in found) else 1)


def _reached(found: Mapping[str, Any]) -> bool:
    """Whether a case is as much faster and smaller as it must be, at no more than a point of accuracy."""
    ours = [row for seed in found["seeds"] for row in seed["rows"] if row["model"] == OURS]
    bases = [row for seed in found["seeds"] for row in seed["rows"] if row["model"] == ORIGINAL]
    faster = np.mean([1 / row["ratio"]["value"] for row in ours])
    smaller = np.mean([base["bytes"] / row["bytes"] for row, base in zip(ours, bases, strict=True)])
    lost = np.mean([row["drop"]["value"] for row in ours])
    return bool(min(faster, smaller) >= AIMS[found["case"]][0] and lost <= ALLOWED)


if __name__ == "__main__":
    main()
