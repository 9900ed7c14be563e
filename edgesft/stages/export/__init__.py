"""Conversion to ONNX: one file a graph, named and stripped, checked against torch on real rows."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import StageError
from edgesft.measure.model.facts import read_facts
from edgesft.spec.stages import ExportSpec
from edgesft.stages.artefact import CONTRACT, TOKENIZER, Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.export.checks import PARITY_ROWS, check_file, parity, spread
from edgesft.stages.export.graph import convert, save
from edgesft.stages.export.shapes import fix_shapes, sizes_of
from edgesft.tasks.base import Example, Graph, Task
from edgesft.tasks.contract import Contract

if TYPE_CHECKING:
    from torch import nn

SAMPLE_ROWS = 2
"""Rows that the sample inputs are made of: torch.export would take an axis of 1 for fixed."""

DEVICE_FILES = (TOKENIZER, "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
"""What a device reads where there is a fast tokenizer."""


def run(spec: ExportSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Exports a torch artefact and proves on the saved files that they are what was asked.

    Raises:
        StageError: The export failed, or its file differs from the model in answers, types or size.
    """
    from edgesft.train.checkpoint import load

    opset = spec.opset or context.profile.opset
    task, processor, rows = context.task, context.processor, context.validation
    model = load(artefact.path, task)
    context.progress.say(f"export: opset {opset}")
    graphs = export_onnx(model, task, processor, rows, artefact.contract, out, opset=opset)
    files = {graph.name: file_of(graph, out) for graph in graphs}
    facts = {graph.name: check_file(files[graph.name], graph, opset) for graph in graphs}
    apart = parity(files, graphs, task, processor, rows)
    if not apart.difference <= spec.tolerance:
        raise StageError(
            f"the export's answers must be within {spec.tolerance:g} of torch's. "
            f"Got {apart.difference:g} on {apart.rows} validation rows\n"
            "    Try: another opset, or a wider 'tolerance' if the metric holds"
        )
    fixed = {}
    if context.profile.static_shapes:
        fixed = {name: _fixed(file, context, rows) for name, file in files.items()}
        facts = {name: read_facts(file) for name, file in files.items()}
    size = sum(fact.size_bytes for fact in facts.values())
    return StageReport(
        f"opset {opset}, {size / 1e6:.1f} MB, within {apart.difference:.1e} of torch{_told(fixed)}",
        {
            "parity": {"max_abs_difference": apart.difference, "calls": apart.calls, "rows": apart.rows},
            "tolerance": spec.tolerance,
            "opset": opset,
            "fixed": fixed,
            "graphs": {name: fact.to_json() for name, fact in facts.items()},
        },
    )


def _fixed(file: Path, context: StageContext, rows: Sequence[Example]) -> dict[str, int]:
    """Gives a file's free axes the largest sizes that requests may have, in its place; what they are."""
    requests = context.task.requests(spread(rows, PARITY_ROWS), context.processor)
    sizes = {**sizes_of(file, requests), **context.task.longest(context.contract)}
    free = {name: size for name, size in sizes.items() if name in sizes_of(file, requests)}
    if free:
        fix_shapes(file, file, free, requests)
    return free


def _told(fixed: Mapping[str, Mapping[str, int]]) -> str:
    sizes = {name: size for each in fixed.values() for name, size in each.items()}
    return f", fixed at {', '.join(f'{name} {size}' for name, size in sizes.items())}" if sizes else ""


def export_onnx(
    model: nn.Module,
    task: Task,
    processor: Any,
    examples: Sequence[Example],
    contract: Contract,
    out: Path,
    *,
    opset: int,
) -> list[Graph]:
    """Fills a folder with the model's ONNX files, the processor's files that a device needs, and the contract.

    The same weights give the same bytes. Widths may differ from layer to layer.

    Args:
        model: Left as it was.
        task: Says which graphs there are, and which axes vary.
        processor: Goes along.
        examples: Encoded rows; the middle ones by size become the sample inputs.
        contract: Goes along.
        out: Folder, made if it is not there.
        opset: Version of the standard operator set.

    Returns:
        The graphs that were exported, for checking the files against them.

    Raises:
        StageError: The model cannot be exported.
    """
    out.mkdir(parents=True, exist_ok=True)
    middle = spread(examples, SAMPLE_ROWS + 2)[1:-1] or list(examples)
    graphs = task.graphs(model, processor, middle)
    for graph in graphs:
        save(convert(graph, opset=opset), file_of(graph, out))
    save_companions(processor, contract, out)
    return graphs


def file_of(graph: Graph, folder: Path) -> Path:
    """Where a graph's file lies."""
    return folder / f"{graph.name}.onnx"


def save_companions(processor: Any, contract: Contract, out: Path) -> None:
    """Writes what the device needs besides the graphs."""
    with tempfile.TemporaryDirectory(dir=out) as folder:
        processor.save_pretrained(folder)
        written = {place.name: place for place in Path(folder).iterdir() if place.is_file()}
        for name, place in written.items():
            if TOKENIZER not in written or name in DEVICE_FILES:
                place.replace(out / name)
    (out / CONTRACT).write_text(contract.text(), "utf-8")
