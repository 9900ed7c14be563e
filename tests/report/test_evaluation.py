"""The tables of a classifier's answers."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from edgesft.report.evaluation import WORST, tables
from edgesft.tasks.metrics.evaluation import classification_report


def rendered(rows: int, classes: int) -> str:
    rng = np.random.default_rng(0)
    truth, names = rng.integers(0, classes, rows), [f"class [{each}]" for each in range(classes)]
    logits = rng.standard_normal((rows, classes)) + 2 * np.eye(classes)[truth]
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(tables(classification_report(logits, truth, names)))
    return capture.get()


def test_few_classes_are_all_shown() -> None:
    text = rendered(90, 3)
    assert all(f"class [{each}]" in text for each in range(3)) and "lowest" not in text
    assert (
        "classes on 90 rows" in text and "calibration error 0." in text and "(true → predicted, rows): class [" in text
    )


def test_of_many_the_worst() -> None:
    text = rendered(500, 30)
    assert f"the {WORST} of 30 with the lowest F1" in text and text.count("│ class [") == WORST
