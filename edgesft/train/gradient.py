"""The gradient of a step: of all its rows, or of those that one of several processes has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers.trainer_utils import set_seed

from edgesft.errors import StageError
from edgesft.spec.training import ResolvedTraining
from edgesft.train.batches import DROPOUT, Steps, stream
from edgesft.train.depth import depths, freeze, lowest
from edgesft.train.dropout import ByteDropout
from edgesft.train.environment import out_of_memory, release_memory
from edgesft.train.objective import Objective
from edgesft.train.regularisation import penalty

RELEASE = 10
"""Steps after which freed memory goes back to the system: each batch has another shape, and what earlier ones left in
the heap rarely fits. So many cost no time that could be measured."""


@dataclass
class Gradient:
    """Adds the gradient of a step to the parameters, in parts where it is asked or the memory does not suffice.

    It can be pickled, and so be sent to the processes that help. The parts' losses, and the processes', are weighted by
    their rows: where a loss is a mean over tokens, that differs a little from the mean over all tokens of the batch.

    Attributes:
        model: What is trained, where it is trained.
        objective: What is minimised.
        steps: The batches.
        settings: How to train.
        seed: Of the run.
        bf16: Whether the objective runs under bfloat16 autocast.
        parts: In how many parts at least each batch is computed; grows where the memory does not suffice.
    """

    model: nn.Module
    objective: Objective
    steps: Steps
    settings: ResolvedTraining
    seed: int
    bf16: bool
    parts: int = 1

    @cached_property
    def _depths(self) -> dict[str, int]:
        return depths(self.model) if self.settings.unfreeze in ("head", "gradual") else {}

    @cached_property
    def _normalised(self) -> bool:
        """Whether the rows of a part are normalised by each other."""
        return any(isinstance(module, _BatchNorm) for module in self.model.modules())

    def add(self, step: int, batch: Mapping[str, torch.Tensor], rank: int = 0, processes: int = 1) -> float:
        """Adds the gradient of a step's loss, penalties included, as far as it comes from this process's rows.

        Dropout depends on seed, step and rank alone.

        Args:
            step: Counted from 0.
            batch: All rows of the step.
            rank: Which of the processes this is; each has every so-many-th row.
            processes: How many there are.

        Returns:
            The loss, as far as it comes from these rows.

        Raises:
            StageError: The memory suffices for no single row.
        """
        if step % RELEASE == 0:
            release_memory()
        if self._depths:
            least = lowest(self.settings.unfreeze, max(self._depths.values()), step, len(self.steps))
            freeze(self.model, self._depths, least)
        self.model.train()
        every = len(batch["labels"])
        if processes > 1:
            batch = {name: values[rank::processes] for name, values in batch.items()}
        rows, parts = len(batch["labels"]), math.ceil(self.steps.parts(step) / processes)
        while rows:
            set_seed(int(stream(self.seed, DROPOUT, step).generate_state(rank + 1)[rank]))
            try:
                return self._in_parts(batch, every, min(max(self.parts, parts), rows))
            except (torch.OutOfMemoryError, RuntimeError) as error:
                if not out_of_memory(error):
                    raise
                if self.parts >= rows:
                    raise StageError(f"training: the memory must suffice for a row of step {step + 1}") from error
            self.parts *= 2
            self.model.zero_grad()
        return 0.0

    def _in_parts(self, batch: Mapping[str, torch.Tensor], every: int, parts: int) -> float:
        rows, total = len(batch["labels"]), 0.0
        firsts = cuts(rows, parts, 2 if self._normalised else 1)
        device = next(self.model.parameters()).device
        for first, end in zip(firsts, (*firsts[1:], rows), strict=True):
            part = {name: values[first:end].to(device) for name, values in batch.items()}
            loss = self._loss(part) * (len(part["labels"]) / every)
            loss.backward()
            total += float(loss.detach())
        return total

    def _loss(self, batch: Mapping[str, Any]) -> torch.Tensor:
        device = batch["labels"].device.type
        with torch.autocast(device, torch.bfloat16, enabled=self.bf16), ByteDropout():
            loss = self.objective(self.model, batch)
        if self.settings.l1 or self.settings.l2:
            loss = loss + penalty(self.model, self.settings.l1, self.settings.l2)
        return loss


def cuts(rows: int, parts: int, least: int) -> list[int]:
    """Where parts of a batch begin: none has fewer rows than `least`, as far as there are so many."""
    size = max(least, math.ceil(rows / parts))
    firsts = list(range(0, rows, size))
    return firsts[:-1] if len(firsts) > 1 and rows - firsts[-1] < least else firsts
