from __future__ import annotations

import json

from rich.console import Console

from edgesft.budget.percentile import Interval
from edgesft.measure.bench.noise import Noise
from edgesft.report.noise import tables, to_json
from tests.report.measured import measurement


def test_the_floor_by_percentile() -> None:
    pairs = {
        50: (Interval(1.012, 0.98, 1.03), Interval(0.991, 0.96, 1.01)),
        95: (Interval(1.2, None, None), Interval(0.7, None, None)),
    }
    found = json.loads(json.dumps(to_json(Noise("[red]m", "cpu", pairs, (measurement(),) * 4)), allow_nan=False))
    assert (found["schema"], found["schema_version"], found["model"]) == ("edgesft/noise", 1, "[red]m")
    console = Console(width=120, no_color=True)
    with console.capture() as capture:
        console.print(tables(found))
    text = capture.get()
    assert "[red]m against itself: 4 processes, 10 rounds" in text
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if "│" in line]
    assert lines == [["p50", "0.991", "1.012", "4.0", "0 of 2"], ["p95", "0.700", "1.200", "n too small", "0 of 2"]]
    assert "smaller than the noise floor cannot be detected on this machine. Grades of steadiness: A A A A" in text
