"""What a stage gets besides its spec and its artefact, and the report that it returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesft.measure.fingerprint import machine
from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.artefact import Artefact
from edgesft.tasks.base import Example, Task
from edgesft.tasks.contract import Contract


@dataclass(frozen=True)
class StageReport:
    """What a stage says it did.

    Attributes:
        summary: One line for the table.
        details: JSON values: the plan, the training history, what was checked.
    """

    summary: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StageContext:
    """The surroundings of one step. A stage reads these and writes only to the folder it is told and to `work`.

    Attributes:
        task: What the model is for.
        processor: Tokenizer or the like.
        contract: What device code must know.
        train: Encoded training rows.
        validation: Encoded validation rows; every decision is taken on them.
        profile: The device.
        training: Settings of this stage's training, nothing left open.
        seed: Seeds everything.
        work: Folder that outlives a killed process: checkpoints for resuming, measurements that decided something.
        teacher: The artefact that this stage learns from, if any.
        reference: The fine-tuned original once there is one; drops are counted against it.
        allowance: How far the deciding metric may fall below the reference.
        size_limit: Most bytes that the budget allows what ships, if it says so.
        latency_limit: `latency_limit(p50 of the reference)` → most nanoseconds of p50 that the budget allows, if any.
        latency: `latency([onnx file, …])` → p50 of each in nanoseconds, interleaved, on the profile's provider.
        record: `record(facts, measure)` → a JSON value that these facts, this machine, the profile and the rows decide,
            measured where no run has done so before.
        evaluate: `evaluate(onnx file)` → metrics on the validation rows, on the profile's provider.
        encoded_by: `encoded_by(processor)` → the validation rows as another one encodes them.
        progress: Tells the person what goes on.
        machine: Fingerprint of the machine that measures; by default this one.
        untimed: Why nothing can be timed on the profile's provider here, or None where it can.
        numbers: By split the place of each row where it was read, counted from 1; by default their own order.
    """

    task: Task
    processor: Any
    contract: Contract
    train: Sequence[Example]
    validation: Sequence[Example]
    profile: ProfileSpec
    training: ResolvedTraining
    seed: int
    work: Path
    teacher: Artefact | None
    reference: Artefact | None
    allowance: float
    latency: Callable[[Sequence[Path]], list[int]]
    record: Callable[[Mapping[str, Any], Callable[[], Any]], Any]
    evaluate: Callable[[Path], dict[str, float]]
    encoded_by: Callable[[Any], Sequence[Example]]
    progress: Progress
    size_limit: int | None = None
    latency_limit: Callable[[float], float | None] = lambda _: None
    untimed: str | None = None
    numbers: Mapping[str, Sequence[int]] = field(default_factory=dict)
    machine: Mapping[str, Any] = field(default_factory=machine)
