"""Prepares a model for measuring: its inputs, the requests, and the answers expected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.errors import InputError
from edgesft.measure.agent import CPU
from edgesft.measure.bench.order import Order
from edgesft.measure.bench.prepared import Outputs, Prepared
from edgesft.measure.devices import HERE, Device
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.inputs import Requests, check_states, find_states, load_npz, random_requests
from edgesft.measure.inputs.axes import batches
from edgesft.measure.model.file import ModelFile, explain_load_error, inspect
from edgesft.measure.pipelines import PipelineSource, find, read_rows
from edgesft.measure.replies import Loaded
from edgesft.spec.profile import ProviderSpec, SessionSpec

COMPARED = 16
"""Requests whose answers are compared, from the smallest to the largest."""

ROWS = 512
"""Raw rows that are taken through a pipeline, evenly spread over those that are given."""

PACKAGE = re.compile(r"ImportError|ModuleNotFoundError|cannot import")
"""In the reason of a pipeline that does not start: the interpreter lacks a package, and the file may be right."""

ON_CPU = (ProviderSpec(name=CPU),)
PLAIN = SessionSpec(optimisation="disabled")


def prepare(order: Order, file: ModelFile, *, answers: bool = True) -> Prepared:
    """Loads the model on the CPU without optimisations, makes its requests, and takes its answers.

    Unoptimised, the runtime computes what the file says, node by node: that is what any provider must agree with.

    Args:
        order: What is asked.
        file: The model.
        answers: Whether its answers will be compared; otherwise none are taken.

    Raises:
        InputError: The runtime cannot read the file, or the inputs do not fit it.
        MeasureError: The agent cannot be started, or the model crashes it on every provider.
    """
    refused: list[_Unloaded] = []
    # What was compiled for a provider loads only where that provider is.
    for device in dict.fromkeys((HERE, *order.devices)):
        try:
            return _prepared(order, file, device, answers=answers)
        except _Unloaded as error:
            refused.append(error)
    raise refused[0].reason from refused[0].reason


class _Unloaded(Exception):
    """A device loads the model on no provider; `reason` is what to tell."""

    def __init__(self, reason: Exception) -> None:
        super().__init__()
        self.reason = reason


def _prepared(order: Order, file: ModelFile, device: Device, *, answers: bool) -> Prepared:
    with order.connect(device) as agent:
        loaded, on_cpu = _load(agent, order, file)
        found = _fed(order, file, loaded)
        if found.pipeline is not None:
            _try(agent, found.pipeline, found.rows)
            return found
        compared = _spread(found.requests.feeds)
        own = Prepared(file, found.requests, found.states, compared=compared)
        if not answers:
            return own
        if order.reference is None:
            return _answered(own, agent, on_cpu=on_cpu)
    try:
        return _referred(own, order, order.reference)
    except InputError as error:
        where = f"reference '{order.reference}'"
        raise InputError([replace(problem, where=where) for problem in error.problems]) from None


def prepare_variant(order: Order, prepared: Prepared, variant: Path, made: str) -> Prepared:
    """A variant of a model that was prepared: fed alike, and held against its own answers and the model's.

    Raises:
        InputError: The runtime cannot read the variant, or not run it.
        MeasureError: It crashes the agent.
    """
    own = replace(prepared, file=inspect(variant), original=prepared.expected, made=made)
    with order.connect() as agent:
        try:
            _, on_cpu = _load(agent, order, own.file)
        except _Unloaded as error:
            raise error.reason from error.reason
        return _answered(own, agent, on_cpu=on_cpu)


def calibration(order: Order, rows: Path) -> Sequence[Outputs]:
    """Requests of a file that sets ranges, as the order's first model takes them.

    Raises:
        InputError: The file is no npz, or does not fit the model.
        MeasureError: The model crashes the agent.
    """
    with order.connect() as agent:
        try:
            loaded, _ = _load(agent, order, inspect(order.models[0]))
        except _Unloaded as error:
            raise error.reason from error.reason
        return load_npz(rows, loaded.inputs).feeds


def _load(agent: Agent, order: Order, file: ModelFile) -> tuple[Loaded, bool]:
    """What loading tells, and whether that was on the CPU: compiled models load only on their own provider.

    Raises:
        _Unloaded: No provider loads it here.
        MeasureError: It crashes the agent.
    """
    failures = []
    for provider in (*ON_CPU, *order.providers):
        try:
            loaded = agent.load(file.path, (provider,), order.profile.threads, session=PLAIN)
            return loaded, provider.name == CPU
        except MeasureError as error:
            if error.reason is None:
                raise
            failures.append(error)
    raise _Unloaded(_unloadable(failures[0], agent)) from failures[0]


def _loaded_alone(agent: Agent, order: Order, file: ModelFile) -> None:
    try:
        agent.load(file.path, ON_CPU, order.profile.threads, session=PLAIN)
    except MeasureError as error:
        raise _unloadable(error, agent) from error


def _unloadable(error: MeasureError, agent: Agent) -> Exception:
    """What is wrong with the file, where the runtime's words tell it."""
    if error.reason is None:
        return error
    problem = explain_load_error(error.reason, agent.info()["runtime"])
    return InputError(problem) if problem else error


def _fed(order: Order, file: ModelFile, loaded: Loaded) -> Prepared:
    """The model with what is fed to it, not yet run."""
    if order.states is not None:
        check_states(order.states, loaded.inputs, loaded.outputs)
    states = find_states(loaded.inputs, loaded.outputs) if order.states is None else order.states
    if order.end_to_end:
        pipeline = find(file.path, kind=order.pipeline, inputs=loaded.inputs, settings=order.pipeline_settings)
        if order.inputs is None:
            scenario = order.profile.measure.scenario
            raise InputError(f"inputs must be given for the scenario {scenario}, got none", "--inputs rows.jsonl")
        rows = read_rows(order.inputs, ROWS)
        return Prepared(file, Requests((), ""), states, pipeline, rows, reference="raw rows are not compared")
    if order.inputs is not None:
        return Prepared(file, load_npz(order.inputs, loaded.inputs, batch=order.batch), states)
    sizes = batches(loaded.inputs, order.batch)
    if order.batch > 1 and not sizes:
        message = f"batch must be 1 for a model without a free axis that is the batch, got {order.batch}"
        raise InputError(message, "an export with such an axis, or --axis where it has another name")
    sizes |= order.axes
    return Prepared(file, random_requests(loaded.inputs, sizes, file.gathers, states=states, seed=order.seed), states)


def _try(agent: Agent, source: PipelineSource, rows: Sequence[Any]) -> None:
    """Takes every row through the pipeline's first step, and one to the end: later that would fail on each provider.

    Raises:
        InputError: The pipeline is no such file, or does not take a row, or the model not what it makes.
        MeasureError: The pipeline needs a package that the interpreter lacks.
    """
    at = "start"
    try:
        agent.pipeline(source.file, source.folder, source.options)
        for number, row in enumerate(rows, 1):
            at = f"take row {number} of {len(rows)}"
            agent.row(row)
        at = "take a row to the answer"
        agent.series("spans", 1, [0])
    except MeasureError as error:
        if error.reason is None or PACKAGE.search(error.reason):
            raise
        raise InputError(f"pipeline '{source.label}' must {at}, got: {error.reason}") from error


def _spread(feeds: Sequence[Outputs]) -> list[Outputs]:
    ordered = sorted(feeds, key=lambda each: sum(array.size for array in each.values()))
    places = np.unique(np.linspace(0, len(ordered) - 1, min(COMPARED, len(ordered))).round().astype(int))
    return [ordered[place] for place in places]


def _answered(prepared: Prepared, agent: Agent, *, on_cpu: bool) -> Prepared:
    """With the model's own answers, where it gives some."""
    if not on_cpu:
        return replace(prepared, reference="the CPU cannot load the model")
    expected: list[Outputs] = []
    for feeds in prepared.compared:
        try:
            expected.append(agent.run(feeds))
        except MeasureError as error:
            if error.reason is None:
                raise
            _check_runs(agent, feeds, prepared.requests.source)
            return replace(prepared, reference=f"its answers cannot be compared: {error.reason}")
    return replace(prepared, expected=expected, reference="itself, unoptimised on the CPU")


def _check_runs(agent: Agent, feeds: Outputs, source: str) -> None:
    """Tells a model that does not take the request from one that answers what cannot be compared."""
    agent.request(feeds)
    try:
        agent.first()
    except MeasureError as error:
        if error.reason is None:
            raise
        message = f"inputs must be what the model can run on, got {source}: {error.reason}"
        raise InputError(message, "--inputs FILE.npz with requests as the model gets them") from error


def _referred(prepared: Prepared, order: Order, reference: Path) -> Prepared:
    """With the answers of another model."""
    other = inspect(reference)
    with order.connect() as agent:
        _loaded_alone(agent, order, other)
        try:
            expected = [agent.run(feeds) for feeds in prepared.compared]
        except MeasureError as error:
            if error.reason is None:
                raise
            message = f"must answer the requests of '{prepared.file.path.name}', got: {error.reason}"
            raise InputError(message, "a model of the same inputs") from error
    return replace(prepared, expected=expected, reference=f"{other.path.name}, unoptimised on the CPU")
