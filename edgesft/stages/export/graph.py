"""From one torch graph to an ONNX graph that reads well and is the same bytes every time."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.errors import StageError
from edgesft.measure.model.facts import PROTOBUF_LIMIT_BYTES
from edgesft.stages.quiet import quiet
from edgesft.tasks.base import Graph

if TYPE_CHECKING:
    import onnx_ir
    from torch import nn

EAGER = "eager"
"""What transformers calls attention that is written out."""

JOINT = "+"
"""Between the names of modules that one node stands for."""

SCOPES = "pkg.torch.onnx.name_scopes"
"""Metadata in which torch's exporter keeps the modules that a node comes from, outermost first, then the node."""


def convert(graph: Graph, *, opset: int) -> onnx_ir.Model:
    """Exports one graph, on the exporter that fits its module, and tidies it.

    Raises:
        StageError: The module cannot be exported with these dynamic axes, outputs or this opset.
    """
    from transformers import PreTrainedModel

    exporter = _export_transformers if isinstance(graph.module, PreTrainedModel) else _export_module
    from edgesft.stages.export.recurrent import whole

    with evaluating(graph.module), eager_attention(graph.module), _own_forward(graph.module), whole(graph.module):
        try:
            with quiet():
                program = exporter(graph, opset)
        except Exception as error:
            notes = "\n".join(getattr(error, "__notes__", ()))
            raise StageError(f"graph '{graph.name}' could not be exported: {error}\n{notes}".rstrip()) from error
    tidy(program, graph, prefix=graph.prefix)
    if (got := program.opset_imports[""]) != opset:
        raise StageError(f"graph '{graph.name}' must be of opset {opset}. Got {got}, which the exporter kept")
    return program


def tidy(program: onnx_ir.Model, graph: Graph, *, prefix: str = "") -> None:
    """Names nodes after their modules and axes as the task does, keeps the named outputs, drops what is not needed.

    Stack traces go: they are bytes, and they are paths of the machine that exported.

    Args:
        program: Changed in place.
        graph: What was exported.
        prefix: Start of the modules' names that a wrapper added.

    Raises:
        StageError: An output is missing, or an axis turned out fixed.
    """
    import onnx_ir.passes.common as passes
    from onnxscript import rewriter
    from onnxscript.rewriter.rules.common import successive_relu_rule

    _keep_outputs(program, graph)
    _order_inputs(program, graph)
    _name_axes(program, graph)
    _name_nodes(program, prefix)
    rewriter.rewrite(program, [successive_relu_rule])  # of blocks that are gone: their sums went, in the same pass
    passes.RemoveUnusedNodesPass()(program)
    passes.ClearMetadataAndDocStringPass()(program)
    passes.TopologicalSortPass()(program)
    program.metadata_props.clear()
    program.doc_string = None
    for inner in program.graphs():
        for value in (*inner.inputs, *inner.initializers.values(), *(out for node in inner for out in node.outputs)):
            value.metadata_props.clear()
            value.doc_string = None
        ordered = sorted(inner.initializers.items())
        inner.initializers.clear()
        inner.initializers.update(ordered)


def save(program: onnx_ir.Model, path: Path) -> None:
    """Writes one file, or beyond protobuf's limit a file and `<name>.data` beside it."""
    import onnx_ir

    weights = sum(value.const_value.nbytes for value in program.graph.initializers.values() if value.const_value)
    onnx_ir.save(program, str(path), external_data=f"{path.name}.data" if weights > PROTOBUF_LIMIT_BYTES else None)


def _export_module(graph: Graph, opset: int) -> onnx_ir.Model:
    import torch

    with torch.no_grad():
        outputs = graph.module(**graph.inputs)
        program = torch.onnx.export(
            graph.module,
            (),
            kwargs=dict(graph.inputs),
            dynamo=True,
            dynamic_shapes=dynamic_shapes(graph),
            input_names=list(graph.inputs),
            # What comes by name comes in its own order, and may be more than is wanted.
            output_names=list(outputs) if isinstance(outputs, Mapping) else list(graph.outputs),
            opset_version=opset,
            custom_translation_table=dict(graph.operators) or None,
        )
    return program.model


def _export_transformers(graph: Graph, opset: int) -> onnx_ir.Model:
    from transformers.exporters.exporter_onnx import OnnxConfig, OnnxExporter

    config = OnnxConfig(dynamic_shapes=dynamic_shapes(graph), opset_version=opset)
    return OnnxExporter().export(graph.module, dict(graph.inputs), config=config).program


def dynamic_shapes(graph: Graph) -> dict[str, dict[int, Any]]:
    """torch.export's form of the axes that vary."""
    from torch.export import Dim

    return {name: dict.fromkeys(graph.dynamic.get(name, {}), Dim.DYNAMIC) for name in graph.inputs}


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Dropout and the like are off inside; modes are as before afterwards."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


@contextmanager
def eager_attention(module: nn.Module) -> Iterator[None]:
    """Attention is written out inside: it exports the leanest graph, where SDPA's masks add nodes.

    So does the mask of an encoder, which is what the tokenizer says, once for all queries: transformers computes it for
    each pair of positions, in twenty nodes that accelerators have no kernels for.
    """
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, bidirectional_mask_function, eager_mask

    def mask_of(*given: Any, **options: Any) -> Any:
        mask = options.get("attention_mask")
        plain = options.get("mask_function") is bidirectional_mask_function and not options.get("use_vmap")
        if not plain or mask is None or mask.dim() != 2:
            return eager_mask(*given, **options)
        import torch

        dtype = options.get("dtype", torch.float32)
        return torch.where(mask[:, None, None, :].bool(), torch.zeros((), dtype=dtype), torch.finfo(dtype).min)

    before = getattr(getattr(module, "config", None), "_attn_implementation", None)
    switched = before not in (None, EAGER) and hasattr(module, "set_attn_implementation")
    if switched:
        module.set_attn_implementation(EAGER)  # type: ignore[operator]
    ALL_MASK_ATTENTION_FUNCTIONS[EAGER] = mask_of
    try:
        yield
    finally:
        del ALL_MASK_ATTENTION_FUNCTIONS[EAGER]
        if switched:
            module.set_attn_implementation(before)  # type: ignore[operator]


@contextmanager
def _own_forward(module: nn.Module) -> Iterator[None]:
    """Removes what transformers' exporter leaves behind: a `forward` on the instance that hides its class's."""
    there = "forward" in vars(module)
    try:
        yield
    finally:
        if not there:
            vars(module).pop("forward", None)


def _keep_outputs(program: onnx_ir.Model, graph: Graph) -> None:
    """Leaves the outputs that the task names, in its order."""
    found = {value.name: value for value in program.graph.outputs}
    if missing := [name for name in graph.outputs if name not in found]:
        raise StageError(f"graph '{graph.name}' must give the outputs {missing}. Got {sorted(map(str, found))}")
    program.graph.outputs[:] = [found[name] for name in graph.outputs]


def _order_inputs(program: onnx_ir.Model, graph: Graph) -> None:
    found = {value.name: value for value in program.graph.inputs}
    if set(found) != set(graph.inputs):
        wanted = list(graph.inputs)
        raise StageError(f"graph '{graph.name}' must take the inputs {wanted}. Got {sorted(map(str, found))}")
    program.graph.inputs[:] = [found[name] for name in graph.inputs]


def _name_axes(program: onnx_ir.Model, graph: Graph) -> None:
    """Gives the exporter's symbols (`s72`) the task's names (`batch`), in every shape of the graph."""
    import onnx_ir

    names = _symbols(program, graph)
    if not names:
        return
    pattern = re.compile(r"\b(" + "|".join(map(re.escape, names)) + r")\b")
    for inner in program.graphs():
        for value in (*inner.inputs, *(out for node in inner for out in node.outputs)):
            if value.shape is not None:
                dims = (dim if isinstance(dim, int) else dim.value for dim in value.shape)
                value.shape = onnx_ir.Shape(
                    [pattern.sub(lambda m: names[m[1]], dim) if isinstance(dim, str) else dim for dim in dims]
                )


def _symbols(program: onnx_ir.Model, graph: Graph) -> Mapping[str, str]:
    """Exporter's symbol → the task's name for it."""
    names: dict[str, str] = {}
    for value in program.graph.inputs:
        for axis, name in graph.dynamic.get(str(value.name), {}).items():
            dim = value.shape[axis] if value.shape is not None else None
            symbol = None if dim is None or isinstance(dim, int) else dim.value
            if symbol is None:
                raise StageError(f"axis {axis} of '{value.name}' must vary as '{name}'. Got the fixed size {dim}")
            if names.setdefault(symbol, name) != name:
                raise StageError(f"axes '{names[symbol]}' and '{name}' must vary freely. Got axes that must be equal")
    return names


def modules_of(node: str) -> list[str]:
    """The modules that a node is of, by its name: `attention.query+key.MatMul` is of `attention.query` and `….key`."""
    parent, _, leaves = node.rpartition(".")[0].rpartition(".")
    return [f"{parent}.{leaf}" if parent else leaf for leaf in leaves.split(JOINT)]


def _name_nodes(program: onnx_ir.Model, prefix: str) -> None:
    """Names each node after the module it comes from: `classifier.Gemm`, so that patterns can say what is meant."""
    seen: Counter[str] = Counter()
    for inner in program.graphs():
        for node in inner:
            scopes = ast.literal_eval(node.metadata_props.get(SCOPES, "[]"))
            module = next((scope for scope in reversed(scopes[:-1]) if scope), "")
            module = "" if module.startswith("_empty_nn_module") else module.removeprefix(prefix)
            name = f"{module}.{node.op_type}" if module else node.op_type
            seen[name] += 1
            node.name = name if seen[name] == 1 else f"{name}_{seen[name]}"


def initializer(graph: onnx_ir.Graph, name: str, array: np.ndarray) -> onnx_ir.Value:
    """A constant of a graph, which now has it."""
    import onnx_ir

    tensor = onnx_ir.tensor(np.ascontiguousarray(array), name=name)
    value = onnx_ir.Value(name=name, shape=tensor.shape, type=onnx_ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value
