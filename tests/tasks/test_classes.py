"""The loss that tasks with classes share."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from edgesft.tasks.classes import entropy

LABELS = torch.tensor([0, 0, 0, 1, 0, 0, 2, 0])
WEIGHTS = torch.tensor([8 / 18, 8 / 3, 8 / 3])
"""Balanced: 1 on average over the rows."""


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_weights_count_in_each_part_of_a_batch(smoothing: float, size: int) -> None:
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    parts = zip(logits.split(size), LABELS.split(size), strict=True)
    added = sum(float(entropy(some, labels, WEIGHTS, smoothing)) * len(labels) / 8 for some, labels in parts)
    whole = entropy(logits, LABELS, WEIGHTS, smoothing)
    assert added == pytest.approx(float(whole))
    if not smoothing:
        rows = functional.cross_entropy(logits, LABELS, reduction="none")
        assert float(whole) == pytest.approx(float((rows * WEIGHTS[LABELS]).mean()))


def test_shares_of_classes_and_what_does_not_count() -> None:
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    whole = entropy(logits, LABELS, WEIGHTS, 0.0)
    shares = functional.one_hot(LABELS, 3).float()
    torch.testing.assert_close(entropy(logits, shares, WEIGHTS, 0.0), whole)
    more, ignored = torch.cat([logits, logits[:2]]), torch.tensor([-100, -100])
    torch.testing.assert_close(entropy(more, torch.cat([LABELS, ignored]), WEIGHTS, 0.0), whole)
    assert float(entropy(logits[:2], ignored, WEIGHTS, 0.0)) == 0
    torch.testing.assert_close(entropy(logits, LABELS, torch.ones(3), 0.1), entropy(logits, LABELS, None, 0.1))
