from __future__ import annotations

from typing import Any

import pytest

from edgesft.measure.scenario import arrivals

PIPELINE = {"sessions": 2, "queue": 4, "interval_ns": None, "deadline_ns": None, "rows": 9}


@pytest.mark.parametrize(
    ("scenario", "detail", "told"),
    [
        ("single-stream", {}, "single-stream"),
        ("paced", {"interval_ns": 33_333_333, "deadline_ns": 20_000_000}, "paced, every 33.3 ms"),
        ("paced", {"interval_ns": 1_500_000_000}, "paced, every 1500 ms"),
        ("paced", {}, "paced"),
        ("multi-stream", {"streams": 2, "how": "run_async"}, "multi-stream, 2 in flight"),
        ("offline", {"streams": 8, "how": "threads"}, "offline, 8 in flight"),
        ("sustained", {"minutes": [{}] * 5}, "sustained, 5 minutes"),
        ("end-to-end", {"spans": {}}, "end-to-end"),
        ("pipeline", {"pipeline": PIPELINE}, "pipeline, 2 sessions, queue of 4"),
        (
            "pipeline",
            {"pipeline": {**PIPELINE, "interval_ns": 33_000_000, "deadline_ns": 100_000_000}},
            "pipeline, 2 sessions, queue of 4, every 33 ms, given up after 100 ms",
        ),
    ],
)
def test_how_requests_came(scenario: str, detail: dict[str, Any], told: str) -> None:
    assert arrivals(scenario, detail) == told
