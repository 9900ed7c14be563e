"""Objectives that learn from a teacher."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.tasks.base import Task
from edgesft.train.answers import Answers
from edgesft.train.channels import arranged
from edgesft.train.losses import hidden_mse, related, soft_targets
from edgesft.train.objective import ROWS, inputs_of
from edgesft.train.recording import answered, features, last_attention, recording

HiddenLoss = Callable[[Sequence[torch.Tensor], Sequence[torch.Tensor], torch.Tensor | None], torch.Tensor]
"""`hidden(student states, teacher states, mask) -> scalar`."""


@dataclass(frozen=True)
class Relations:
    """The last attention of student and teacher, whose relations are compared.

    Attributes:
        student: Names of the student's query, key and value linears.
        teacher: Names of the teacher's.
        heads: Number of relation heads; divides the widths of both.
    """

    student: tuple[str, ...]
    teacher: tuple[str, ...]
    heads: int

    @classmethod
    def of(cls, student: nn.Module, teacher: nn.Module) -> Relations:
        """The relations with as many heads as both widths allow.

        Raises:
            InputError: One of the models has no attention with known names.
        """
        names = [last_attention(model) for model in (student, teacher)]
        widths = [
            int(model.get_submodule(name[0]).out_features)  # type: ignore[arg-type]
            for model, name in zip((student, teacher), names, strict=True)
        ]
        return cls(names[0], names[1], math.gcd(*widths))


@dataclass(frozen=True, eq=False)
class TeacherObjective:
    """An `Objective`: hard_weight · task loss + (1 - hard_weight) · soft targets + hidden_weight · hidden states +
    relation_weight · relations.

    Attributes:
        task: Gives the loss and the logits of an output.
        teacher: Runs on the same batch, without gradients, in evaluation mode; it is frozen. Or what it answered to
            each training row, shape [rows, choices], where nothing changes the rows and `hidden` is None.
        temperature: Softens both distributions.
        hard_weight: Weight of the labels in [0, 1]; the teacher's logits weigh the rest.
        label_smoothing: Share of the target spread over all classes.
        class_weights: One a class for the labels' part, or None where all weigh alike.
        hidden: Compares the hidden states, such as `Student.hidden_loss`; None compares logits alone.
        hidden_weight: Weight of `hidden`.
        places: Modules of both models whose inputs are compared in place of hidden states.
        relations: Which attentions are compared, if any.
        relation_weight: Weight of their divergence.
        known: The teacher's answers so far, where nothing but its answers is compared and other trainings ask the same.
    """

    task: Task
    teacher: nn.Module | torch.Tensor
    temperature: float
    hard_weight: float
    label_smoothing: float = 0.0
    class_weights: torch.Tensor | None = None
    hidden: HiddenLoss | None = None
    hidden_weight: float = 0.0
    places: Sequence[str] = ()
    relations: Relations | None = None
    relation_weight: float = 0.0
    known: Answers | None = None

    def __post_init__(self) -> None:
        if isinstance(self.teacher, nn.Module):
            arranged(self.teacher.eval().requires_grad_(False))

    def __call__(self, model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        """The loss of a student on a batch, a scalar."""
        teacher, targets = self._teach(batch)
        student = self._run(model, batch, self.relations.student if self.relations else ())
        hard, soft = self._label_loss(student.outputs, batch), self._soft_loss(student.outputs, targets, batch)
        loss = self.hard_weight * hard + (1 - self.hard_weight) * soft
        mask = batch.get("attention_mask")
        if self.hidden and teacher is not None:
            loss = loss + self.hidden_weight * self.hidden(student.states, teacher.states, mask)
        if self.relations and teacher is not None:
            divergence = related(student.attention, teacher.attention, mask, self.relations.heads)
            loss = loss + self.relation_weight * divergence
        return loss

    def _teach(self, batch: Mapping[str, Any]) -> tuple[_Pass | None, torch.Tensor]:
        """The teacher's pass over a batch, None where its answers are known; and the answers, the soft targets."""
        device = batch["labels"].device
        if isinstance(self.teacher, torch.Tensor):
            return None, self.teacher[batch[ROWS].to(self.teacher.device)].to(device)
        teacher = self.teacher.to(device)
        if self.known is not None:
            asked = {name: values for name, values in batch.items() if name != ROWS}
            return None, self.known.to(asked, lambda: self._asked(teacher, batch)[1])
        return self._asked(teacher, batch)

    @torch.no_grad()
    def _asked(self, teacher: nn.Module, batch: Mapping[str, Any]) -> tuple[_Pass, torch.Tensor]:
        found = self._run(teacher, batch, self.relations.teacher if self.relations else ())
        return found, self.task.distributions(found.outputs, batch)

    def _run(self, model: nn.Module, batch: Mapping[str, Any], linears: Sequence[str]) -> _Pass:
        return _run(model, inputs_of(batch), self.places, linears, hidden_states=bool(self.hidden))

    def _label_loss(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        labels = batch["labels"]
        weights = None if self.class_weights is None else self.class_weights.to(labels.device)
        return self.task.loss(outputs, labels, label_smoothing=self.label_smoothing, class_weights=weights)

    def _soft_loss(self, outputs: Any, targets: torch.Tensor, batch: Mapping[str, Any]) -> torch.Tensor:
        answers = self.task.distributions(outputs, batch)
        divergence = self.task.divergence(answers, targets)
        return soft_targets(answers, targets, self.temperature) if divergence is None else divergence


class _Pass(NamedTuple):
    """Results of one forward pass of a model."""

    outputs: Any
    states: Sequence[torch.Tensor]
    attention: Sequence[torch.Tensor]


def _run(
    model: nn.Module, inputs: Mapping[str, Any], places: Sequence[str], linears: Sequence[str], *, hidden_states: bool
) -> _Pass:
    """A model's outputs; its hidden states, or the inputs of the places; and the outputs of the linears."""
    extra = {"output_hidden_states": True} if hidden_states and not places else {}
    inner: nn.Module = model.student if isinstance(model, Student) else model
    with recording(inner, places, features) as read, recording(inner, linears, answered) as said:
        outputs = model(**inputs, **extra)
    return _Pass(outputs, outputs["hidden_states"] if extra else read, said)


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
    """Widths of a model's hidden states, the embeddings' first, found by running it: a pruned model's configuration
    does not tell them.

    Args:
        model: Is put into evaluation mode.
        inputs: A small batch.
        places: Modules whose inputs are compared in place of hidden states.

    Raises:
        InputError: The model does not give hidden states of shape (batch, positions, width).
    """
    try:
        with torch.no_grad():
            states = _run(model.eval(), inputs, places, (), hidden_states=True).states or ()
    except (TypeError, KeyError):
        states = ()  # knows no such argument, or does not tell
    if len(states) < 2 or any(state.dim() != 3 for state in states):
        raise InputError(
            f"hidden_weight: needs hidden states of shape (batch, positions, width), "
            f"got none of {type(model).__name__}",
            "hidden_weight: 0",
        )
    return [state.shape[-1] for state in states]
