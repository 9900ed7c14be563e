"""The losses of knowledge distillation: pure functions of tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional


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
