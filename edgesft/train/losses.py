"""The losses of knowledge distillation: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

MASKED = -1e4
"""Score of a position that does not count: finite, so that a difference of two is a number."""


def soft_targets(student_logits: torch.Tensor, teacher_logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Kullback-Leibler divergence of the softened distributions, times T².

    T² keeps the gradients' size independent of the temperature (Hinton et al. 2015, arXiv 1503.02531, section 2).

    Args:
        student_logits: (..., classes).
        teacher_logits: Same shape.
        temperature: T > 0; higher is softer.

    Returns:
        Scalar in float32, in nats, mean over all axes but the last.
    """
    student = functional.log_softmax(student_logits.float() / temperature, dim=-1).flatten(0, -2)
    teacher = functional.log_softmax(teacher_logits.float() / temperature, dim=-1).flatten(0, -2)
    return functional.kl_div(student, teacher, reduction="batchmean", log_target=True) * temperature**2


def related(
    student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor], mask: torch.Tensor | None, heads: int
) -> torch.Tensor:
    """Divergence of how positions relate to each other (Wang et al. 2020, arXiv 2012.15828, section 3).

    Vectors are cut into relation heads; in each, positions attend to each other by scaled dot products of queries, of
    keys and of values. Widths may differ: only the relations are compared.

    Args:
        student: Queries, keys and values, each (batch, positions, width).
        teacher: The same of another width.
        mask: (batch, positions), non-zero where a position counts; None where all do.
        heads: Divides both widths.

    Returns:
        Scalar in float32, in nats, mean over relations, heads and the positions that count.
    """
    losses = []
    for ours, theirs in zip(student, teacher, strict=True):
        one, other = (_attention(vectors.float(), mask, heads) for vectors in (ours, theirs))
        apart = functional.kl_div(one, other, reduction="none", log_target=True).sum(-1).mean(1)
        counts = torch.ones_like(apart) if mask is None else mask.to(apart.dtype)
        losses.append((apart * counts).sum() / counts.sum().clamp(min=1))
    return torch.stack(losses).mean()


def _attention(vectors: torch.Tensor, mask: torch.Tensor | None, heads: int) -> torch.Tensor:
    """Log-probabilities that positions attend to each other, (batch, heads, positions, positions)."""
    rows, positions, width = vectors.shape
    split = vectors.view(rows, positions, heads, width // heads).transpose(1, 2)
    scores = split @ split.transpose(-1, -2) / (width // heads) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(mask[:, None, None, :] == 0, MASKED)
    return functional.log_softmax(scores, dim=-1)


def hidden_mse(
    student: torch.Tensor,
    teacher: torch.Tensor,
    mask: torch.Tensor | None = None,
    projection: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Mean squared error of hidden states over the positions that are not padding (Jiao et al. 2019, arXiv 1909.10351).

    Args:
        student: (batch, positions, student width).
        teacher: (batch, positions, teacher width).
        mask: (batch, positions), non-zero where a position counts; None where all do.
        projection: Maps the student's width to the teacher's; needed where they differ.

    Returns:
        Scalar in float32.
    """
    projected = projection(student) if projection is not None else student
    errors = (projected.float() - teacher.float()).square().mean(dim=-1)
    if mask is None:
        return errors.mean()
    counts = mask.to(errors.dtype)
    return (errors * counts).sum() / counts.sum().clamp(min=1)
