"""`required_operators.config`: what a build of ONNX Runtime that is reduced to some models must have."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgesft.measure.model.facts import read_model, subgraphs
from edgesft.ship import ortwrite

OPERATORS = "required_operators.config"

STANDARD = "ai.onnx"
"""As ONNX Runtime's tools spell the standard domain."""


class Operators:
    """Operators that models need: domain → version since which they are what they are → names."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], set[str]] = defaultdict(set)

    def add_graph(self, path: Path) -> None:
        """Those of an ONNX file, which ONNX Runtime optimises when it loads it."""
        import onnx

        model = read_model(path)
        opsets = {entry.domain or STANDARD: entry.version for entry in model.opset_import}
        for graph in subgraphs(model.graph):
            for node in graph.node:
                domain = node.domain or STANDARD
                since = 1
                if domain == STANDARD:
                    since = onnx.defs.get_schema(node.op_type, opsets[STANDARD], "").since_version
                self._known[domain, since].add(node.op_type)

    def add_config(self, path: Path) -> None:
        """Those that ONNX Runtime's tool found in files of ORT's format, which are optimised already."""
        for line in path.read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                domain, since, names = line.split(";", 2)
                self._known[domain, int(since)].update(names.split(","))

    def text(self, files: Sequence[str]) -> str:
        """The file: `domain;version;operators`, as `--include_ops_by_config` of ONNX Runtime's build reads it.

        Args:
            files: Of which models, by their names in the bundle.
        """
        lines = [f"# {file}" for file in files]
        lines += [
            f"{domain};{since};{','.join(sorted(names))}" for (domain, since), names in sorted(self._known.items())
        ]
        return "\n".join(["# Generated from", *lines]) + "\n"


def to_ort(models: Mapping[str, Path], out: Path, needed: Operators) -> dict[str, Path]:
    """Converts models to ORT's format.

    Args:
        models: Name → folder with its graphs' ONNX files.
        out: Where to put them, each in a folder of its name.
        needed: Grows by what they need.

    Returns:
        Name → folder with a file in ORT's format for each graph.
    """
    from onnxruntime.tools.convert_onnx_models_to_ort import OptimizationStyle, convert_onnx_models_to_ort

    logging.getLogger("ort_format_model.utils").setLevel(logging.WARNING)
    made = {}
    for name, folder in models.items():
        convert_onnx_models_to_ort(folder, out / name, [OptimizationStyle.Fixed])
        made[name] = out / name
        for file in made[name].glob("*.ort"):
            file.write_bytes(ortwrite.canonical(file.read_bytes()))
        needed.add_config(out / name / OPERATORS)
    return made
