"""Writes ONNX models that tools of others made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgesft.measure.model.facts import PROTOBUF_LIMIT_BYTES
from edgesft.measure.model.fixed import own_metadata

if TYPE_CHECKING:
    import onnx


def write_model(model: onnx.ModelProto, target: Path) -> None:
    """Writes a model without traces of the tools that made it, whole or not at all."""
    import onnx

    own_metadata(model)
    part = target.with_name(f"{target.name}.part")
    external = model.ByteSize() > PROTOBUF_LIMIT_BYTES
    onnx.save(model, str(part), save_as_external_data=external, location=f"{target.name}.data" if external else None)
    os.replace(part, target)
