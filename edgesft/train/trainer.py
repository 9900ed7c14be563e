"""transformers' Trainer, made to train on a list of batches, exactly resumable, saying nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from edgesft import processes
from edgesft.budget.metric import fall
from edgesft.errors import StageError
from edgesft.progress import Advance
from edgesft.spec.training import ResolvedTraining
from edgesft.train.average import Average
from edgesft.train.checkpoint import WEIGHTS, restore_weights, write_weights
from edgesft.train.depth import rates
from edgesft.train.gradient import Gradient
from edgesft.train.resume import Checkpoints, Record
from edgesft.train.tables import TableAdamW, clip
from edgesft.train.workers import Exchange

SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant_with_warmup"}
"""Our names of the schedules → transformers'."""

ROWS = 8
"""Training rows that a message names."""


@dataclass(frozen=True)
class Plan:
    """What a training does besides the optimiser's steps.

    Attributes:
        evaluate: Metrics of the model as it is.
        deciding: The metric that the best weights are chosen by.
        settings: How to train.
        evaluations: Steps after which to evaluate, and to write a checkpoint.
        checkpoint_seconds: Longest time between two checkpoints, to the next step.
        started: When the training would have begun, had one process done all of it (`time.monotonic()`).
        advance: Moves the bar.
        say: Tells the person.
        numbers: What messages call each training row.
    """

    evaluate: Callable[[], Mapping[str, float]]
    deciding: str
    settings: ResolvedTraining
    evaluations: frozenset[int]
    checkpoint_seconds: float
    started: float
    advance: Advance
    say: Callable[[str], None]
    numbers: Sequence[int]


def arguments(settings: ResolvedTraining, folder: Path, seed: int) -> TrainingArguments:
    """Trainer's arguments: one pass over a list of ready batches; when to log, evaluate and save is ours to say."""
    options = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=1,
        per_device_train_batch_size=1,
        train_sampling_strategy="sequential",
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        # Trainer reads a number below 1 as a share of the steps.
        warmup_steps=settings.warmup,
        lr_scheduler_type=SCHEDULES[settings.schedule],
        max_grad_norm=settings.max_grad_norm,
        seed=seed,
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        log_level="error",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    # Without this, several GPUs would each take a step's batch and average: another training than on one.
    options._n_gpu = min(options.n_gpu, 1)
    return options


class _Hidden(nn.Module):
    """Keeps Trainer from the model inside, whose configuration it would change and whose loss it would guess."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model


class StepTrainer(Trainer):
    """Trains on `Steps`; `record` tells at every moment what was done and which step was best."""

    def __init__(
        self,
        options: TrainingArguments,
        plan: Plan,
        checkpoints: Checkpoints,
        record: Record,
        gradient: Gradient,
        batches: Dataset[dict[str, Any]],
        exchange: Exchange | None,
        watchers: Sequence[TrainerCallback] = (),
    ) -> None:
        self._subject, self._plan, self._record = gradient.model, plan, record
        self._rate = 0.0
        self._gradient, self._exchange, self._watched = gradient, exchange, bool(watchers)
        record.parts = gradient.parts = max(record.parts, plan.settings.accumulation)
        pace = _Pace(plan, record, checkpoints)
        super().__init__(
            _Hidden(self._subject),
            options,
            data_collator=lambda items: items[0],
            train_dataset=batches,
            callbacks=[pace, *watchers],
        )
        # Only now are the weights on the device that trains them.
        self.average = pace.average = Average(self._subject, plan.settings.average) if plan.settings.average else None
        self.remove_callback(PrinterCallback)

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """The gradient of one step, with the help of the other processes where there are some.

        Raises:
            StageError: The loss is infinite or not a number, or the memory suffices for no single row.
        """
        step, record = self.state.global_step, self._record
        if self._exchange:
            self._exchange.begin(step)
        loss = self._gradient.add(step, inputs, processes=processes.count())
        if self._exchange:
            loss = self._exchange.combine(loss)
        if not math.isfinite(loss):
            raise self._no_number(loss)
        if self._gradient.parts > record.parts:
            record.parts = self._gradient.parts
            self._plan.say(f"out of memory: batches are now computed in {record.parts} parts")
        record.loss_sum += loss
        record.loss_steps += 1
        self._rate = self._get_learning_rate()
        metrics = record.history[-1]["metrics"] if record.history else {}
        self._plan.advance(1, loss=loss, learning_rate=self._rate, **metrics)
        return torch.tensor(loss, device=self.args.device)

    def _no_number(self, loss: float) -> StageError:
        step = self.state.global_step
        rows = sorted(self._plan.numbers[int(row)] for row in self._gradient.steps.rows(step))
        shown = ", ".join(map(str, rows[:ROWS])) + (f" and {len(rows) - ROWS} more" if len(rows) > ROWS else "")
        kept = f"; the checkpoint of step {self._record.step} is kept" if self._record.step else ""
        return _diverged(f"the loss of step {step + 1} is {loss}, on the training rows {shown}{kept}")

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW as Trainer makes it, which takes the sparse gradients of tables as well."""
        if self.optimizer is None:  # type: ignore[has-type]
            # A lone number is no weight; torch's attention has names of weights that are not there.
            there = dict(self._subject.named_parameters(remove_duplicate=False))
            names = self.get_decay_parameter_names(self._subject)
            decayed = {name for name in names if name in there and there[name].dim()}
            shares = rates(self._subject, self._plan.settings.layer_decay)
            groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
            for name, parameter in self._subject.named_parameters():
                if parameter.requires_grad:
                    groups.setdefault((-shares[name], name not in decayed), []).append(parameter)
            _, options = self.get_optimizer_cls_and_kwargs(self.args, self._subject)
            # The rate of the first group is the one that is told.
            self.optimizer = TableAdamW(
                [
                    {
                        "params": each,
                        "lr": -share * options["lr"],
                        "weight_decay": 0.0 if plain else self.args.weight_decay,
                    }
                    for (share, plain), each in sorted(groups.items(), key=lambda item: item[0])
                ],
                **options,
            )
        return self.optimizer

    def _clip_grad_norm(self, model: nn.Module) -> torch.Tensor:
        return clip(list(self.model.parameters()), float(self.args.max_grad_norm))

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Metrics on the validation rows, put into the record.

        Raises:
            StageError: A weight is infinite or not a number.
        """
        step, record = self.state.global_step, self._record
        if not all(bool(torch.isfinite(weight).all()) for weight in self._subject.parameters()):
            raise _diverged(f"a weight after step {step} is infinite or not a number")
        with self.average.in_place() if self.average else nullcontext():
            metrics = dict(self._plan.evaluate())
        deciding = self._plan.deciding
        better = not record.best or fall(record.best[deciding], metrics[deciding]) <= 0
        if better or self._plan.settings.selection == "last":
            record.best_step, record.best = step, metrics
        loss = record.loss_sum / max(record.loss_steps, 1)
        record.history.append({"step": step, "loss": loss, "learning_rate": self._rate, "metrics": metrics})
        record.loss_sum, record.loss_steps = 0.0, 0
        if self._watched:
            self.log({"loss": loss, "learning_rate": self._rate, **{f"eval_{name}": metrics[name] for name in metrics}})
        self.control.should_evaluate = False
        if self._plan.settings.patience is not None and record.stale(deciding) >= self._plan.settings.patience:
            self.control.should_training_stop = True
        return metrics

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The weights alone, as the artefacts keep them."""
        folder = Path(output_dir or str(self.args.output_dir))
        folder.mkdir(parents=True, exist_ok=True)
        write_weights(self._subject, folder / WEIGHTS)
        if self.average:
            self.average.save(folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        restore_weights(self._subject, Path(resume_from_checkpoint) / WEIGHTS)
        if self.average:
            self.average.load(Path(resume_from_checkpoint))


class _Pace(TrainerCallback):
    """Says when to evaluate and save, and makes what was saved count."""

    def __init__(self, plan: Plan, record: Record, checkpoints: Checkpoints) -> None:
        self._plan, self._record, self._checkpoints = plan, record, checkpoints
        self.average: Average | None = None
        self._saved = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.average:
            self.average.update(state.global_step)
        control.should_evaluate = state.global_step in self._plan.evaluations
        late = time.monotonic() - self._saved >= self._plan.checkpoint_seconds
        control.should_save = control.should_evaluate or late

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._record.step = state.global_step
        self._record.seconds = time.monotonic() - self._plan.started
        self._checkpoints.commit(self._record)
        self._saved = time.monotonic()


def _diverged(what: str) -> StageError:
    return StageError(f"training: {what}\n    Try: a lower learning rate (learning_rate), or arithmetic: fp32")
