"""A measurement that nobody took."""

from __future__ import annotations

from typing import Any

from edgesft.measure.measurement import Measurement

MACHINE = {"architecture": "riscv64", "system": "Linux", "model": "a board", "cores": 4, "onnxruntime": None}


def measurement(**changes: Any) -> Measurement:
    """Ten rounds of 1 to 1.1 ms on the CPU, evenly spread in each round."""
    taken = tuple(
        tuple(1_000_000 + 1000 * ((place * 7 + number) % 100) for place in range(100)) for number in range(10)
    )
    settings: dict[str, Any] = {
        "scenario": "single-stream",
        "provider": "CPUExecutionProvider",
        "threads": 1,
        "options": {},
        "runtime": "1.32.0",
        "machine": MACHINE,
        "runtime_bytes": 71_500_000,
        "conditions": (),
        "rounds": taken,
        "loads_ns": (5_000_000,),
        "firsts_ns": (2_000_000,),
        "warmup_samples": 10,
        "warmup_stable": True,
        "peak_memory_bytes": 70_000_000,
        "baseline_memory_bytes": 50_000_000,
        "placement": {"CPUExecutionProvider": 3},
        "partitions": 1,
        "left": {},
        "inputs": "rows.npz, 8 requests, 8 distinct",
        "lengths": None,
        "axis": None,
        "states": {},
        "energy_uj": None,
        "detail": {},
    }
    return Measurement(**{**settings, **changes})
