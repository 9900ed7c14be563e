"""Every operator of a graph in few bits, as NPUs want it that have no floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.measure.model.facts import read_inside
from edgesft.stages.quantize.plan import QuantizePlan
from edgesft.stages.quantize.reader import reader
from edgesft.tasks.base import FRONT, Batch

if TYPE_CHECKING:
    import onnx

WHOLE = ("u8u8", "u16u8")
"""Forms in which every operator is quantized."""

CUT = ("Clip", "Relu")
"""Operators that ONNX Runtime's quantizer makes part of how their outputs are rounded."""

MASKS, MASKED = -1e4, -100.0
"""Constants below the one mask attention; the other does, too."""


def quantize_whole(
    model: onnx.ModelProto, place: str, plan: QuantizePlan, requests: Sequence[Batch], method: Any, wide: bool
) -> None:
    """Every operator in unsigned 8 bits, or 16 of activations, as ONNX Runtime's own tool for QNN sets it.

    What a branch or a loop's body reads of a Relu or a Clip stays in float, see `between_convolutions`.
    """
    from onnxruntime.quantization import QuantType, quantize
    from onnxruntime.quantization.execution_providers.qnn import get_qnn_qdq_config

    soften_masks(model)
    kept = {name for name, why in plan.excluded.items() if why.startswith("exclude pattern")}
    kept |= {node.name for node in model.graph.node if node.name.startswith(FRONT)}
    read = read_inside(model.graph)
    kept |= {node.name for node in model.graph.node if node.op_type in CUT and not read.isdisjoint(node.output)}
    settings = get_qnn_qdq_config(
        model,
        reader(model, requests),
        calibrate_method=method,
        activation_type=QuantType.QUInt16 if wide else QuantType.QUInt8,
        weight_type=QuantType.QUInt8,
        # Calibrators keep every activation of what they are given at once, so they are given a row at a time.
        stride=1,
        nodes_to_exclude=sorted(kept) or None,
    )
    quantize(model, place, settings)


def soften_masks(model: onnx.ModelProto) -> None:
    """Makes what masks attention a number that a range can hold: -100 in place of the least float, in the model itself.

    A score of that distance from the others weighs e^-100 of them, which is nothing; the least float as the end of a
    range would leave one step for all scores.
    """
    from onnx import numpy_helper

    attributes = (each for node in model.graph.node if node.op_type == "Constant" for each in node.attribute)
    for tensor in (*model.graph.initializer, *(each.t for each in attributes if each.HasField("t"))):
        if tensor.data_type == tensor.FLOAT and numpy_helper.to_array(tensor).min(initial=0) < MASKS:
            softened = np.maximum(numpy_helper.to_array(tensor), np.float32(MASKED))
            tensor.CopyFrom(numpy_helper.from_array(softened, tensor.name))
