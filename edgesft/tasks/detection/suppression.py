"""Suppression of boxes within the exported graph, by ONNX's NonMaxSuppression. Imports torch.

The graph keeps its outputs and gets one more, `kept`: which scores are left. That way no answer is in an order or of a
length that a rounding changes, and files are compared as those of any other model.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from onnxscript import opset20 as op
from torch import nn

from edgesft.data.media.image import LEAST_SCORE, surest
from edgesft.errors import InputError
from edgesft.tasks.base import Graph
from edgesft.tasks.detection.boxes import KEPT


@torch.library.custom_op("edgesft::kept", mutates_args=())
def kept(boxes: torch.Tensor, scores: torch.Tensor, iou: float, most: int) -> torch.Tensor:
    """Which scores are left of each class, bool of the shape of the scores.

    Args:
        boxes: Centre and sides, [rows, places, 4].
        scores: Probabilities, [rows, places, classes].
        iou: A box goes that overlaps a surer one of its class by more than this.
        most: Boxes of a class.
    """
    pairs = zip(boxes.numpy(force=True), scores.numpy(force=True), strict=True)
    found = [torch.from_numpy(surest(said, sure, iou, most)) for said, sure in pairs]
    return torch.stack(found).to(boxes.device)


@kept.register_fake
def _(boxes: torch.Tensor, scores: torch.Tensor, iou: float, most: int) -> torch.Tensor:
    return torch.empty_like(scores, dtype=torch.bool)


def _onnx(boxes: Any, scores: Any, iou: float, most: int) -> Any:
    limits = (op.Constant(value_ints=[most]), op.Constant(value_floats=[iou]), op.Constant(value_floats=[LEAST_SCORE]))
    by_class = op.Transpose(scores, perm=[0, 2, 1])
    chosen = op.NonMaxSuppression(boxes, by_class, *limits, center_point_box=1)  # of row, class and place
    places = op.Gather(chosen, op.Constant(value_ints=[0, 2, 1]), axis=1)
    count = op.Shape(places, start=0, end=1)
    none = op.Less(scores, op.Constant(value_float=0.0))  # probabilities are not negative
    some = op.Expand(op.Cast(op.Constant(value_int=1), to=9), count)
    return op.ScatterND(none, places, some)


OPERATORS: Mapping[Any, Any] = {torch.ops.edgesft.kept.default: _onnx}
"""How the exporter writes them."""


def within(graph: Graph, classes: int, iou: float, most: int) -> Graph:
    """The graph of a detector that suppresses boxes itself.

    Args:
        graph: As without.
        classes: How many scores a place has.
        iou: See `kept`.
        most: See `kept`.
    """

    def suppress(module: nn.Module, inputs: Any, outputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        logits, boxes = outputs["logits"], outputs["pred_boxes"]
        if logits.shape[2] != classes:
            message = "data.boxes.suppression: must be left out for a detector with a 'no object' score, got graph"
            raise InputError(message, "such a detector predicts each object once, so nothing needs to be suppressed")
        return {**outputs, KEPT: torch.ops.edgesft.kept(boxes, logits.sigmoid(), iou, most)}

    module = copy.deepcopy(graph.module)
    module.register_forward_hook(suppress)
    return replace(graph, module=module, outputs=(*graph.outputs, KEPT), operators=OPERATORS)
