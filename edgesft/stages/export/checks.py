"""What must hold of an exported file before anyone relies on it, checked on the saved file itself."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.errors import StageError
from edgesft.measure.model.facts import FLOATS, OnnxFacts, read_facts
from edgesft.measure.model.fixed import KEY, Fixed
from edgesft.measure.parity import Parity as Comparison
from edgesft.measure.parity import compare, difference
from edgesft.stages.export.graph import eager_attention, evaluating
from edgesft.tasks.base import Batch, Example, Graph, Run, Task

if TYPE_CHECKING:
    from torch import nn

PARITY_ROWS = 48
"""Rows that parity is taken on: from the shortest to the longest, evenly spaced."""

REACHED_ROWS = 4
"""Of these, from which states are reached: a stream's take as many calls as it has frames."""

PARITY_BATCH = 7
"""The batch beside 1: not the exporter's sample size, and 48 rows leave an incomplete last batch."""

DUPLICATE_SHARE = 0.02
"""Floating constants may exceed the module's own by this share; a weight of any size stored twice exceeds it."""

DUPLICATE_BYTES = 4096
"""And by this many bytes, for masks and constants of the graph."""


@dataclass(frozen=True)
class Parity:
    """How far a file's answers are from torch's.

    Attributes:
        difference: Greatest absolute difference over all outputs; infinite where only one of them is finite.
        calls: Calls compared.
        rows: Rows that they were made of.
    """

    difference: float
    calls: int
    rows: int


def check_file(path: Path, graph: Graph, opset: int) -> OnnxFacts:
    """Checks that the file is valid ONNX of this opset, with the graph's inputs, outputs, types and weights, once each.

    Raises:
        StageError: It is not; the message has the figures.
    """
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise StageError(f"'{path.name}' must be valid ONNX. Got: {error}") from error
    facts = read_facts(path)
    if facts.opset != opset:
        raise StageError(f"'{path.name}' must be of opset {opset}. Got {facts.opset}")
    _check_interface(path, graph, facts)
    _check_weights(path, graph.module, facts)
    return facts


def _check_interface(path: Path, graph: Graph, facts: OnnxFacts) -> None:
    if tuple(facts.inputs) != tuple(graph.inputs) or tuple(facts.outputs) != graph.outputs:
        raise StageError(
            f"'{path.name}' must map {list(graph.inputs)} to {list(graph.outputs)}. "
            f"Got {list(facts.inputs)} to {list(facts.outputs)}"
        )
    for name, named in graph.dynamic.items():
        for axis, axis_name in named.items():
            if (got := facts.inputs[name][axis]) != axis_name:
                raise StageError(f"axis {axis} of '{name}' in '{path.name}' must be '{axis_name}'. Got '{got}'")


def _check_weights(path: Path, module: nn.Module, facts: OnnxFacts) -> None:
    """No weight twice, and none in a type that the module does not have."""
    expected = module_bytes(module)
    limit = sum(expected.values()) * (1 + DUPLICATE_SHARE) + DUPLICATE_BYTES
    found = {dtype: count for dtype, count in facts.constant_bytes.items() if dtype in FLOATS}
    if sum(found.values()) > limit:
        raise StageError(
            f"'{path.name}' must hold each weight once, {sum(expected.values())} bytes. "
            f"Got {sum(found.values())} bytes of floating constants: a weight is stored twice"
        )
    for dtype, count in found.items():
        if dtype not in expected and count > DUPLICATE_BYTES:
            raise StageError(f"'{path.name}' must hold weights of {sorted(expected)}. Got {count} bytes of {dtype}")


def module_bytes(module: nn.Module) -> dict[str, int]:
    """ONNX type → bytes of the module's floating parameters and buffers; tied ones count once."""
    import torch

    names = {torch.float32: "FLOAT", torch.float16: "FLOAT16", torch.bfloat16: "BFLOAT16", torch.float64: "DOUBLE"}
    found: dict[str, int] = {}
    seen: set[int] = set()
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.dtype in names and tensor.data_ptr() not in seen:
            seen.add(tensor.data_ptr())
            found[names[tensor.dtype]] = found.get(names[tensor.dtype], 0) + tensor.nbytes
    return found


def parity(
    files: Mapping[str, Path], graphs: Sequence[Graph], task: Task, processor: Any, examples: Sequence[Example]
) -> Parity:
    """Runs the task's own prediction on files and modules at once, alone and in batches, and compares each call; and
    what the device sends, with the states that the model has reached.

    Args:
        files: Graph name → file.
        graphs: What the files were exported from.
        task: Drives the calls.
        processor: The task's.
        examples: Encoded rows to choose from.

    Raises:
        StageError: There are no rows, or ONNX Runtime cannot run a file.
    """
    if not examples:
        raise StageError("parity needs validation rows. Got none")
    rows = spread(examples, PARITY_ROWS)
    on_torch = torch_run(graphs)
    on_file = file_run(files)
    differences: list[float] = []
    chosen = {graph.name: graph.chosen for graph in graphs}

    def both(feeds: Mapping[str, np.ndarray], graph: str = "model") -> dict[str, np.ndarray]:
        expected, got = on_torch(feeds, graph=graph), on_file(feeds, graph=graph)
        for name, own in expected.items():
            among = expected.get(chosen[graph].get(name, ""))
            pair = (
                (own, got[name])
                if among is None
                else (np.take_along_axis(among, each, -1) for each in (own, got[name]))
            )
            differences.append(difference(*pair))
        return got

    for size in (1, PARITY_BATCH):
        task.predict(both, rows, processor, batch_size=size)
    for request in task.stateful_requests(spread(rows, REACHED_ROWS), processor, on_file):
        both(request)
    if not differences:
        raise StageError(f"parity needs calls to compare. Task '{task.name}' made none")
    return Parity(max(differences), len(differences), len(rows))


def spread(examples: Sequence[Example], count: int) -> list[Example]:
    """At most `count` examples from the smallest to the largest, evenly spaced by rank of their inputs' size."""
    order = sorted(range(len(examples)), key=lambda index: sum(array.size for array in examples[index].values()))
    picked = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    return [examples[order[index]] for index in picked]


def torch_run(graphs: Sequence[Graph]) -> Run:
    """Runs the modules on arrays, in evaluation mode and with the attention that is exported."""
    by_name = {graph.name: graph for graph in graphs}

    def run(feeds: Mapping[str, np.ndarray], graph: str = "model") -> dict[str, np.ndarray]:
        import torch

        chosen = by_name[graph]
        tensors = {name: torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in chosen.inputs}
        with torch.no_grad(), evaluating(chosen.module), eager_attention(chosen.module):
            outputs = chosen.module(**tensors)
        if isinstance(outputs, torch.Tensor):
            outputs = (outputs,)
        if isinstance(outputs, Mapping):
            found = {name: outputs[name] for name in chosen.outputs}
        else:
            found = dict(zip(chosen.outputs, outputs, strict=True))
        return {name: tensor.numpy() for name, tensor in found.items()}

    return run


def files_apart(source: Path, target: Path, requests: Sequence[Batch], precision: str) -> Comparison:
    """How far two files' answers are apart, to requests alone and, where the first axis varies, to two at once.

    Args:
        source: What was before.
        target: What was made of it.
        requests: Real ones, at least one.
        precision: Of the target, see `measure.parity`.
    """
    feeds, inputs = list(requests), read_facts(target).inputs
    if all(isinstance(named[0], str) for named in inputs.values() if named):
        feeds.append({name: np.concatenate([array, array]) for name, array in requests[0].items()})
    on_source, on_target = file_run({"model": source}), file_run({"model": target})
    return compare([on_source(feed) for feed in feeds], [on_target(feed) for feed in feeds], precision)


def file_run(files: Mapping[str, Path]) -> Run:
    """Runs ONNX files on ONNX Runtime's CPU provider.

    Raises:
        StageError: ONNX Runtime cannot load a file or run it.
    """
    sessions = {name: open_session(path) for name, path in files.items()}
    told = {name: session.get_modelmeta().custom_metadata_map.get(KEY) for name, session in sessions.items()}
    shapes = {name: Fixed.from_json(json.loads(text)) for name, text in told.items() if text}

    def run(feeds: Mapping[str, np.ndarray], graph: str = "model") -> dict[str, np.ndarray]:
        session = sessions[graph]
        names = [value.name for value in session.get_outputs()]
        wanted = {value.name: feeds[value.name] for value in session.get_inputs()}
        fixed = shapes.get(graph)
        padded = fixed.pad(wanted) if fixed else wanted
        try:
            found = dict(zip(names, session.run(names, padded), strict=True))
            return fixed.crop(found, wanted) if fixed else found
        except Exception as error:  # ONNX Runtime raises its own unrelated types.
            raise StageError(f"'{files[graph].name}' must run on ONNX Runtime. Got: {error}") from error

    return run


def late_run(files: Mapping[str, Path]) -> Run:
    """`file_run` of files that are opened when the first of them is run."""
    opened = functools.cache(lambda: file_run(files))
    return lambda feeds, graph="model": opened()(feeds, graph=graph)


def open_session(path: Path) -> Any:
    """A session on the CPU provider that keeps its warnings to itself.

    Raises:
        StageError: ONNX Runtime cannot load the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises its own unrelated types.
        raise StageError(f"'{path.name}' must load in ONNX Runtime. Got: {error}") from error
