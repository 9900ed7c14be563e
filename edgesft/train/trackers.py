"""TensorBoard, MLflow and Weights & Biases, through transformers' own callbacks."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from transformers import TrainerCallback, TrainingArguments
from transformers.integrations.integration_utils import get_reporting_integration_callbacks

FOLDER = "tensorboard"
"""In the run's folder."""

LOGGED = 10
"""Steps from one loss to the next."""


def watching(
    options: TrainingArguments, names: Sequence[str], label: str, folder: Path | None
) -> list[TrainerCallback]:
    """The callbacks that tell of a training elsewhere, and what they want of the Trainer's arguments.

    Args:
        options: Are made to log; where nobody watches they stay.
        names: `tensorboard`, `mlflow`, `wandb`.
        label: Of the training; names its run there.
        folder: Of the whole run, or None where it has none.
    """
    if not names:
        return []
    run = re.sub(r"[^\w.-]+", "-", label).strip("-")
    options.run_name = run
    options.logging_strategy, options.logging_steps = "steps", LOGGED
    found = [make() for make in get_reporting_integration_callbacks(list(names))]
    for callback in found:
        # Where a person says it otherwise, that holds.
        if hasattr(callback, "tb_writer") and folder and "TENSORBOARD_LOGGING_DIR" not in os.environ:
            callback.logging_dir = str(folder / FOLDER / run)
    return found
