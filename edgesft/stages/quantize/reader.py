"""Feeds requests to ONNX Runtime's calibrators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.errors import InputError
from edgesft.measure.model.facts import axes
from edgesft.measure.model.fixed import fixed
from edgesft.tasks.base import Batch

if TYPE_CHECKING:
    import onnx


def reader(model: onnx.ModelProto, requests: Sequence[Batch]) -> Any:
    """Feeds requests to ONNX Runtime's calibrator, in slices.

    Raises:
        InputError: A request lacks an input, or one has another shape or type than the model's or holds NaN.
    """
    from onnxruntime.quantization import CalibrationDataReader

    names, shapes = inputs_of(model), fixed(model)
    feeds = [{name: _given(request, name, number) for name in names} for number, request in enumerate(requests)]
    feeds = [shapes.pad(each) if shapes else each for each in feeds]
    for number, each in enumerate(feeds):
        _check(each, names, number)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(feeds)

        def __len__(self) -> int:
            return len(feeds)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.rest = iter(feeds[start_index:end_index])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.rest, None)

    return Reader()


def inputs_of(model: onnx.ModelProto) -> dict[str, onnx.ValueInfoProto]:
    """What a model must be fed, by name; old files list their weights beside."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return {value.name: value for value in model.graph.input if value.name not in weights}


def _given(request: Batch, name: str, number: int) -> np.ndarray:
    if name not in request:
        got = ", ".join(request) or "nothing"
        raise InputError(f"calibration: request {number} must have the model's input '{name}'. Got: {got}")
    return np.asarray(request[name])


def _check(feeds: Batch, inputs: Mapping[str, onnx.ValueInfoProto], number: int) -> None:
    """Refuses what calibrators end at with errors of their own, or make ranges of that are wrong."""
    from onnx.helper import tensor_dtype_to_np_dtype

    for name, array in feeds.items():
        place, tensor = f"calibration: '{name}' of request {number}", inputs[name].type.tensor_type
        shape, kind = axes(inputs[name]), tensor_dtype_to_np_dtype(tensor.elem_type)
        free = [isinstance(size, str) or size == found for size, found in zip(shape, array.shape, strict=False)]
        if tensor.HasField("shape") and not (len(shape) == array.ndim and all(free)):
            raise InputError(f"{place} must have the shape {list(shape)}. Got: {list(array.shape)}")
        if kind not in (array.dtype, object):
            raise InputError(f"{place} must be {kind}. Got: {array.dtype}", f".astype('{kind}')")
        if array.dtype.kind == "f" and np.isnan(array).any():
            raise InputError(f"{place} must hold numbers. Got: NaN", "leave such rows out")
