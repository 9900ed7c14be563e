"""What models of a recipe of image-generation make of fewer steps: how far their pictures are from the test rows, and
what a picture takes; and what the recipe begins with.

    python bench/drawing_steps.py bench/tasks/letters.yaml FOLDER …       (each with model.onnx and its contract.json)

Distances are of as many pictures as there are test rows, each of the class and of the chance of its row; times are of
one picture after another, alone, on one thread, the models in turn.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.data.files import place
from edgesft.measure.generation import Painter
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.progress import Progress
from edgesft.stages.export.checks import file_run
from edgesft.store.store import Store
from edgesft.tasks.base import Example, Run
from edgesft.tasks.generators.generator import GENERATION, Generator
from edgesft.tasks.metrics.frechet import Features, distance
from edgesft.train.engine import runner

STEPS = (20, 10, 5, 50)
BATCH = 50
TIMED, ROUNDS = 3, 7
"""Pictures in a row, and how often."""


def made(run: Run, processor: Generator, examples: Sequence[Example]) -> np.ndarray:
    """A picture for each row."""
    parts = [examples[start : start + BATCH] for start in range(0, len(examples), BATCH)]
    return np.concatenate(
        [
            processor.made(run, processor.starts([row["seed"] for row in part]), processor.told(part).get("label"))
            for part in parts
        ]
    )


def main() -> None:
    """Prints a row a number of steps."""
    recipe, *folders = map(Path, sys.argv[1:])
    checked = check(recipe)
    job = Job(checked.recipe, checked.base, checked.profiles[0], Store(), Progress(quiet=True))
    spec: Any = checked.recipe.data.generation
    features, test = Features(place(spec.features, checked.base)), job.test
    print(f"features {features.digest}; n = {len(test)} pictures")
    real = features.of(job.processor.pictures(test))
    some = np.random.default_rng(0).choice(len(job.train), len(test), replace=False)
    others = features.of(job.processor.pictures([job.train[int(row)] for row in some]))
    print(f"as many training rows are {distance(others, real):.2f} apart from those of the test")
    model = job.task.load_model(job.model, job.contract)
    runs = {"before": runner(model), **{str(each): file_run({"model": each / "model.onnx"}) for each in folders}}
    painters = {str(each): Painter(each) for each in folders}
    for name, run in runs.items():
        reached = job.task.score(job.task.predict(run, test, job.processor), np.zeros(len(test)), job.contract)
        print(f"{name}: {reached}", flush=True)
    ways = STEPS if spec.method == "diffusion" else (None,)
    times = timed(painters, ways)
    print("| model | steps | distance | ms a step, p50 | ms a picture, p50 |\n|---|---|---|---|---|")
    for steps in ways:
        said = {**job.contract.options[GENERATION], **({"steps": steps} if steps else {})}
        processor = job.task.load_processor(None, job.contract.extended({GENERATION: said}))
        for name, run in runs.items():
            if name not in painters and steps not in (None, spec.steps):
                continue
            apart = distance(features.of(made(run, processor, test)), real)
            told = [f"{statistics.median(each) / 1e6:.2f}" for each in times.get((name, steps), ())] or ["–", "–"]
            print(f"| {name} | {steps} | {apart:.2f} | {' | '.join(told)} |", flush=True)


def timed(painters: Mapping[str, Painter], ways: Sequence[int | None]) -> dict[tuple[str, int | None], Any]:
    """Nanoseconds of each inference and of each picture, the models in turn, by model and steps."""
    found: dict[tuple[str, int | None], Any] = {}
    for _ in range(ROUNDS):
        for steps in ways:
            for name, painter in painters.items():
                drawn = painter.draw(TIMED, steps=steps)
                both = found.setdefault((name, steps), ([], []))
                both[0].extend(drawn.step_ns)
                both[1].extend(drawn.picture_ns)
    return found


if __name__ == "__main__":
    main()
