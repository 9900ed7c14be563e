"""The stages as plain functions on modules and files: no recipe, no store, only the rows given."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from edgesft.errors import InputError, StageError
from edgesft.tasks.base import Graph

if TYPE_CHECKING:
    import torch
    from torch import nn

Inputs = "Mapping[str, torch.Tensor] | Sequence[torch.Tensor]"
"""A batch of a module's inputs: by name, or in the order of its `forward`."""

CALLS = 8
"""Batches that the rows of a pruning are cut into; each is passed through the module dozens of times."""

TOLERANCE = 1e-3
"""Greatest absolute difference of an export's outputs from the module's; as of the stage."""


def prune(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor] | Sequence[torch.Tensor],
    *,
    parameters: float,
    exclude: Sequence[str] = (),
    channel_multiple: int = 8,
) -> nn.Module:
    """A copy of a module with fewer units, physically smaller.

    The widths that can shrink are found by tracing the rows through the module. Within a width, the units with the
    smallest weights (L2 norm) are removed. How much each size changes the outputs is measured on the rows,
    and dynamic programming chooses the sizes together. Train the result: pruning alone loses accuracy.

    Args:
        model: Any module that returns a tensor, or an object with `logits`. It is not changed.
        inputs: A few dozen rows to measure the change of the outputs on, batch axis first.
        parameters: Share of the parameters that may remain, above 0 and below 1.
        exclude: Module-name patterns (fnmatch) whose widths stay.
        channel_multiple: Widths are rounded to a multiple of this.

    Returns:
        The smaller module, in evaluation mode.

    Raises:
        InputError: The share is invalid, a pattern matches nothing, or a module so small is not possible.
        StageError: The smaller module does not run.
    """
    import torch

    from edgesft.stages.prune.apply import apply_plan
    from edgesft.stages.prune.costs import Parameters
    from edgesft.stages.prune.discover import find_widths, trace
    from edgesft.stages.prune.importance import magnitude
    from edgesft.stages.prune.plan import make_plan, what_else
    from edgesft.stages.prune.search import counted
    from edgesft.stages.prune.select import select
    from edgesft.stages.prune.sensitivity import sensitivity
    from edgesft.stages.prune.sizes import allowed, between, measured
    from edgesft.stages.prune.trial import that_bear_it

    if not 0 < parameters < 1:
        raise InputError(f"'parameters' must be a share above 0 and below 1. Got {parameters}", "parameters=0.5")
    smaller, rows = copy.deepcopy(model).eval(), _named(model, inputs)
    few = {name: tensor[:2] for name, tensor in rows.items()}
    found = select(find_widths(smaller, trace(smaller, few, _tensor)), None, exclude)
    layout = that_bear_it(smaller, found, few, _tensor, channel_multiple)
    sizes = {width.name: allowed(width, channel_multiple, 1.0) for width in layout.widths}
    tried = {name: measured(each) for name, each in sizes.items()}
    scores = magnitude(layout.widths, dict(smaller.named_parameters()))
    batches = [{**each, "labels": torch.zeros(len(next(iter(each.values()))))} for each in _cut(rows)]
    moved = sensitivity(smaller, layout.widths, tried, scores, batches, _moved)
    harms = {
        name: np.maximum.accumulate(between(each, dict(zip(tried[name], moved[name], strict=True))))
        for name, each in sizes.items()
    }
    chosen = counted(Parameters(layout, sizes), harms, parameters, what_else(layout, 1.0))
    apply_plan(smaller, make_plan(layout, chosen, scores), few, _tensor, lambda: _cut(rows))
    return smaller.eval()


def distill(
    student: nn.Module,
    teacher: nn.Module,
    batches: Sequence[Mapping[str, torch.Tensor] | Sequence[torch.Tensor]],
    *,
    epochs: int = 1,
    learning_rate: float = 1e-3,
    temperature: float = 2.0,
    classes: bool = True,
    seed: int = 0,
) -> nn.Module:
    """A copy of the student, trained to answer like the teacher.

    Trains with AdamW and a cosine schedule that falls to zero. No labels are needed: the teacher's outputs are the
    targets (Hinton et al. 2015, arXiv 1503.02531).

    Args:
        student: The module to train. It is not changed.
        teacher: A module with outputs of the same shape.
        batches: Batches of inputs, batch axis first.
        epochs: Passes over them.
        learning_rate: Peak learning rate.
        temperature: Softens both distributions.
        classes: Whether outputs are scores of classes; otherwise they are numbers, and the loss is their squared error.
        seed: Random seed of the order of the batches and of dropout.

    Returns:
        The student, in evaluation mode.

    Raises:
        InputError: There is no batch.
        StageError: The loss became infinite or not a number.
    """
    import torch
    from torch.nn import functional

    from edgesft.train.losses import soft_targets

    if not batches:
        raise InputError("'batches' must hold at least one. Got none")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        taught, teacher = copy.deepcopy(student).train(), copy.deepcopy(teacher).eval()
        optimizer = torch.optim.AdamW(taught.parameters(), learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(batches))
        for place in (int(each) for _ in range(epochs) for each in torch.randperm(len(batches))):
            given = _named(taught, batches[place])
            with torch.no_grad():
                wanted = _tensor(teacher(**given))
            answer = _tensor(taught(**given))
            loss = soft_targets(answer, wanted, temperature) if classes else functional.mse_loss(answer, wanted)
            if not math.isfinite(float(loss)):
                raise StageError(f"distill: the loss is {float(loss)}\n    Try: a lower learning_rate")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return taught.eval()


def export(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor] | Sequence[torch.Tensor],
    file: str | Path,
    *,
    dynamic: Mapping[str, Mapping[int, str]] | None = None,
    outputs: Sequence[str] = ("output",),
    opset: int = 20,
) -> Path:
    """Exports a module to ONNX and checks that ONNX Runtime gives the same outputs as torch.

    Args:
        model: The module to export. It is not changed.
        inputs: Sample rows, batch axis first; at least two if the batch axis is dynamic.
        file: The file to write.
        dynamic: Input → {axis: name} of its dynamic axes; by default the first axis of every input, named `batch`.
        outputs: Names of the outputs.
        opset: ONNX operator set.

    Returns:
        The file.

    Raises:
        StageError: The module cannot be exported, or the outputs differ.
    """
    import torch

    from edgesft.stages.export.graph import convert, evaluating, save

    target, rows = Path(file), _named(model, inputs)
    axes = {name: {0: "batch"} for name in rows} if dynamic is None else dynamic
    graph = Graph("model", model, rows, axes, tuple(outputs))
    target.parent.mkdir(parents=True, exist_ok=True)
    save(convert(graph, opset=opset), target)
    with torch.no_grad(), evaluating(model):
        expected = _tensor(model(**rows)).numpy()
    apart = float(np.abs(_answer(target, rows) - expected).max())
    if not apart <= TOLERANCE:
        raise StageError(f"the export's answers must be within {TOLERANCE:g} of torch's. Got {apart:g}")
    return target


def quantize(
    source: str | Path,
    target: str | Path,
    *,
    scheme: Literal["int8-dynamic", "int8-static", "int8-weights", "int4", "fp16"] = "int8-dynamic",
    calibration: Sequence[Mapping[str, np.ndarray]] = (),
    types: Literal["u8s8", "s8s8", "u8u8", "u16u8"] = "u8s8",
    exclude: Sequence[str] = (),
) -> Path:
    """Quantizes an ONNX file.

    Args:
        source: Float ONNX file. It is not changed.
        target: The file to write.
        scheme: Kind of quantization; `int8-static` has fixed ranges and needs `calibration`, `int8-weights` only
            makes the file smaller.
        calibration: Requests, each an array for every input name, from which `int8-static` takes its ranges.
        types: Of activations and weights in `int8-static`: unsigned or signed, 8 or 16 bits. The default is fast on
            CPUs; accelerators take others.
        exclude: Node-name patterns (fnmatch) that stay in float.

    Returns:
        The file.

    Raises:
        InputError: There is no such scheme, there are no such types, no calibration where one is needed or one that the
            model cannot read, or a pattern matches nothing.
        StageError: The source is not ONNX, there is nothing to quantize, or the file is not smaller.
    """
    from edgesft.measure.fingerprint import machine
    from edgesft.measure.model.facts import read_model
    from edgesft.measure.saturation import saturates
    from edgesft.stages.quantize import ort

    origin, file = Path(source), Path(target)
    read_model(origin)  # says so where it is none
    # Where products of bytes saturate, weights have 7 bits.
    reduced = scheme in ("int8-dynamic", "int8-static") and saturates(machine())
    if scheme == "int8-static":
        if not calibration:
            raise InputError("'calibration' must hold requests for int8-static. Got none", "scheme='int8-dynamic'")
        if wrong := [type(each).__name__ for each in calibration if not isinstance(each, Mapping)]:
            raise InputError(f"'calibration' must hold mappings of input names to arrays. Got: {wrong[0]}")
        if types not in get_args(ort.Form):
            raise InputError(f"'types' must be one of {', '.join(get_args(ort.Form))}. Got {types!r}")
        requests = [dict(each) for each in calibration]
        ort.static(origin, file, requests, form=types, reduced=reduced, exclude=exclude)
    elif scheme == "int8-dynamic":
        ort.dynamic(origin, file, reduced=reduced, exclude=exclude)
    elif scheme == "int8-weights":
        ort.weights(origin, file, exclude=exclude)
    elif scheme in ("int4", "fp16"):
        (ort.int4 if scheme == "int4" else ort.fp16)(origin, file, exclude=exclude)
    else:
        raise InputError(f"'scheme' must be int8-dynamic, int8-static, int8-weights, int4 or fp16. Got {scheme!r}")
    before, after = origin.stat().st_size, file.stat().st_size
    if after >= before:
        raise StageError(f"quantize: the file must get smaller. Got {after} bytes of {before}")
    return file


def _named(model: nn.Module, inputs: Any) -> dict[str, torch.Tensor]:
    if isinstance(inputs, Mapping):
        return dict(inputs)
    names = list(inspect.signature(model.forward).parameters)
    if len(inputs) > len(names):
        raise InputError(f"'inputs' must be at most {len(names)}, as the module's forward takes. Got {len(inputs)}")
    return dict(zip(names, inputs, strict=False))


def _tensor(outputs: Any) -> torch.Tensor:
    """The tensor that counts of what a module answers."""
    found: Any = getattr(outputs, "logits", outputs)
    return found[0] if isinstance(found, tuple | list) else found  # type: ignore[no-any-return]


def _cut(rows: Mapping[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
    count = len(next(iter(rows.values())))
    step = max(1, -(-count // CALLS))
    return [{name: each[start : start + step] for name, each in rows.items()} for start in range(0, count, step)]


def _moved(outputs: Any, whole: Any, batch: Mapping[str, Any]) -> torch.Tensor:
    """How far answers went from the whole module's: the squared difference in variances of its answers."""
    ours, theirs = _tensor(outputs).float(), _tensor(whole).float()
    return (ours - theirs).square().mean() / theirs.var().clamp(min=1e-12)


def _answer(file: Path, rows: Mapping[str, torch.Tensor]) -> np.ndarray:
    from edgesft.measure import agent

    session = agent.create_session(str(file), [{"name": agent.CPU, "options": {}}], agent.session_options(str(file), 1))
    found: np.ndarray = session.run(None, {name: tensor.numpy() for name, tensor in rows.items()})[0]
    return found
