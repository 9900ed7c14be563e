"""Feeds requests to ONNX Runtime's calibrators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.measure.model.fixed import fixed
from edgesft.tasks.base import Batch

if TYPE_CHECKING:
    import onnx


def reader(model: onnx.ModelProto, requests: Sequence[Batch]) -> Any:
    """Feeds requests to ONNX Runtime's calibrator, in slices."""
    from onnxruntime.quantization import CalibrationDataReader

    names, shapes = [value.name for value in model.graph.input], fixed(model)

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rest = iter(requests)

        def __len__(self) -> int:
            return len(requests)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.rest = iter(requests[start_index:end_index])

        def get_next(self) -> dict[str, np.ndarray] | None:
            request = next(self.rest, None)
            if request is None:
                return None
            feeds = {name: request[name] for name in names}
            return shapes.pad(feeds) if shapes else feeds

    return Reader()
