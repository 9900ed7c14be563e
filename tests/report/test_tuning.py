from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from edgesft.budget.percentile import Interval
from edgesft.measure.bench.tuning import Trial, Tuning
from edgesft.measure.model.file import inspect
from edgesft.measure.parity import Difference, Parity
from edgesft.report.tuning import tables, to_json
from edgesft.spec.profile import ProfileSpec, SessionSpec
from tests.measure import models

OFF = Parity("fp32", 1e-3, 4, (Difference("y", 0.5, 0.02),))


def printed(folder: Path, whole: Trial | None, profile: ProfileSpec, differences: tuple[str, ...] = ()) -> str:
    trials = (
        Trial("2 threads", "kept", Interval(0.61, 0.6, 0.62), (1_000_000, 610_000), (5_000_000, 4_000_000)),
        Trial("a few", "does not pay", Interval(0.99, None, None), (1_000_000, 990_000), (5_000_000, 5_000_000)),
        Trial("GELU by tanh", "answers differ", parity=OFF),
        Trial("[red]", "failed", problem="crashed"),
    )
    file = inspect(models.save_product(folder / "m.onnx"))
    tuning = Tuning(file, trials, whole, profile, "CPUExecutionProvider", "1.32.0", {"cores": 4}, differences)
    console = Console(width=140, no_color=True)
    with console.capture() as capture:
        console.print(tables(json.loads(json.dumps(to_json(tuning), allow_nan=False))))
    return capture.get()


def test_each_trial_has_its_line_and_what_is_best_stands_below(tmp_path: Path) -> None:
    whole = Trial("all that was kept", "kept", Interval(0.61, 0.6, 0.62), (1_000_000, 610_000), (5, 4))
    best = models.profile().model_copy(update={"threads": 2, "session": SessionSpec(entries={"a": "0"})})
    text = printed(tmp_path, whole, best)
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert lines[0] == ["2 threads", "0.61", "0.610 (0.600 to 0.620)", "5 → 4", "kept"]
    assert lines[1][2] == "0.990 (n too small)"
    assert lines[2][1:] == ["–", "–", "–", "answers differ: 2.0e-02, 0.001 allowed"]
    assert lines[3] == ["[red]", "–", "–", "–", "failed: crashed"]
    assert "What pays here, 0.610 of the p50: threads=2 'session.entries={a: \"0\"}'" in text


def test_what_does_not_pay_together_is_told(tmp_path: Path) -> None:
    whole = Trial("all that was kept", "does not pay", Interval(1.0, 0.99, 1.01), (10, 10), (5, 5))
    assert "all that was kept together: does not pay. The profile stays" in printed(tmp_path, whole, models.profile())
    assert "No threads and no session pay" in printed(tmp_path, None, models.profile())
    other = Trial("all that was kept", "answers differ", parity=OFF)
    assert "together: answers differ: 2.0e-02, 0.001 allowed." in printed(tmp_path, other, models.profile())


def test_what_the_numbers_do_not_tell_is_said(tmp_path: Path) -> None:
    text = printed(tmp_path, None, models.profile(), ("architecture: the profile is for aarch64, this is x86_64",))
    assert "says nothing of the profile's own machine: architecture: the profile is for aarch64" in text
    assert "The answers were not compared" in text, "trials that were timed have no parity"
