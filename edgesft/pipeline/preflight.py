"""Preflight: runs one tiny batch of the real model through every step before hours of work. Keeps nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import InputError, Problem, StageError
from edgesft.pipeline.job import Job
from edgesft.pipeline.plan import plan
from edgesft.spec.auto import AUTO
from edgesft.spec.stages import DistillSpec, OptimizeSpec, PruneSpec, QuantizeSpec
from edgesft.stages.export.installed import install
from edgesft.store.keys import key
from edgesft.tasks.models.onnx_file import OnnxFile

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgesft.tasks.base import Task

FAILURES = (StageError, RuntimeError, ValueError, TypeError, AttributeError, LookupError, NotImplementedError)
"""What a model that does not fit raises, in whichever library meets it."""

ROWS = 4
"""Rows of the tiny batch."""


def preflight(job: Job) -> None:
    """Checks that the provider is here, that the model learns, shrinks and exports.

    What passed once is remembered with everything it depends on, and not looked at again.

    Raises:
        UnavailableError: The profile's provider is not in this environment.
        InputError: The model cannot do what the recipe asks of it, or a latency is asked of what is only simulated.
        MeasureError: The device cannot be reached.
    """
    from edgesft.measure import providers

    facts = {
        "kind": "preflight",
        "stages": [step.spec.model_dump(mode="json") for step in plan(job.recipe)],
        "profile": job.profile.model_dump(mode="json"),
        "runtime": job.runtime,
        **job.facts,
    }

    def rehearse() -> dict[str, bool]:
        job.progress.say("preflight: one tiny batch through every step")
        providers.require(job.profile, job.device)
        _check_timed(job)
        try:
            _rehearse(job)
        except FAILURES as error:
            raise InputError(
                f"'model' must go through the recipe's steps. Got {type(error).__name__}: {error}",
                "another model, or fewer stages",
            ) from error
        return {"passed": True}

    job.store.record(key(facts), rehearse)


def _check_timed(job: Job) -> None:
    """Refuses what goes by latency where there is none."""
    if not job.untimed:
        return
    problems = [
        Problem(
            f"stage '{spec.name or spec.stage}' must not have a latency target on profile '{job.profile.name}': "
            f"{job.untimed}",
            "parameters: 0.5 in place of latency; leave out optimize; or --device with the hardware",
        )
        for spec in job.recipe.stages
        if isinstance(spec, OptimizeSpec)
        or (isinstance(spec, PruneSpec) and spec.parameters is None)
        or getattr(spec, "precision", None) == AUTO
        or getattr(spec, "quantization", None) == AUTO
    ]
    if problems:
        raise InputError(problems)


def _rehearse(job: Job) -> None:
    if isinstance(job.model, OnnxFile):
        with tempfile.TemporaryDirectory() as folder:
            # Makes it as the run will, and so proves that it answers the first rows.
            install(job.model, job.task, job.processor, job.contract, job.train[:ROWS], Path(folder) / "model.onnx")
            _rehearse_quantizing(job, Path(folder) / "model.onnx")
        return
    import torch

    from edgesft.stages.export import export_onnx

    with torch.random.fork_rng():
        model = job.task.load_model(job.model, job.contract, trust_remote_code=job.recipe.trust_remote_code)
        batch = {
            name: torch.as_tensor(each) for name, each in job.task.collate(job.train[:ROWS], job.processor).items()
        }
        labels = batch.pop("labels")
        outputs = _answers(job.task, model, batch)
        if problems := job.task.check_outputs(outputs, job.contract):
            raise InputError(problems)
        loss = job.task.loss(outputs, labels)
        loss.backward()
    if not torch.isfinite(loss):
        raise InputError(f"'model' must give a finite loss on the first rows. Got {loss.item()}", "check its weights")
    wrong: list[Problem] = []
    for spec in job.recipe.stages:
        with _collecting(wrong):
            if isinstance(spec, PruneSpec | DistillSpec):
                _rehearse_teaching(spec, model, batch)
            if isinstance(spec, PruneSpec):
                _rehearse_pruning(job, spec, model, batch)
    with tempfile.TemporaryDirectory() as folder, _collecting(wrong):
        export_onnx(
            model, job.task, job.processor, job.train[:ROWS], job.contract, Path(folder), opset=job.target.opset
        )
        _rehearse_quantizing(job, Path(folder) / "model.onnx")
    if wrong:
        raise InputError(wrong)


@contextmanager
def _collecting(problems: list[Problem]) -> Iterator[None]:
    """A context that notes what is wrong with the input, for all of it to be told at once."""
    try:
        yield
    except InputError as error:
        problems.extend(error.problems)


def _answers(task: Task, model: nn.Module, batch: Mapping[str, torch.Tensor]) -> Any:
    """What a model gives.

    Raises:
        InputError: It does not take what is made of the rows.
    """
    try:
        return model(**batch)
    except FAILURES as error:
        given = ", ".join(f"{name} of {list(values.shape)}" for name, values in batch.items())
        field = "data" if task.medium is None else f"data.{task.medium.field}"
        raise InputError(
            f"'model' must take what is read of the data, {given}. Got {type(error).__name__}: {error}",
            f"{field} says how it is read; or another model",
        ) from error


def _rehearse_quantizing(job: Job, model: Path) -> None:
    files = job.task.files(model)
    for spec in job.recipe.stages:
        if isinstance(spec, QuantizeSpec):
            from edgesft.stages.quantize import by_graph, make_plan

            # Of all schemes this one covers whatever has weights; another one may cover nothing of this model.
            scheme = "fp16" if spec.scheme == "auto" else spec.scheme
            for graph, exclude in by_graph(spec.exclude, files).items():
                make_plan(files[graph], scheme, per_channel=spec.per_channel, exclude=exclude)


def _rehearse_teaching(spec: PruneSpec | DistillSpec, model: nn.Module, batch: dict[str, Any]) -> None:
    """Looks whether a student tells what is to be compared; a teacher that is another model may still not."""
    from edgesft.train.distillation import hidden_widths
    from edgesft.train.layers import chosen_layers, layer_count
    from edgesft.train.recording import common_places, last_attention

    if isinstance(spec, DistillSpec) and spec.layers is not None:
        chosen_layers(spec.layers, layer_count(model))
    if spec.teacher and spec.hidden_weight not in (0, AUTO):
        hidden_widths(model, batch, common_places(model, model))
    if spec.teacher and spec.relation_weight:
        last_attention(model)


def _rehearse_pruning(job: Job, spec: PruneSpec, model: nn.Module, batch: dict[str, Any]) -> None:
    import numpy as np

    from edgesft.stages.prune.costs import Parameters
    from edgesft.stages.prune.discover import find_widths, trace
    from edgesft.stages.prune.plan import what_else
    from edgesft.stages.prune.search import counted
    from edgesft.stages.prune.select import select
    from edgesft.stages.prune.sizes import allowed
    from edgesft.stages.prune.trial import that_bear_it

    found = find_widths(model, trace(model, batch, job.task.logits), ranks="rank" in (spec.targets or ()))
    multiple = spec.channel_multiple or job.profile.channel_multiple
    layout = that_bear_it(model, select(found, spec.targets, spec.exclude), batch, job.task.logits, multiple)
    sizes = {width.name: allowed(width, multiple, spec.max_share) for width in layout.widths}
    if spec.parameters is not None:
        harms = {name: np.zeros(len(each)) for name, each in sizes.items()}
        counted(Parameters(layout, sizes), harms, spec.parameters, what_else(layout, spec.max_share))
