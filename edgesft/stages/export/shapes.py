"""Fixed shapes, which compilers of accelerators want: free axes get sizes, and what only computed shapes goes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesft.errors import StageError
from edgesft.measure.model.fixed import Fixed, fix, free
from edgesft.measure.parity import compare
from edgesft.stages.export.checks import file_run
from edgesft.stages.quiet import quiet
from edgesft.stages.writing import write_model

if TYPE_CHECKING:
    import onnx

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

    Requests are from then on padded to the sizes, and answers cut back (`measure.model.fixed`).

    Args:
        source: ONNX file.
        target: File to write; may be the same.
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
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        place = Path(folder) / target.name
        write_model(folded(model), place)
        _check(source, place, requests[:COMPARED])
        for file in (place.with_name(f"{place.name}.data"), place):
            if file.is_file():
                file.replace(target.with_name(file.name))
    return done


def folded(model: onnx.ModelProto, most_bytes: int | None = None) -> onnx.ModelProto:
    """The model without nodes whose values are known.

    Args:
        model: Any.
        most_bytes: Of a value that is made of others or becomes a constant; by default the optimizer's own limits,
            which leave weights that are put together of others.
    """
    import onnx_ir
    from onnxscript import optimizer

    limits = {} if most_bytes is None else {"input_size_limit": most_bytes, "output_size_limit": most_bytes}
    program = onnx_ir.from_proto(model)
    with quiet():
        optimizer.optimize_ir(program, onnx_shape_inference=True, **limits)
    return onnx_ir.to_proto(program)


def _check(source: Path, target: Path, requests: Sequence[Mapping[str, np.ndarray]]) -> None:
    if not requests:
        return
    before, after = file_run({"model": source}), file_run({"model": target})
    apart = compare([before(feeds) for feeds in requests], [after(feeds) for feeds in requests], "fp32")
    if not apart.holds:
        worst = apart.worst
        raise StageError(
            f"'{source.name}' must give the same answers with fixed shapes, where requests are padded with zeros. Got "
            f"'{worst.name}' {worst.mismatch or f'off by {worst.relative:.2g} of its largest magnitude'}\n"
            "    Try: requests of one length, or a model with a mask"
        )
