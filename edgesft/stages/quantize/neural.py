"""Static int8 by neural-compressor: the torch model is calibrated as a graph, and its ONNX form folded to int8."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import StageError, UnavailableError
from edgesft.stages.export.graph import dynamic_shapes, eager_attention, evaluating, save, tidy
from edgesft.stages.quantize.fold import fold_weights, quantize_tables
from edgesft.stages.quantize.plan import QuantizePlan, make_plan
from edgesft.stages.quiet import quiet
from edgesft.tasks.base import FRONT, Batch, Graph

if TYPE_CHECKING:
    from torch import nn

WRAPPED = "wrapped"
"""Attribute under which the wrapper holds the model; neural-compressor's export takes positional inputs only."""


def neural_static(
    graph: Graph,
    source: Path,
    target: Path,
    requests: Sequence[Batch],
    *,
    opset: int,
    per_channel: bool = True,
    exclude: Sequence[str] = (),
) -> QuantizePlan:
    """int8 weights and unsigned 8-bit activations with ranges that neural-compressor's PT2E quantizer sets.

    Its own ONNX form keeps weights in float behind QuantizeLinear; they are stored as int8 here. It leaves embedding
    tables alone; they are stored as int8 with one scale a table, so that the file shrinks as the other backend's.

    Args:
        graph: The torch graph, with its sample inputs and the axes that vary.
        source: Float ONNX file of the same model; says which nodes there are.
        target: File to write.
        requests: What the device sends, real rows.
        opset: Version of the standard operator set.
        per_channel: One weight scale an output channel.
        exclude: fnmatch patterns over the source's node names that stay in float; each must match.

    Returns:
        The plan that was carried out.

    Raises:
        InputError: A pattern matches no node.
        StageError: The model cannot be exported, or nothing was quantized.
        UnavailableError: neural-compressor is not installed.
    """
    plan = make_plan(source, "int8-static", backend="neural-compressor", per_channel=per_channel, exclude=exclude)
    try:
        with quiet():
            import neural_compressor.torch.quantization  # noqa: F401
    except ImportError as error:
        raise UnavailableError(
            f"'backend: neural-compressor' needs neural-compressor with PyTorch. Got: {error}",
            "pip install 'neural-compressor[pt]', or 'backend: onnxruntime'",
        ) from error
    with evaluating(graph.module), eager_attention(graph.module):
        try:
            with quiet():
                program = _program(graph, requests, plan, opset)
        except Exception as error:
            notes = "\n".join(getattr(error, "__notes__", ()))
            raise StageError(f"neural-compressor could not quantize the model: {error}\n{notes}".rstrip()) from error
    tidy(program, graph, prefix=f"{WRAPPED}.{graph.prefix}")
    if not fold_weights(program):
        raise StageError("neural-compressor must quantize weights. Got none in its ONNX form")
    tables = {node.name for node in program.graph if node.op_type == "Gather"}
    quantize_tables(program, tables.intersection(plan.quantized))
    target.parent.mkdir(parents=True, exist_ok=True)
    save(program, target)
    return plan


def _program(graph: Graph, requests: Sequence[Batch], plan: QuantizePlan, opset: int) -> Any:
    """Calibrates, converts and exports; the result still has its weights in float."""
    import torch
    from neural_compressor.torch.export import export
    from neural_compressor.torch.quantization import convert, prepare

    names, shapes = list(graph.inputs), tuple(dynamic_shapes(graph).values())
    sample = tuple(graph.inputs.values())
    # The wrapper takes any number of inputs, which torch.export sees as one argument holding them all.
    traced = export(_positional(graph), sample, dynamic_shapes=(shapes,))
    prepared = prepare(traced, _config(graph, plan))
    with torch.no_grad():
        for request in requests:
            prepared(*(torch.from_numpy(request[name]) for name in names))
        return torch.onnx.export(
            convert(prepared),
            sample,
            dynamo=True,
            dynamic_shapes=shapes,
            input_names=names,
            output_names=list(graph.outputs),
            opset_version=opset,
        ).model


def _config(graph: Graph, plan: QuantizePlan) -> Any:
    """Symmetric signed weights, asymmetric unsigned activations; what the plan leaves out stays in float."""
    from neural_compressor.torch.quantization import INT8StaticQuantConfig

    granularity = "per_channel" if plan.per_channel else "per_tensor"
    config = INT8StaticQuantConfig(w_granularity=granularity)
    modules = dict(graph.module.named_modules())
    for name in plan.excluded:
        front, owner = name.startswith(FRONT), name.rpartition(".")[0]
        owner = owner if front else f"{graph.prefix}{owner}"
        if owner in modules and (front or next(modules[owner].parameters(recurse=False), None) is not None):
            config.set_local(f"{WRAPPED}.{owner}", INT8StaticQuantConfig(w_dtype="fp32", act_dtype="fp32"))
    return config


def _positional(graph: Graph) -> nn.Module:
    """The graph's module with positional inputs and its named outputs as a tuple."""
    import torch

    class Positional(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.add_module(WRAPPED, graph.module)

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            outputs = getattr(self, WRAPPED)(**dict(zip(graph.inputs, inputs, strict=True)))
            if isinstance(outputs, torch.Tensor):
                return (outputs,)
            return tuple(outputs[name] for name in graph.outputs) if hasattr(outputs, "keys") else tuple(outputs)

    return Positional().eval()
