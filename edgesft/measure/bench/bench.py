"""Models × providers, interleaved, each checked against its reference and held against the budget."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgesft.budget.lines import Facts, judge
from edgesft.budget.percentile import CONFIDENCE
from edgesft.budget.verdict import Line
from edgesft.errors import InputError, Problem, UnavailableError
from edgesft.measure import fingerprint
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepare import Prepared, prepare
from edgesft.measure.bench.row import Row
from edgesft.measure.bench.survey import Surveyor
from edgesft.measure.bench.watch import Watch
from edgesft.measure.driver import Loaded, MeasureError
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import ModelFile, inspect
from edgesft.measure.parity import Parity
from edgesft.measure.protocol import measure
from edgesft.measure.providers import PROVIDERS
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec, ProviderSpec

LOADS = 5
"""Fresh processes that load the model where the budget limits loading: the least that bound a median at 95 %."""


def bench(order: Order, progress: Progress) -> list[Row]:
    """Measures every model on every provider, all of them interleaved.

    A provider that crashes, hangs or does not take the model is a row with its reason.

    Args:
        order: What to measure.
        progress: Tells the person what goes on.

    Raises:
        InputError: Files, inputs or names that cannot work; all problems of the files at once.
        UnavailableError: The interpreter has no runtime.
    """
    order.check()
    files = inspected(order.models)
    lacking = absent(order)
    rows: dict[str, Row] = {}
    subjects: dict[str, Subject] = {}
    ready: dict[str, Prepared] = {}
    for name, prepared in _prepared(order, files, progress).items():
        for provider in order.providers:
            label = f"{name} {short(provider.name)}" if len(order.providers) > 1 else name
            rows[label] = Row(label, files[name], provider.name, problem=lacking.get(provider.name))
            if isinstance(prepared, MeasureError):
                rows[label] = replace(rows[label], problem=str(prepared))
            elif provider.name not in lacking:
                rows[label] = replace(rows[label], reference=prepared.reference)
                ready[label], subjects[label] = prepared, subject(order, prepared, provider)
    surveyor = Surveyor(order)
    watch = Watch(order.profile.budget)
    for label, found in _measured(order, subjects, watch, progress).items():
        if isinstance(found, MeasureError):
            rows[label] = replace(rows[label], problem=str(found))
        else:
            progress.say(f"checking {label}")
            rows[label] = surveyor.survey(replace(rows[label], measurement=found), subjects[label], ready[label])
    told = [replace(row, confidence=watch.confidence) for row in rows.values()]
    return [replace(row, lines=lines(order, row)) for row in told]


def _measured(
    order: Order, subjects: dict[str, Subject], watch: Watch, progress: Progress
) -> dict[str, Measurement | MeasureError]:
    if not subjects:
        return {}
    profile = order.profile
    loads = LOADS if profile.budget.load_ms or profile.budget.first_inference_ms else 1
    # How many minutes are sustained is asked for; everything else may end when it is decided.
    stop = watch.stop if watch.limits and profile.measure.scenario != "sustained" else None
    return measure(subjects, profile.measure, progress=progress, seed=order.seed, loads=loads, stop=stop)


def _prepared(order: Order, files: Mapping[str, ModelFile], progress: Progress) -> dict[str, Prepared | MeasureError]:
    """Each model with what it is fed; what is wrong with any of them is told at once, by the model's name."""
    found: dict[str, Prepared | MeasureError] = {}
    problems: list[Problem] = []
    for name, file in files.items():
        progress.say(f"loading {name}")
        try:
            found[name] = prepare(order, file)
        except MeasureError as error:
            found[name] = error
        except InputError as error:
            problems.extend(replace(problem, where=problem.where or name) for problem in error.problems)
    if problems:
        raise InputError(problems)
    return found


def absent(order: Order) -> dict[str, str]:
    """Providers of the order that the interpreter's runtime does not have, and where to get each.

    Raises:
        UnavailableError: The interpreter does not start, or has no runtime.
    """
    try:
        with order.connect() as agent:
            info = agent.info()
    except MeasureError as error:
        if error.op is None:
            raise UnavailableError(str(error), "--python with the path of an interpreter") from error
        python = order.python or sys.executable
        raise UnavailableError(
            f"python must be an interpreter that has numpy and onnxruntime, got '{python}': {error}",
            f"{python} -m pip install numpy onnxruntime",
        ) from error
    held = ", ".join(info["providers"])
    return {
        provider.name: f"provider {provider.name} must be one of this onnxruntime {info['runtime']}, which has {held}"
        f"; to get it: {PROVIDERS[provider.name].install}"
        for provider in order.providers
        if provider.name not in info["providers"]
    }


def inspected(models: Sequence[Path]) -> dict[str, ModelFile]:
    """Name of each model's row → its file; the name is the file's, with its folder where two have the same.

    Raises:
        InputError: What is wrong with the files.
    """
    problems: list[Problem] = []
    files: dict[str, ModelFile] = {}
    twice = {path.name for path in models if sum(other.name == path.name for other in models) > 1}
    for path in models:
        try:
            files[str(path) if path.name in twice else path.name] = inspect(path)
        except InputError as error:
            problems.extend(error.problems)
    if problems:
        raise InputError(problems)
    return files


def subject(order: Order, prepared: Prepared, provider: ProviderSpec) -> Subject:
    """The prepared model on a provider, the profile's others behind it."""
    behind = tuple(other for other in order.profile.providers if other.name != provider.name)
    return Subject(
        model=prepared.file.path,
        providers=(provider, *behind),
        threads=order.profile.threads,
        requests=prepared.requests,
        states=prepared.states,
        allow_cpu=order.allow_cpu,
        python=order.python,
        pipeline=prepared.pipeline,
        rows=prepared.rows,
        files=prepared.file.files,
        time_limit=order.time_limit,
    )


def short(provider: str) -> str:
    """`CPU` for CPUExecutionProvider."""
    return provider.removesuffix("ExecutionProvider")


def lines(order: Order, row: Row) -> tuple[Line, ...]:
    """The budget's lines of a row, and one on parity where its answers must be the reference's."""
    found = judge(order.profile.budget, facts(order.profile, row.file, row.measurement, row.confidence))
    # What quantization costs against a float original is for the task's metric to say.
    if row.parity is not None and order.reference is None:
        found.append(_parity(row.parity))
    return tuple(found)


def facts(profile: ProfileSpec, file: ModelFile, measured: Measurement | None, confidence: float = CONFIDENCE) -> Facts:
    """What a model's file and a measurement of it tell a budget.

    Args:
        profile: Means the machine that the limits are for.
        file: The model.
        measured: What was measured of it, or None.
        confidence: Of each bound of the latency.
    """
    counts = {"parameters": file.parameters, "nodes": file.nodes}
    found = Facts(
        size_bytes=file.size_bytes,
        counts={name: count for name, count in counts.items() if count is not None},
        operators=file.operators or None,
        confidence=confidence,
    )
    if measured is None:
        return found
    return replace(
        found,
        counts={**found.counts, **placed(measured.provider, measured)},
        rounds=measured.rounds,
        loads_ns=measured.loads_ns,
        firsts_ns=measured.firsts_ns,
        peak_memory_bytes=measured.peak_memory_bytes,
        differences=fingerprint.differences(profile.machine, measured.machine),
        unsteady=measured.steadiness.problems,
    )


def placed(provider: str, told: Measurement | Loaded) -> dict[str, float]:
    """Partitions, nodes off the provider and the share on it, as far as the runtime tells."""
    found: dict[str, float] = {}
    if told.partitions is not None:
        found["partitions"] = told.partitions
    if told.placement:
        total = sum(told.placement.values())
        here = told.placement.get(provider, 0)
        found |= {"off_provider": total - here, "placement_share": here / total}
    return found


def _parity(parity: Parity) -> Line:
    """Fails also where the difference is no number: a type, a shape, or what is not finite."""
    relative = parity.worst.relative
    value = relative if math.isfinite(relative) else None
    return Line("parity", parity.tolerance, value, None, None, "pass" if parity.holds else "fail")
