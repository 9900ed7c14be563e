"""What a run of image-generation makes of fewer steps: distance, and time of a picture; and what it began with.

    python bench/drawing_steps.py runs/tasks/letters

Distances are of as many pictures as there are test rows, each of the class and of the chance of its row; times are of
one picture after another, alone, on one thread, the numbers of steps in turn.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.measure.generation import Painter
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.progress import Progress
from edgesft.stages.export.checks import file_run
from edgesft.store.store import Store
from edgesft.tasks.base import Example, Run
from edgesft.tasks.frechet import Features, distance
from edgesft.tasks.making import GENERATION, Making
from edgesft.train.engine import runner

STEPS = (50, 20, 10, 5, 3, 2)
BATCH = 50
TIMED, ROUNDS = 5, 6
"""Pictures in a row, and how often."""


def made(run: Run, processor: Making, examples: Sequence[Example]) -> np.ndarray:
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
    folder = Path(sys.argv[1])
    checked = check(folder / "recipe.yaml")
    job = Job(checked.recipe, checked.base, checked.profiles[0], Store(), Progress(quiet=True))
    spec: Any = checked.recipe.data.generation
    features, test = Features(Path(spec.features)), job.test
    real = features.of(job.processor.pictures(test))
    some = np.random.default_rng(0).choice(len(job.train), len(test), replace=False)
    others = features.of(job.processor.pictures([job.train[int(row)] for row in some]))
    print(f"n = {len(test)} pictures; as many of the training rows are {distance(others, real):.2f} apart from them")
    model = job.task.load_model(job.model, job.contract)
    before = job.task.score(job.task.predict(runner(model), test, job.processor, batch_size=BATCH), real, job.contract)
    apart = distance(features.of(made(runner(model), job.processor, test)), real)
    print(f"before fine-tuning: {before}, distance {apart:.2f}")
    run, painter = file_run({"model": folder / "model.onnx"}), Painter(folder)
    if spec.method != "diffusion":
        print(f"after it: distance {distance(features.of(made(run, job.processor, test)), real):.2f}")
        return
    times: dict[int, list[int]] = {steps: [] for steps in STEPS}
    for _ in range(ROUNDS):
        for steps, found in times.items():
            found += painter.draw(TIMED, steps=steps).picture_ns
    print("| steps | distance | ms a picture, p50 |\n|---|---|---|")
    for steps, found in times.items():
        said = {**job.contract.options[GENERATION], "steps": steps}
        processor = job.task.load_processor(None, job.contract.extended({GENERATION: said}))
        apart = distance(features.of(made(run, processor, test)), real)
        print(f"| {steps} | {apart:.2f} | {statistics.median(found) / 1e6:.1f} |", flush=True)


if __name__ == "__main__":
    main()
