"""A file of others as the chain has models: the task's names, constants built in, one size where it is fed with one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesft.stages.export.checks import file_run
from edgesft.stages.export.fitted import fitted
from edgesft.stages.export.shapes import fix_shapes, folded, sizes_of
from edgesft.stages.writing import write_model
from edgesft.tasks.base import Example, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.models.onnx_file import OnnxFile

WEIGHT_BYTES = 2**26
"""Of the largest weight that is put together of others when the file is written."""


def install(
    model: OnnxFile, task: Task, processor: Any, contract: Contract, examples: Sequence[Example], target: Path
) -> None:
    """Writes it, and runs it once. Weights that it puts together of others become such as stages find.

    Args:
        model: As the recipe names it.
        task: Says what is fed.
        processor: The task's.
        contract: The task's.
        examples: Encoded rows, at least one.
        target: File to write.

    Raises:
        InputError: It does not take what the rows give, or does not give what answers are made of.
        StageError: It does not run on what the rows give, or answers otherwise with fixed shapes.
    """
    import onnx

    requests = task.requests(examples, processor)
    inputs, outputs = task.names(contract)
    called, scores = model.called(inputs, outputs), bool(contract.labels)
    write_model(fitted(model.with_constants(), called, outputs, requests[0], scores=scores), target)
    # What may be of any length stays so.
    if not task.longest(contract) and (sizes := sizes_of(target, requests)):
        fix_shapes(target, target, sizes, requests)
    write_model(folded(onnx.load(str(target)), WEIGHT_BYTES), target)
    file_run({"model": target})(requests[0])
