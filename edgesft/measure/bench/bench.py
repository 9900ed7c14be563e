"""Measures models × providers, interleaved; checks each against its reference and the budget."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgesft.budget.lines import Facts, judge
from edgesft.budget.percentile import CONFIDENCE
from edgesft.budget.sequential import FIRST_LOOK
from edgesft.budget.verdict import Line
from edgesft.errors import InputError, Problem
from edgesft.measure import fingerprint
from edgesft.measure.bench.lacking import Lacking, lacking
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepare import prepare, prepare_variant
from edgesft.measure.bench.prepared import Prepared
from edgesft.measure.bench.row import Row
from edgesft.measure.bench.survey import Surveyor
from edgesft.measure.bench.watch import Watch
from edgesft.measure.devices import Device
from edgesft.measure.driver import MeasureError
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import ModelFile, inspect
from edgesft.measure.parity import Parity
from edgesft.measure.protocol import measure
from edgesft.measure.replies import Loaded
from edgesft.measure.subject import Subject
from edgesft.progress import Progress
from edgesft.spec.budget import Percentiles
from edgesft.spec.profile import ProfileSpec, ProviderSpec

PARITY = "parity"
"""Name of the line on a row's answers against its reference's."""

LOADS = 5
"""Fresh processes that load the model where loading is limited: the least that bound a median at 95 %."""

PERCENTILES = frozenset(Percentiles.model_fields)
STARTS = frozenset(("load", "first_inference"))
"""Figures that may be asked for besides the budget's limits: of the rounds, and of loading."""


def bench(order: Order, progress: Progress, *, figures: Collection[str] = ()) -> list[Row]:
    """Measures every model on every provider, all of them interleaved.

    A provider that crashes, hangs or does not take the model is a row with its reason, and so is a device that cannot
    be reached.

    Args:
        order: What to measure.
        progress: Tells the person what goes on.
        figures: What is asked for besides the budget's limits: percentiles such as `p50`, `load`, `first_inference`.

    Raises:
        InputError: Files, inputs or names that cannot work; all problems of the files at once.
        UnavailableError: The only device cannot be reached, or has no runtime.
    """
    order.check()
    files = inspected(order.models)
    lacks = lacking(order)
    rows, subjects, ready = _rows(order, files, lacks, progress)
    surveyor = Surveyor(order)
    watch = _watch(order, lacks, figures)
    for label, found in _measured(order, subjects, watch, figures, progress).items():
        if isinstance(found, MeasureError):
            rows[label] = replace(rows[label], problem=str(found))
        else:
            progress.say(f"checking {label}")
            rows[label] = surveyor.survey(replace(rows[label], measurement=found), subjects[label], ready[label])
    confidence = watch.confidence if watch else CONFIDENCE
    told = [replace(row, confidence=confidence) for row in rows.values()]
    return [replace(row, lines=lines(order, row)) for row in told]


def _rows(
    order: Order, files: Mapping[str, ModelFile], lacks: Mapping[str, Lacking], progress: Progress
) -> tuple[dict[str, Row], dict[str, Subject], dict[str, Prepared]]:
    """A row for each model, variant of it, provider and device; and of those that can be measured what to measure.

    Of several devices, those that lack a provider which another has need no row for it.
    """
    rows: dict[str, Row] = {}
    subjects: dict[str, Subject] = {}
    ready: dict[str, Prepared] = {}
    for name, prepared in _prepared(order, files, progress).items():
        for provider in order.providers:
            having = [device for device in order.devices if provider.name not in lacks[device.label].providers]
            silent = [device for device in order.devices if lacks[device.label].unreachable]
            for given in _given(order, prepared, provider) if having else [Given("", prepared)]:
                for device in [each for each in order.devices if each in (*having, *silent)] or order.devices[:1]:
                    label = _label(order, f"{name} {given.label}".strip(), provider, device)
                    row = Row(label, files[name], provider.name, device.label)
                    if device not in having:
                        rows[label] = replace(row, problem=lacks[device.label].providers[provider.name])
                    elif isinstance(given.prepared, MeasureError):
                        rows[label] = replace(row, problem=str(given.prepared))
                    else:
                        ready[label] = given.prepared
                        subjects[label] = subject(order, given.prepared, provider, device)
                        file, reference = given.prepared.file, given.prepared.reference
                        rows[label] = replace(row, file=file, reference=reference, made=given.prepared.made)
    return rows, subjects, ready


@dataclass(frozen=True)
class Given:
    """What a provider is given of a model: the variant's name, and the variant or why there is none."""

    label: str
    prepared: Prepared | MeasureError


def _given(order: Order, prepared: Prepared | MeasureError, provider: ProviderSpec) -> list[Given]:
    if order.variants is None or isinstance(prepared, MeasureError):
        return [Given("", prepared)]
    found = []
    for variant in order.variants(prepared, provider):
        if variant.file is None:
            found.append(Given(variant.label, MeasureError(variant.made)))
        elif variant.file == prepared.file.path:
            found.append(Given(variant.label, prepared))
        else:
            try:
                found.append(Given(variant.label, prepare_variant(order, prepared, variant.file, variant.made)))
            except (InputError, MeasureError) as error:
                found.append(Given(variant.label, MeasureError(f"{variant.made}: {error}")))
    return found


def _label(order: Order, name: str, provider: ProviderSpec, device: Device) -> str:
    """The model's name, with the provider and the device where there are several."""
    words = [name]
    words += [_called(order, provider)] if len(order.providers) > 1 else []
    words += [f"on {device.label}"] if len(order.devices) > 1 else []
    return " ".join(words)


def _called(order: Order, provider: ProviderSpec) -> str:
    """A provider's short name, with its options where there are others of that name: `OpenVINO:device_type=GPU`."""
    alike = [each for each in order.providers if each.name == provider.name]
    told = ",".join(f"{name}={value}" for name, value in sorted(provider.options.items()))
    return f"{short(provider.name)}:{told}" if len(alike) > 1 and told else short(provider.name)


def _watch(order: Order, lacks: Mapping[str, Lacking], figures: Collection[str]) -> Watch | None:
    """What ends measuring as soon as the limits on the latency are decided; None where it lasts as long as is asked.

    That is so without such limits, where minutes are sustained, and where no machine is the profile's, so that nothing
    will be decided. Other percentiles that are asked for get all rounds first.
    """
    settings = order.profile.measure
    if settings.scenario == "sustained" or all(lack.differs or lack.unreachable for lack in lacks.values()):
        return None
    others = not PERCENTILES.isdisjoint(figures)
    watch = Watch(order.profile.budget, max(FIRST_LOOK, settings.rounds) if others else FIRST_LOOK)
    return watch if watch.limits else None


def _measured(
    order: Order, subjects: dict[str, Subject], watch: Watch | None, figures: Collection[str], progress: Progress
) -> dict[str, Measurement | MeasureError]:
    if not subjects:
        return {}
    profile = order.profile
    starts = profile.budget.load_ms or profile.budget.first_inference_ms or not STARTS.isdisjoint(figures)
    stop = watch.stop if watch else None
    loads = LOADS if starts else 1
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


def subject(order: Order, prepared: Prepared, provider: ProviderSpec, device: Device | None = None) -> Subject:
    """The prepared model on a provider, the profile's others behind it, by default on the order's first device."""
    return Subject(
        model=prepared.file.path,
        providers=order.preference(provider),
        threads=order.profile.threads,
        requests=prepared.requests,
        states=prepared.states,
        allow_cpu=order.allow_cpu,
        device=device or order.device,
        pipeline=prepared.pipeline,
        rows=prepared.rows,
        files=prepared.file.files,
        time_limit=order.time_limit,
        io=order.profile.measure.io,
        session=order.profile.session,
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
        rounds=measured.judged,
        lost=sum(measured.lost),
        loads_ns=measured.loads_ns,
        firsts_ns=measured.firsts_ns,
        peak_memory_bytes=measured.peak_memory_bytes,
        differences=fingerprint.differences(profile.machine, measured.machine),
        unsteady=measured.unsteady,
        untimed=measured.untimed or Facts.untimed,
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
    return Line(PARITY, parity.tolerance, value, None, None, "pass" if parity.holds else "fail")
