"""What is asked for where a raw model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesft.pipeline.job import Job
from edgesft.tasks.contract import Contract


@dataclass(frozen=True)
class Wanted:
    """A raw model of a run.

    Attributes:
        job: The run's surroundings.
        contract: Of the run.
        said: Of the bundle.
        model: Of the run, with what makes its inputs beside it.
        precision: What the run says of its numbers.
        runtime: Least version of ONNX Runtime.
        count: How many of the run's rows become golden ones; 0 where none of them may leave the house.
    """

    job: Job
    contract: Contract
    said: Mapping[str, Any]
    model: Path
    precision: str
    runtime: str
    count: int
