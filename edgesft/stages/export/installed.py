"""A file of others as the chain has models: constants built in, and one size where it is always fed with that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesft.stages.export.checks import file_run
from edgesft.stages.export.shapes import fix_shapes, folded, sizes_of
from edgesft.stages.writing import write_model
from edgesft.tasks.base import Example, Task
from edgesft.tasks.brought import Brought

WEIGHT_BYTES = 2**26
"""Of the largest weight that is put together of others when the file is written."""


def install(model: Brought, task: Task, processor: Any, examples: Sequence[Example], target: Path) -> None:
    """Writes it, and runs it once. Weights that it puts together of others become such as stages find.

    Args:
        model: As the recipe names it.
        task: Says what is fed.
        processor: The task's.
        examples: Encoded rows, at least one.
        target: File to write.

    Raises:
        StageError: It does not run on what the rows give, or answers otherwise with fixed shapes.
    """
    import onnx

    write_model(model.with_constants(), target)
    requests = task.requests(examples, processor)
    if sizes := sizes_of(target, requests):
        fix_shapes(target, target, sizes, requests)
    write_model(folded(onnx.load(str(target)), WEIGHT_BYTES), target)
    file_run({"model": target})(requests[0])
