"""Objectives that learn from a teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.tasks.base import Task
from edgesft.train.channels import arranged
from edgesft.train.losses import hidden_mse, related, soft_targets
from edgesft.train.objective import ROWS, Objective, inputs_of
from edgesft.train.recording import answered, features, last_attention, recording

HiddenLoss = Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor], torch.Tensor | None], torch.Tensor]
"""`hidden(student states, teacher states, mask) -> scalar`."""


def teacher_objective(
    task: Task,
    teacher: nn.Module | torch.Tensor,
    *,
    temperature: float,
    hard_weight: float,
    label_smoothing: float = 0.0,
    class_weights: torch.Tensor | None = None,
    hidden: HiddenLoss | None = None,
    hidden_weight: float = 0.0,
    places: Sequence[str] = (),
    relations: Relations | None = None,
    relation_weight: float = 0.0,
) -> Objective:
    """hard_weight · task loss + (1 - hard_weight) · soft targets + hidden_weight · hidden states + relation_weight ·
    relations.

    Args:
        task: Gives the loss and the logits of an output.
        teacher: Runs on the same batch, without gradients, in evaluation mode; it is frozen. Or what it answered to
            each training row, shape [rows, choices], where nothing changes the rows and `hidden` is None.
        temperature: Softens both distributions.
        hard_weight: Weight of the labels in [0, 1]; the teacher's logits weigh the rest.
        label_smoothing: Share of the target spread over all classes.
        class_weights: One a class for the labels' part, or None where all weigh alike.
        hidden: Compares the hidden states, such as `Student.hidden_loss`; None compares logits alone.
        hidden_weight: Weight of `hidden`.
        places: Modules of both models: what they read is compared in place of hidden states.
        relations: Which attentions are compared, if any.
        relation_weight: Weight of their divergence.
    """
    return partial(
        _taught_loss,
        task=task,
        teacher=arranged(teacher.eval().requires_grad_(False)) if isinstance(teacher, nn.Module) else teacher,
        temperature=temperature,
        hard_weight=hard_weight,
        label_smoothing=label_smoothing,
        class_weights=class_weights,
        hidden=hidden,
        hidden_weight=hidden_weight,
        places=tuple(places),
        relations=relations,
        relation_weight=relation_weight,
    )


def _taught_loss(
    model: nn.Module,
    batch: Mapping[str, Any],
    *,
    task: Task,
    teacher: nn.Module | torch.Tensor,
    temperature: float,
    hard_weight: float,
    label_smoothing: float,
    class_weights: torch.Tensor | None,
    hidden: HiddenLoss | None,
    hidden_weight: float,
    places: tuple[str, ...],
    relations: Relations | None,
    relation_weight: float,
) -> torch.Tensor:
    inputs, labels = inputs_of(batch), batch["labels"]
    ours, theirs = (relations.student, relations.teacher) if relations else ((), ())
    if isinstance(teacher, nn.Module):
        teacher.to(labels.device)
        with torch.no_grad():
            taught, shown, kin = _run(teacher, inputs, places, theirs, hidden_states=bool(hidden))
        answers = task.distributions(taught, batch)
    else:
        answers = teacher[batch[ROWS].to(teacher.device)].to(labels.device)
    outputs, states, attended = _run(model, inputs, places, ours, hidden_states=bool(hidden))
    weights = None if class_weights is None else class_weights.to(labels.device)
    hard = task.loss(outputs, labels, label_smoothing=label_smoothing, class_weights=weights)
    own = task.distributions(outputs, batch)
    apart = task.divergence(own, answers)
    soft = soft_targets(own, answers, temperature) if apart is None else apart
    loss = hard_weight * hard + (1 - hard_weight) * soft
    mask = inputs.get("attention_mask")
    if hidden:
        loss = loss + hidden_weight * hidden(states, shown, mask)
    if relations:
        loss = loss + relation_weight * related(attended, kin, mask, relations.heads)
    return loss


def _run(
    model: nn.Module, inputs: Mapping[str, Any], places: Sequence[str], linears: Sequence[str], *, hidden_states: bool
) -> tuple[Any, Sequence[torch.Tensor], Sequence[torch.Tensor]]:
    """A model's outputs; its hidden states, or what the places read; and what the linears answered."""
    extra = {"output_hidden_states": True} if hidden_states and not places else {}
    inner: nn.Module = model.student if isinstance(model, Student) else model
    with recording(inner, places, features) as read, recording(inner, linears, answered) as said:
        outputs = model(**inputs, **extra)
    return outputs, outputs["hidden_states"] if extra else read, said


@dataclass(frozen=True)
class Relations:
    """The last attention that each of two models has.

    Attributes:
        student: Names of the linears that make queries, keys and values.
        teacher: The same of the teacher.
        heads: Relation heads; divides the widths of both.
    """

    student: tuple[str, ...]
    teacher: tuple[str, ...]
    heads: int

    @classmethod
    def of(cls, student: nn.Module, teacher: nn.Module) -> Relations:
        """As many heads as both widths allow.

        Raises:
            InputError: One of them has no attention that is known.
        """
        names = [last_attention(model) for model in (student, teacher)]
        widths = [
            int(model.get_submodule(name[0]).out_features)  # type: ignore[arg-type]
            for model, name in zip((student, teacher), names, strict=True)
        ]
        return cls(names[0], names[1], math.gcd(*widths))


class Student(nn.Module):
    """A student with the projections that compare its hidden states with a teacher's of other widths.

    It is what trains and what checkpoints hold; `student` alone is what is kept in the end.
    """

    def __init__(
        self,
        student: nn.Module,
        widths: Sequence[int],
        teacher_widths: Sequence[int],
        seed: int,
        matches: Sequence[int] | None = None,
    ) -> None:
        """Makes the projections.

        Args:
            student: Called as it is.
            widths: Of the student's hidden states, the embeddings' first.
            teacher_widths: Of the teacher's.
            seed: Of the projections' initial weights.
            matches: Which of the teacher's each of the student's is compared with; by default as `matched` has it.
        """
        super().__init__()
        self.student = student
        self._matches = tuple(matches or matched(len(widths), len(teacher_widths)))
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.projections = nn.ModuleList(
                nn.Identity() if width == teacher_widths[match] else nn.Linear(width, teacher_widths[match])
                for width, match in zip(widths, self._matches, strict=True)
            )

    def forward(self, **inputs: Any) -> Any:
        """The student's outputs."""
        return self.student(**inputs)

    def hidden_loss(
        self, states: Sequence[torch.Tensor], taught: Sequence[torch.Tensor], mask: torch.Tensor | None
    ) -> torch.Tensor:
        """Mean over the student's hidden states of their error against the matched ones of the teacher."""
        losses = [
            hidden_mse(state, taught[match], mask, projection)
            for state, match, projection in zip(states, self._matches, self.projections, strict=True)
        ]
        return torch.stack(losses).mean()


def matched(count: int, teacher_count: int) -> tuple[int, ...]:
    """Which of the teacher's hidden states each of the student's is compared with.

    Embeddings with embeddings, last with last, evenly between: the uniform map of Jiao et al. 2019, arXiv 1909.10351,
    section 4.1.

    Args:
        count: Student's hidden states, embeddings included, at least 2.
        teacher_count: Teacher's.
    """
    layers, taught = count - 1, teacher_count - 1
    return tuple((2 * index * taught + layers) // (2 * layers) for index in range(count))


def hidden_widths(model: nn.Module, inputs: Mapping[str, torch.Tensor], places: Sequence[str] = ()) -> list[int]:
    """Widths of a model's hidden states, the embeddings' first, found by running it: a pruned one's configuration lies.

    Args:
        model: Is put into evaluation mode.
        inputs: A small batch.
        places: Modules whose readings are meant in place of hidden states.

    Raises:
        InputError: The model does not give hidden states of shape (batch, positions, width).
    """
    try:
        with torch.no_grad():
            states = _run(model.eval(), inputs, places, (), hidden_states=True)[1] or ()
    except (TypeError, KeyError):
        states = ()  # knows no such argument, or does not tell
    if len(states) < 2 or any(state.dim() != 3 for state in states):
        raise InputError(
            f"hidden_weight: needs hidden states of shape (batch, positions, width), "
            f"got none of {type(model).__name__}",
            "hidden_weight: 0",
        )
    return [state.shape[-1] for state in states]
