"""What Olive makes of an ONNX model, each candidate in a folder of its own: run by the Python of Olive's environment.

    python bench/olive_passes.py MODEL.onnx ROWS.npz FOLDER

ROWS holds one request's inputs as `number/name`. Passes have Olive's defaults; static quantization gets these rows.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from olive.data.config import DataComponentConfig, DataConfig
from olive.data.registry import Registry
from olive.model import ONNXModelHandler
from olive.passes.olive_pass import create_pass_from_dict
from olive.passes.onnx.peephole_optimizer import OnnxPeepholeOptimizer
from olive.passes.onnx.quantization import OnnxDynamicQuantization, OnnxStaticQuantization
from olive.passes.onnx.transformer_optimization import OrtTransformersOptimization


class Rows:
    """Requests with a label that nobody reads, as Olive's loaders want them."""

    def __init__(self, file: Path) -> None:
        self._rows: dict[int, dict[str, np.ndarray]] = {}
        with np.load(file) as found:
            for place in found.files:
                number, name = place.split("/", 1)
                self._rows.setdefault(int(number), {})[name] = found[place]

    def __iter__(self) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        return ((row, 0) for row in self._rows.values())

    def __len__(self) -> int:
        return len(self._rows)


def main() -> None:
    """Makes the candidates; says which of them cannot be made."""
    model, rows, folder = map(Path, sys.argv[1:])

    @Registry.register_dataset("rows")
    def dataset(**_: Any) -> Rows:
        return Rows(rows)

    @Registry.register_dataloader("as_they_are")
    def loader(dataset: Rows, **_: Any) -> Rows:
        return dataset

    data = DataConfig(
        name="rows",
        type="DataContainer",
        load_dataset_config=DataComponentConfig(type="rows"),
        pre_process_data_config=DataComponentConfig(type="skip_pre_process"),
        post_process_data_config=DataComponentConfig(type="skip_post_process"),
        dataloader_config=DataComponentConfig(type="as_they_are"),
    )
    fused = (OrtTransformersOptimization, {"model_type": "bert"})
    chains = {
        "fusions": [fused],
        "fusions, int8 dynamic": [fused, (OnnxDynamicQuantization, {})],
        "int8 dynamic": [(OnnxPeepholeOptimizer, {}), (OnnxDynamicQuantization, {})],
        "int8 static": [(OnnxPeepholeOptimizer, {}), (OnnxStaticQuantization, {"data_config": data})],
    }
    for name, passes in chains.items():
        try:
            with tempfile.TemporaryDirectory() as work:
                made = ONNXModelHandler(str(model))
                for number, (kind, config) in enumerate(passes):
                    one = create_pass_from_dict(kind, config, disable_search=True)
                    made = one.run(made, str(Path(work, str(number))))
                content = Path(made.model_path).read_bytes()
        except Exception as error:  # whatever a pass raises on a model that it does not know
            print(f"Olive, {name}: {type(error).__name__}: {error}", file=sys.stderr)
            continue
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.onnx").write_bytes(content)


if __name__ == "__main__":
    main()
