"""Fixed shapes, which compilers of accelerators want: free axes get sizes, and what only computed shapes goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from edgesft.errors import StageError
from edgesft.measure.model.fixed import Fixed, fix, free
from edgesft.measure.parity import compare
from edgesft.stages.export.checks import file_run
from edgesft.stages.quantize.ort import write_model

COMPARED = 4
"""Requests whose answers must stay the same."""


def sizes_of(model: Path, requests: Sequence[Mapping[str, np.ndarray]]) -> dict[str, int]:
    """Free axis of a model → the largest size that it has among requests; empty where no axis is free."""
    import onnx

    found: dict[str, int] = {}
    for name, axes in free(onnx.load(str(model), load_external_data=False)).inputs.items():
        for place, called in axes.items():
            seen = [np.shape(feeds[name])[place] for feeds in requests if name in feeds]
            found[called] = max([found.get(called, 1), *seen])
    return found


def fix_shapes(
    source: Path, target: Path, sizes: Mapping[str, int], requests: Sequence[Mapping[str, np.ndarray]]
) -> Fixed:
    """Writes a model whose free axes have sizes, and without the nodes that only computed shapes.

    ONNX Runtime folds those away at its basic level, which writes standard operators alone. Requests are from then on
    padded to the sizes, and answers cut back (`measure.model.fixed`).

    Args:
        source: ONNX file.
        target: File to write.
        sizes: Free axis → its size.
        requests: Real ones, which the model must answer as before.

    Raises:
        InputError: An axis has no size, or a request is longer.
        StageError: The answers changed: zeros behind a request are not masked away.
    """
    import onnx

    model = onnx.load(str(source))
    done = fix(model, sizes)
    target.parent.mkdir(parents=True, exist_ok=True)
    raw = target.with_name(f"raw-{target.name}")
    write_model(model, raw)
    folded = _folded(raw, target.with_name(f"folded-{target.name}"))
    write_model(onnx.load(str(folded)), target)
    for place in (raw, folded):
        place.unlink()
        place.with_name(f"{place.name}.data").unlink(missing_ok=True)
    _check(source, target, requests[:COMPARED])
    return done


def _folded(source: Path, target: Path) -> Path:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(target)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    return target


def _check(source: Path, target: Path, requests: Sequence[Mapping[str, np.ndarray]]) -> None:
    if not requests:
        return
    before, after = file_run({"model": source}), file_run({"model": target})
    apart = compare([before(feeds) for feeds in requests], [after(feeds) for feeds in requests], "fp32")
    if not apart.holds:
        worst = apart.worst
        raise StageError(
            f"'{source.name}' must answer alike with fixed shapes: zeros behind a request must not count in it. Got "
            f"'{worst.name}' {worst.mismatch or f'off by {worst.relative:.2g} of its largest magnitude'}\n"
            "    Try: requests of one length, or a model with a mask"
        )
