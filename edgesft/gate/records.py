"""What results files say of models, each at one time: checks, runs and benches, in one form."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgesft.errors import InputError, Problem
from edgesft.gate.figures import DISTINCT, PERCENTILES, TIMED, Figures, Score, Timing
from edgesft.gate.key import Key, Machine
from edgesft.measure.scenario import arrivals
from edgesft.spec.document import Document
from edgesft.spec.problems import problems
from edgesft.spec.profile import Io

CHECK, RESULTS, BENCH = "edgesft/check", "edgesft/results", "edgesft/bench"
VERSIONS = {CHECK: 1, RESULTS: 1, BENCH: 1}
"""Schema of a file that tells figures → newest version that is read."""

UPDATED = ("kernel", "governor", "python")
"""Fields of a machine that an update changes; it stays the same machine."""


class _Read(BaseModel):
    """Part of a file that is read here; what else stands there does not matter."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False, protected_namespaces=())


class _Measured(_Read):
    scenario: str
    provider: str | None = None
    threads: int
    runtime: str
    machine: dict[str, Any]
    inputs: str | None = None
    load_ns: int | None = Field(gt=0)
    first_ns: int | None = Field(gt=0)
    peak_memory_bytes: int | None = Field(None, gt=0)
    placement: dict[str, int] | None = None
    partitions: int | None = None
    unsteady: list[str] = []
    lost: list[int] = []
    io: Io = "host"
    options: dict[str, str] = {}
    detail: dict[str, Any] = {}


class _Seen(_Read):
    """What a check's measurement tells besides its figures."""

    machine: dict[str, Any] = {}


class _Timed(_Read):
    latency_ns: dict[str, int | None] | None
    latency_bounds_ns: dict[str, list[int | None]] | None = None
    measurement: _Measured | None = None
    provider: str | None = None


class _Model(_Read):
    size_bytes: int
    sha256: str
    parameters: int | None = None
    nodes: int | None = None


class _Row(_Timed):
    name: str
    model: _Model


class _Stage(_Timed):
    kept: bool
    size_bytes: int
    parameters: int | None = None
    levels: dict[str, Score] = {}


class _Profile(_Read):
    name: str
    threads: int = 1


class _File(_Read):
    created: str | None = None
    commit: str | None = None
    edgesft: str | None = None


class _Check(_File):
    created: str
    subject: dict[str, Any]
    key: dict[str, Any]
    figures: dict[str, Any]
    measurement: _Seen | None = None


class _Bench(_File):
    profile: _Profile
    rows: list[_Row]


class _Results(_File):
    profile: str
    model_sha256: str | None = None
    stages: list[_Stage]
    environment: dict[str, Any]
    recipe: dict[str, Any]


R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class Record:
    """What a file says of one model.

    Attributes:
        file: As the user named it, or as it was found.
        schema: What wrote it. Their figures are never mixed: a run's `size` counts the tokenizer, a check's does not.
        created: When, in UTC; None where the file does not tell.
        commit: That was checked out, or None.
        key: Whose figures they are.
        figures: What was found.
        facts: Name → what may be why a figure changed: the model's digest, versions, what was fed.
    """

    file: str
    schema: str
    created: datetime | None
    commit: str | None
    key: Key
    figures: Figures
    facts: Mapping[str, str] = field(default_factory=dict)


def records(file: str, data: Mapping[str, Any]) -> list[Record]:
    """What a results file says; a run's only of its final model.

    Args:
        file: Its name.
        data: JSON object whose `schema` is in `VERSIONS`.

    Raises:
        InputError: It is of a newer edgesft, or not as its schema says; every problem is told.
    """
    schema, told = data["schema"], data.get("schema_version")
    if type(told) is not int or told < 1:
        raise InputError(f"schema_version of '{file}' must be a whole number from 1 on, got {told!r}")
    if told > VERSIONS[schema]:
        message = f"schema_version of '{file}' must be at most {VERSIONS[schema]} for this edgesft, got {told}"
        raise InputError(message, "pip install --upgrade edgesft")
    found = READERS[schema](file, data)
    wrong = [
        Problem(f"{name} of '{file}' must be above 0, got {value}", "take the file out: it is damaged")
        for each in found
        for name, value in each.figures.items()
        if name in (*TIMED, "peak_memory") and value <= 0
    ]
    if wrong:
        raise InputError(wrong)
    return found


def _check(file: str, data: Mapping[str, Any]) -> list[Record]:
    read = _valid(_Check, data, file)
    key = _valid(Key, _known(read.key, Key), f"{file} key", strict=True)
    figures = _valid(Figures, _known(read.figures, Figures), f"{file} figures", strict=True)
    facts = _facts(read, key, figures, read.subject.get("sha256"), read.measurement)
    return [Record(file, CHECK, _time(file, read.created), read.commit, key, figures, facts)]


def _bench(file: str, data: Mapping[str, Any]) -> list[Record]:
    read, found = _valid(_Bench, data, file), []
    for row in read.rows:
        measured = row.measurement
        if measured is None:
            continue
        provider = measured.provider or row.provider or "unknown"
        told = measured.runtime, measured.threads, measured.machine, measured.io, measured.options
        key = Key.of(row.name, read.profile.name, provider, *told)
        model, timed = row.model, _timed(row, provider)
        figures = Figures(size=model.size_bytes, parameters=model.parameters, nodes=model.nodes, **timed)
        facts = _facts(read, key, figures, model.sha256, measured)
        found.append(Record(file, BENCH, _time(file, read.created), read.commit, key, figures, facts))
    return found


def _results(file: str, data: Mapping[str, Any]) -> list[Record]:
    read = _valid(_Results, data, file)
    kept = [stage for stage in read.stages if stage.kept]
    if not kept:
        raise InputError(f"'{file}' must have a stage that was kept, got {len(read.stages)} that were not")
    last, profile = kept[-1], read.environment.get("profile") or {}
    measured, versions = last.measurement, read.environment.get("versions") or {}
    runtime = measured.runtime if measured else str(versions.get("onnxruntime"))
    threads = measured.threads if measured else int(profile.get("threads") or 1)
    provider = last.provider or "unknown"
    machine = measured.machine if measured else read.environment
    io, options = (measured.io, measured.options) if measured else ("host", {})
    key = Key.of(_name(Path(file), read), read.profile, provider, runtime, threads, machine, io, options)
    figures = Figures(size=last.size_bytes, parameters=last.parameters, metrics=last.levels, **_timed(last, provider))
    facts = _facts(read, key, figures, read.model_sha256, measured, versions.get("edgesft"))
    return [Record(file, RESULTS, _time(file, read.created), read.commit, key, figures, facts)]


READERS: Mapping[str, Callable[[str, Mapping[str, Any]], list[Record]]] = {
    CHECK: _check,
    RESULTS: _results,
    BENCH: _bench,
}
"""Schema → what reads it."""


def _timed(row: _Timed, provider: str) -> dict[str, Any]:
    """What a row tells of time and place, by the figures' names."""
    measured, latency = row.measurement, row.latency_ns
    if measured is None or latency is None:
        return {}
    bounds, count = row.latency_bounds_ns or {}, latency.get("n") or 1
    found: dict[str, Any] = {}
    for name in PERCENTILES:
        # Those of a pipeline that lost rows are of the answered ones alone.
        if (value := latency.get(name)) is not None and not any(measured.lost):
            lower, upper = bounds.get(name) or (None, None)
            found[name] = Timing(value=value, lower=lower, upper=upper, n=count)
    for name, value in (("load", measured.load_ns), ("first_inference", measured.first_ns)):
        # A simulator's are not told.
        if value is not None:
            found[name] = Timing(value=value, n=1)
    if measured.placement:
        found["off_provider"] = sum(measured.placement.values()) - measured.placement.get(provider, 0)
    return found | {
        "peak_memory": measured.peak_memory_bytes,
        "partitions": measured.partitions,
        "scenario": arrivals(measured.scenario, measured.detail),
        "inputs": DISTINCT.sub("", measured.inputs) if measured.inputs else None,
        "unsteady": tuple(measured.unsteady),
    }


def _facts(
    read: _File,
    key: Key,
    figures: Figures,
    digest: object,
    measured: _Measured | _Seen | None,
    edgesft: str | None = None,
) -> dict[str, str]:
    machine = measured.machine if measured else {}
    told = {
        "commit": read.commit,
        "model": digest,
        "onnxruntime": key.runtime,
        "edgesft": read.edgesft or edgesft,
        "inputs": figures.inputs,
        **{name: machine.get(name) for name in UPDATED},
    }
    return {name: str(value) for name, value in told.items() if value is not None}


def _name(path: Path, read: _Results) -> str:
    """The run's, as `gate.artefact` names it: the recipe's, or that of the folder."""
    if isinstance(read.recipe.get("name"), str):
        return str(read.recipe["name"])
    folder = path.resolve().parent
    several = isinstance(read.recipe.get("profile"), list) and folder.name == read.profile
    return folder.parent.name if several else folder.name


def _time(file: str, told: str | None) -> datetime | None:
    if told is None:
        return None
    try:
        found = datetime.fromisoformat(told)
        # Whoever left the zone out meant the one that edgesft writes.
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        message = f"created of '{file}' must be a time such as 2030-01-31T12:00:00+00:00, got {told!r}"
        raise InputError(message, "when it was measured, or take the file out") from None


def _known(data: Mapping[str, Any], schema: type[BaseModel]) -> dict[str, Any]:
    """What the schema knows: a later edgesft may tell more than this one without another version of the file."""
    known = {name: value for name, value in data.items() if name in schema.model_fields}
    if isinstance(known.get("machine"), dict):
        known["machine"] = _known(known["machine"], Machine)
    return known


def _valid(schema: type[R], data: Mapping[str, Any], source: str, *, strict: bool = False) -> R:
    """The data as its schema has it, with its problems in the user's words.

    Args:
        schema: What it must be.
        data: JSON values.
        source: For messages.
        strict: Whether JSON's lists stand for tuples, which a strict schema only takes from JSON itself.
    """
    try:
        return schema.model_validate_json(json.dumps(data)) if strict else schema.model_validate(data)
    except ValidationError as error:
        raise InputError(problems(error, Document(source, dict(data)), schema)) from None
