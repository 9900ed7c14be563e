"""`edgesft history`: how a figure went over many results files, and when it changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

from edgesft import __version__
from edgesft.budget import steps
from edgesft.budget.steps import Step, Steps
from edgesft.errors import InputError, Problem
from edgesft.gate.figures import COUNTED, TIMED
from edgesft.gate.key import Machine
from edgesft.gate.records import Record
from edgesft.gate.search import NO_FILE, Tally, natural, read
from edgesft.spec.gate import GrowthSpec
from edgesft.spec.problems import nearest

SCHEMA = "edgesft/history"
SCHEMA_VERSION = 1

VARYING = (*TIMED, "peak_memory")
FIGURES = (*VARYING, "size", *COUNTED)
"""Every figure but the metrics, which are named by the files."""

DEFAULT = tuple(name for name in FIGURES if getattr(GrowthSpec(), name) is not None)
"""Figures that are looked at where none is asked for, besides all metrics: those that may not grow by default."""

EVERY = "all"
METRIC = "metrics."

TOLERANCES = {"instructions": 0.001}
"""Share by which a counted figure differs from one run to the next of the same thing."""

METRIC_RESOLUTION = 1e-6
"""Noise of a metric that is taken at least: the same predictions give the same figure but for the sum's rounding."""

Kind = Literal["timed", "counted", "metric"]


@dataclass(frozen=True)
class Identity:
    """What makes a series: with one of these another, figures do not compare.

    Attributes:
        figure: For example `p50`, `metrics.accuracy`.
        model: Name of the artefact.
        profile: Name of the device profile.
        provider: Execution provider.
        threads: Intra-op threads.
        machine: What stays the same of a machine.
        source: Schema of the files.
        how: Scenario of what is timed, `device` behind it without copies; counter of instructions; None for the rest.
        options: Of the provider.
    """

    figure: str
    model: str
    profile: str
    provider: str
    threads: int
    machine: Machine
    source: str
    how: str | None
    options: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """How the figure varies."""
        if self.figure.startswith(METRIC):
            return "metric"
        return "timed" if self.figure in VARYING else "counted"


class Point(NamedTuple):
    """A value with the record that it is of."""

    record: Record
    value: float


@dataclass(frozen=True)
class Series:
    """A figure over time.

    Attributes:
        identity: Whose.
        points: In the order of time.
        found: What became of it.
    """

    identity: Identity
    points: tuple[Point, ...]
    found: Steps

    def worse(self, step: Step) -> bool:
        """Whether a step goes the wrong way: slower, larger, or fewer correct."""
        return step.after < step.before if self.identity.kind == "metric" else step.after > step.before

    @property
    def worsened(self) -> bool:
        """Whether the newest level is worse than the one before."""
        return bool(self.found.steps) and self.worse(self.found.steps[-1])

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        identity, found = self.identity, self.found
        return {
            "figure": identity.figure,
            "kind": identity.kind,
            "model": identity.model,
            "profile": identity.profile,
            "provider": identity.provider,
            "threads": identity.threads,
            "machine": identity.machine.model_dump(mode="json"),
            "source": identity.source,
            "how": identity.how,
            "options": list(identity.options),
            "n": len(self.points),
            "level": found.level,
            "noise": found.noise,
            "worsened": self.worsened,
            "last_out_of_line": found.outlying,
            "steps": [self._step(step) for step in found.steps],
            "points": [_point(point, identity.figure) for point in self.points],
        }

    def _step(self, step: Step) -> dict[str, Any]:
        old, new = (self.points[place].record for place in (step.at - 1, step.at))
        finite = {
            name: None if value in (None, float("inf")) else value for name, value in step.change._asdict().items()
        }
        return {
            "at": step.at,
            "since": _where(new),
            "until": _where(old),
            "before": step.before,
            "after": step.after,
            "change": finite,
            "worse": self.worse(step),
            "causes": _causes(old, new),
        }


@dataclass(frozen=True)
class History:
    """What many files say.

    Attributes:
        files: That were read and counted.
        min_step: Least change of a timed figure that counts as a step.
        series: In the order of their models and figures.
        notes: What a reader must know to believe them.
    """

    files: int
    min_step: float
    series: tuple[Series, ...]
    notes: tuple[str, ...] = ()

    @property
    def worsened(self) -> bool:
        """Whether the newest level of any series is worse than the one before."""
        return any(each.worsened for each in self.series)

    def to_json(self) -> dict[str, Any]:
        """JSON form, schema version 1."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "edgesft": __version__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "files": self.files,
            "min_step": self.min_step,
            "worsened": self.worsened,
            "series": [each.to_json() for each in self.series],
            "notes": list(self.notes),
        }


def history(
    words: Sequence[str], *, figures: Sequence[str] = (), model: str | None = None, min_step: float = 0.02
) -> History:
    """Reads results files and finds the steps of their figures.

    Files are in the order of their `created`, then of their names. Those of runs and benches may lack it: where all of
    a series do, the order is that in which they were given, and of the names within a folder.

    Args:
        words: Files, folders that are searched for `*.json`, and patterns.
        figures: Names of figures, `all` for all; by default `DEFAULT` and every metric.
        model: Name of the only model that matters.
        min_step: Least change of a timed figure that counts: 0.02 is a ratio of 1.02 or its inverse.

    Raises:
        InputError: Nothing to read, files that are damaged, of a newer edgesft or without their time, figures or a
            model that no file has; every problem with the files is told.
    """
    tally = Tally()
    found = read(words, tally)
    if not found:
        others = _some([*tally.skipped, *tally.damaged])
        raise InputError(f"history must find at least one results file, got {others or 'none'}", NO_FILE)
    models = {record.key.model for record in found}
    if model is not None and model not in models:
        raise InputError(f"--model must be a model of the files, got {model!r}", nearest(model, models))
    found = [record for record in found if model in (None, record.key.model)]
    asked = _asked(figures, found)
    groups: dict[Identity, list[Point]] = {}
    for record in found:
        for name, value in record.figures.items():
            if name in asked:
                groups.setdefault(_identity(record, name), []).append(Point(record, value))
    ordered = _ordered(groups, tally)
    series = [Series(identity, points, _steps(identity, points, min_step)) for identity, points in ordered.items()]
    series.sort(key=lambda each: _rank(each.identity))
    return History(tally.files, min_step, tuple(series), tuple(_notes(tally, series)))


def _identity(record: Record, figure: str) -> Identity:
    key, told = record.key, record.figures
    timed = told.scenario if key.io == "host" else f"{told.scenario}, {key.io}"
    how = timed if figure in VARYING else told.counted if figure == "instructions" else None
    whose = key.model, key.profile, key.provider, key.threads, key.machine
    return Identity(figure, *whose, record.schema, how, key.options)


def _rank(identity: Identity) -> tuple[Any, ...]:
    """Series of one model on one machine together, its figures in the usual order."""
    place = FIGURES.index(identity.figure) if identity.figure in FIGURES else len(FIGURES)
    whose = (identity.model, identity.source, identity.profile, identity.provider, identity.options, identity.threads)
    return (*whose, str(identity.machine), place, identity.figure, identity.how or "")


def _steps(identity: Identity, points: Sequence[Point], min_step: float) -> Steps:
    values = [point.value for point in points]
    if identity.kind == "counted":
        return steps.changes(values, tolerance=TOLERANCES.get(identity.figure, 0.0))
    if identity.kind == "metric":
        return steps.find(values, ratio=False, resolution=METRIC_RESOLUTION)
    return steps.find(values, least=min_step)


def _asked(figures: Sequence[str], found: Sequence[Record]) -> set[str]:
    """Names of the figures that are looked at."""
    held = {name for record in found for name, _ in record.figures.items()}
    metrics = {name for name in held if name.startswith(METRIC)}
    if not figures:
        return {*DEFAULT, *metrics}
    if EVERY in figures:
        return held
    wrong, asked = [], set()
    for given in figures:
        name = f"{METRIC}{given}" if given not in FIGURES and f"{METRIC}{given}" in metrics else given
        asked.add(name)
        if name not in {*FIGURES, *metrics}:
            hint = nearest(given, {*FIGURES, *metrics, *(each.removeprefix(METRIC) for each in metrics), EVERY})
            wrong.append(Problem(f"--figure must be a figure of the files, got {given!r}", hint))
        elif name not in held:
            wrong.append(
                Problem(f"--figure must be one that a file has, got {given!r}", f"one of {', '.join(sorted(held))}")
            )
    if wrong:
        raise InputError(wrong)
    return asked


def _ordered(groups: Mapping[Identity, list[Point]], tally: Tally) -> dict[Identity, tuple[Point, ...]]:
    """Each series in the order of time, and each of its points once.

    Raises:
        InputError: Some of its files tell their time and others do not.
    """
    ordered, timeless = {}, dict[str, None]()
    for identity, points in groups.items():
        without = [point.record.file for point in points if point.record.created is None]
        if without and len(without) < len(points):
            timeless |= dict.fromkeys(without)
        elif not without:
            points = sorted(points, key=lambda point: (point.record.created, natural(point.record.file)))
        ordered[identity] = tuple(_once(points))
    if timeless:
        message = "created of '{}' must be given, as other files of its series have it"
        raise InputError([Problem(message.format(file), "leave the file out") for file in timeless])
    return ordered


def _once(points: Iterable[Point]) -> Iterator[Point]:
    """Without copies: one commit is measured once in a second."""
    seen = set()
    for point in points:
        record = point.record
        mark = (record.created, record.commit)
        if None in mark or mark not in seen:
            seen.add(mark)
            yield point


def _where(record: Record) -> dict[str, Any]:
    return {"file": record.file, "created": _iso(record.created), "commit": record.commit}


def _iso(created: datetime | None) -> str | None:
    return created.isoformat() if created else None


def _point(point: Point, figure: str) -> dict[str, Any]:
    record, value = point
    told: Any = record.figures
    holder = told.metrics.get(figure.removeprefix(METRIC)) if figure.startswith(METRIC) else getattr(told, figure)
    spread = {name: getattr(holder, name) for name in ("lower", "upper", "n") if hasattr(holder, name)}
    return {**_where(record), "value": value, **spread, "unsteady": bool(told.unsteady), "facts": dict(record.facts)}


def _causes(old: Record, new: Record) -> list[str]:
    """What else changed between two records, as far as both tell it."""
    both = [name for name in new.facts if name in old.facts and new.facts[name] != old.facts[name]]
    return [_cause(name, old.facts[name], new.facts[name]) for name in both]


def _cause(name: str, old: str, new: str) -> str:
    if name == "model":
        return f"model sha256 changed, {old[:12]} -> {new[:12]}"
    return f"{name} {old[:12]} -> {new[:12]}" if name == "commit" else f"{name} {old} -> {new}"


def _notes(tally: Tally, series: Sequence[Series]) -> Iterator[str]:
    if tally.skipped:
        yield f"left out of the folders: {_files_of(tally.skipped)} without results ({_some(tally.skipped)})"
    if tally.damaged:
        yield f"left out of the folders: {_files_of(tally.damaged)} that cannot be parsed ({_some(tally.damaged)})"
    if tally.twice:
        yield f"copies of other files, which count once: {tally.twice}"
    everything = {id(point.record): point.record for each in series for point in each.points}.values()
    if any(record.created is None for record in everything):
        yield "runs and benches without a date are in the order in which they were given"
    if late := [record.file for record in everything if record.created and record.created > datetime.now(UTC)]:
        yield f"{_files_of(late)} with a time in the future ({_some(late)})"
    if unsteady := [record.file for record in everything if record.figures.unsteady]:
        yield f"{_files_of(unsteady)} from an unsteady machine ({_some(unsteady)})"
    short = [each for each in series if each.identity.kind != "counted" and len(each.points) < steps.FEWEST]
    if short:
        told = "1 series has" if len(short) == 1 else f"{len(short)} series have"
        yield f"{told} fewer than {steps.FEWEST} points, too few to tell a step from noise"


def _files_of(names: Sequence[str]) -> str:
    return f"{len(names)} {'file' if len(names) == 1 else 'files'}"


def _some(names: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
