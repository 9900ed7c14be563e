"""`edgesft check`: compares one model with a budget file, and with a baseline."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgesft.budget.lines import Facts, judge
from edgesft.budget.metric import impossible
from edgesft.budget.percentile import CONFIDENCE, Interval
from edgesft.budget.verdict import Line, exact, unknown
from edgesft.errors import InputError, Problem, UnavailableError
from edgesft.gate import growth
from edgesft.gate.accuracy import evaluate
from edgesft.gate.artefact import GateArtefact, artefact, recorded_drops, recorded_metrics
from edgesft.gate.baseline import Baseline, Entry
from edgesft.gate.document import GROWING, TIMED, GateDocument, GateLine, accepted, placed
from edgesft.gate.figures import figures_of
from edgesft.gate.key import Key
from edgesft.gate.recorded import PLACED, left_open, recorded, unlike
from edgesft.measure import fingerprint
from edgesft.measure.bench import bench
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepare import prepare
from edgesft.measure.bench.structure import Structure, structure
from edgesft.measure.driver import MeasureError
from edgesft.measure.fingerprint import called
from edgesft.measure.instructions import Instructions, count
from edgesft.measure.measurement import STAYS, Measurement
from edgesft.measure.model.file import ModelFile, inspect
from edgesft.measure.recording import Recording
from edgesft.measure.scenario import arrivals
from edgesft.progress import Progress
from edgesft.spec.budget import BudgetSpec, Percentiles
from edgesft.spec.document import Document
from edgesft.spec.gate import GateSpec
from edgesft.spec.problems import nearest

SCHEMA = "edgesft/check"


@dataclass(frozen=True)
class Asked:
    """What is to be checked.

    Attributes:
        artefact: Model file, or the folder that a run left.
        spec: The limits.
        document: Where each of them stands.
        baseline: File with earlier figures to compare with.
        measurements: Lines that an agent wrote elsewhere; None measures here.
        rows: Labelled rows for the metrics; None takes those that the run recorded.
    """

    artefact: Path
    spec: GateSpec
    document: Document
    baseline: Path | None = None
    measurements: Path | None = None
    rows: Path | None = None


@dataclass(frozen=True)
class _Found:
    """What was found out about the artefact besides its file.

    Attributes:
        measurement: Here or elsewhere, or None where nothing is timed.
        structure: What is counted on loading, or None where nothing asks for it.
        instructions: Of an inference, or why they are not there, or None where nothing asks for them.
        openings: Of a recording, nanoseconds of what begins an answer; None where that is not told.
        suspicions: Why a recording's times decide nothing.
        confidence: Of each bound of the latency.
        parity: Line on its answers against the same file's on the CPU, or None where they were not compared.
        metrics: Metric → value with bounds.
        drops: The same of how far each fell below the original.
    """

    measurement: Measurement | None = None
    structure: Structure | None = None
    instructions: Instructions | str | None = None
    openings: tuple[tuple[int, ...], ...] | None = None
    suspicions: tuple[str, ...] = ()
    confidence: float = CONFIDENCE
    parity: Line | None = None
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    drops: Mapping[str, Interval] = field(default_factory=dict)


def check(asked: Asked, order: Order, progress: Progress) -> GateDocument:
    """Holds an artefact against its limits.

    What bad input can tell is told before anything is measured.

    Args:
        asked: What is to be checked.
        order: How to measure it; its models are the artefact's.
        progress: Tells the person what goes on.

    Raises:
        InputError: Files that are no such files or do not belong together, metrics that nobody takes, several devices.
        MeasureError: The model cannot be measured.
        UnavailableError: This environment cannot.
    """
    order.check(single=True)
    given = artefact(asked.artefact)
    file = inspect(given.model)
    base = Baseline.read(asked.baseline) if asked.baseline else None
    recording = recorded(asked.measurements, file, order) if asked.measurements else None
    _check_metrics(asked, given)
    wanted = _wanted(asked.spec, base.of(given.name) if base else ())
    if not wanted and base is None:
        raise InputError(f"budget '{asked.document.source}' must have at least one limit, got none", "size_mb: 25")
    found = _found(asked, order, given, file, recording, progress, wanted)
    facts = _facts(asked, order, given, file, found)
    key = _key(order, given, found)
    figures = figures_of(
        found.measurement,
        facts.counts,
        file.size_bytes,
        facts.metrics,
        confidence=found.confidence,
        suspicions=found.suspicions,
        inputs=found.structure.inputs if found.structure else None,
        counted=found.instructions.how if isinstance(found.instructions, Instructions) else None,
    )
    lines = [placed(line, asked.document) for line in judge(asked.spec, facts)]
    lines += [placed(found.parity, asked.document)] if found.parity else []
    lines += _shapes(order, file, asked.document)
    grown, told = _growth(asked, figures, key, base)
    differences = unlike(order, recording.measurement) if recording else []
    return GateDocument(
        SCHEMA,
        {"name": given.name, **file.to_json()},
        [left_open(line, differences) for line in (*lines, *grown)],
        [*_notes(asked, order, found), *told],
        {
            "key": key.to_json(),
            "figures": figures,
            "profile": order.profile.name,
            "budget": str(asked.document.source),
            "measurement": found.measurement.to_json() if found.measurement else None,
        },
    )


def _growth(
    asked: Asked, figures: Mapping[str, Any], key: Key, base: Baseline | None
) -> tuple[list[GateLine], list[str]]:
    """Lines on growth over the baseline, and notes on what has none; without a baseline the stated limits stay open."""
    limits = asked.spec.max_growth
    if base is None:
        stated = [(name, limit) for name, limit in limits if limit is not None and name in limits.model_fields_set]
        lines = [unknown(f"max_growth.{name}", limit, "no baseline was given") for name, limit in stated]
        without = f"growth was not judged, as no baseline was given: {growth.UPDATE} makes one from this check"
        return [placed(line, asked.document) for line in lines], [without] if lines else []
    judged = [
        (placed(line, asked.document), why)
        for line, why in growth.judge(limits, figures, key, base, datetime.now(UTC).date())
    ]
    left = growth.unheld(limits, figures, key, base)
    lacking = f"not compared with the baseline, as only one side has it: {', '.join(left)}"
    return [accepted(line, why) if why else line for line, why in judged], [lacking] if left else []


def _check_metrics(asked: Asked, given: GateArtefact) -> None:
    """Metrics of the budget must be some that the artefact has, as far as that is known before rows are answered."""
    limited = asked.spec.max_drop or asked.spec.min_metric
    known = set(given.metrics if limited else ())  # a contract that tells none is no matter to other limits
    problems = []
    for name in ("max_drop", "min_metric"):
        for metric, limit in getattr(asked.spec, name).items():
            if wrong := impossible(name, metric, limit):
                problems.append(Problem(f"{name}.{metric} {wrong}", where=asked.document.where((name, metric))))
            if known and metric not in known:
                message = f"{name}.{metric} must be a metric of this artefact, got {metric!r}"
                problems.append(Problem(message, nearest(metric, known), asked.document.where((name, metric))))
    if problems:
        raise InputError(problems)


def _found(
    asked: Asked,
    order: Order,
    given: GateArtefact,
    file: ModelFile,
    recording: Recording | None,
    progress: Progress,
    wanted: set[str],
) -> _Found:
    spec, found = asked.spec, _Found()
    if recording is not None:
        found = replace(found, measurement=recording.measurement, suspicions=recording.suspicions)
        found = replace(found, openings=recording.openings)
    elif wanted.intersection((*TIMED, *GROWING)):
        budget = BudgetSpec(**{name: getattr(spec, name) for name in BudgetSpec.model_fields})
        plan = replace(order, profile=order.profile.model_copy(update={"budget": budget}))
        (row,) = bench.bench(plan, progress, figures=wanted.intersection(GROWING))
        # Also of what was measured: where no node ran on the provider the times are another one's.
        if row.measurement is None or row.problem:
            raise MeasureError(f"{file.path}: {row.problem}")
        parity = next((line for line in row.lines if line.name == bench.PARITY), None)
        found = replace(found, measurement=row.measurement, confidence=row.confidence, parity=parity)
    placing = found.measurement is None and wanted.intersection(PLACED)
    if placing or wanted.intersection(("macs", "instructions")):
        prepared = prepare(order, file, answers=False)
        subject = bench.subject(order, prepared, order.providers[0])
        progress.say(f"counting {file.path.name}")
        found = replace(found, structure=structure(subject, prepared))
        if "instructions" in wanted:
            try:
                found = replace(found, instructions=count(subject))
            except UnavailableError as error:
                found = replace(found, instructions=str(error))
    if asked.rows is not None:
        progress.say(f"answering the rows of {asked.rows}")
        evaluation = evaluate(given, asked.rows, order, progress)
        return replace(found, metrics=evaluation.metrics)
    return replace(found, metrics=recorded_metrics(given), drops=recorded_drops(given))


def _wanted(spec: GateSpec, entries: Sequence[Entry]) -> set[str]:
    """Names of what must be found out; what is only counted takes no measurement, and is decided at once.

    Of growth it is what the user limited, also where there is no baseline yet that it could be held against, and what
    the baseline has.
    """
    fields = BudgetSpec.model_fields.keys() - {"confidence"}
    absolute = {name for name in fields if getattr(spec, name) not in (None, {}, Percentiles())}
    limits = spec.max_growth
    growing = {name for name, limit in limits if limit is not None}
    held = {name for name in growing if any(getattr(entry.figures, name) is not None for entry in entries)}
    return absolute | growing & (limits.model_fields_set | held)


def _facts(asked: Asked, order: Order, given: GateArtefact, file: ModelFile, found: _Found) -> Facts:
    facts = bench.facts(order.profile, file, found.measurement, found.confidence)
    counts = dict(facts.counts)
    if found.structure is not None:
        counts |= bench.placed(order.providers[0].name, found.structure.loaded) if found.measurement is None else {}
        counts |= {"macs": found.structure.macs} if found.structure.macs is not None else {}
    if isinstance(found.instructions, Instructions):
        counts["instructions"] = found.instructions.instructions
    drops = found.drops
    return replace(
        facts,
        size_bytes=given.size_bytes or file.size_bytes,
        counts=counts,
        original_size_bytes=given.original_size_bytes,
        opening_rounds=found.openings,
        unsteady=(*facts.unsteady, *found.suspicions),
        metrics=found.metrics,
        drops=drops,
    )


def _key(order: Order, given: GateArtefact, found: _Found) -> Key:
    """What figures of this artefact are compared with; where nothing was measured, it is what would measure here."""
    provider, measured = order.providers[0], found.measurement
    if measured is not None:
        told = measured.provider, measured.runtime, measured.threads, measured.machine, measured.io, measured.options
        return Key.of(given.name, order.profile.name, *told)
    if found.structure is not None:
        runtime, machine = found.structure.runtime, found.structure.machine
    else:
        # By the module, for its package may be onnxruntime-gpu or another.
        runtime, machine = importlib.import_module("onnxruntime").__version__, fingerprint.machine()
    profile = order.profile
    told = provider.name, runtime, profile.threads, machine, profile.measure.io, profile.options(provider)
    return Key.of(given.name, profile.name, *told)


def _shapes(order: Order, file: ModelFile, document: Document) -> list[GateLine]:
    """A device whose provider needs fixed shapes takes no free axes."""
    if not order.profile.static_shapes or file.form != "onnx":
        return []
    line = exact("free_axes", 0, sum(map(len, file.free.values())))
    if file.free:
        named = ", ".join(f"{name} [{', '.join(axes)}]" for name, axes in file.free.items())
        line = replace(line, reason=f"profile {order.profile.name} needs fixed shapes, got {named}")
    stated = placed(replace(line, name="profile"), document).place
    return [replace(placed(line, document), place=stated)]


def _notes(asked: Asked, order: Order, found: _Found) -> list[str]:
    notes = []
    measured = found.measurement
    if measured is not None:
        where = f"in '{asked.measurements}'" if asked.measurements else "here"
        notes.append(
            f"measured {where} on {called(measured.machine)}, {measured.provider}, threads {measured.threads}, "
            f"onnxruntime {measured.runtime}; {arrivals(measured.scenario, measured.detail)}, "
            f"inputs {measured.inputs}; n={len(measured.samples)}"
            + (f", {STAYS}" if measured.io == "device" else "")
            + (
                f", and {sum(measured.lost)} rows got no answer, which counts as infinitely slow"
                if measured.lost
                else ""
            )
            + (f", steadiness {measured.steadiness.grade}" if measured.steadiness else "")
        )
    if isinstance(found.instructions, Instructions):
        notes.append(f"instructions were counted by {found.instructions.how}")
    elif found.instructions is not None:
        notes.append(f"instructions were not counted: {found.instructions}")
    if asked.spec.max_drop and asked.rows:
        notes.append("--rows gives no original to fall below: min_metric, or edgesft compare with its --max-drop")
    if (asked.spec.max_drop or asked.spec.min_metric) and not found.metrics:
        notes.append("no metric is known: give labelled rows with --rows FILE, or check a run's folder")
    return notes
