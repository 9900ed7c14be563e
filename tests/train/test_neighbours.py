"""Tokens that a model reads alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesft.errors import StageError
from edgesft.train.neighbours import NEAREST, neighbours
from tests.train import mood


def test_the_nearest_of_the_tokens_given(bert: Path) -> None:
    model = mood.make(bert, rows=40).model()
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        table[7], table[9] = table[5] * 2, table[5] + 0.001
    found = neighbours(nn.ModuleDict({"student": model}), {5, 7, 9, 11, 12})
    assert found.shape == (13, NEAREST)
    assert set(found[5][:2]) == {7, 9} and set(found[7][:2]) == {5, 9}
    assert set(found[5][:4]) == {7, 9, 11, 12}
    assert (found[6] == 6).all() and (found[5][4:] == 5).all(), "others, and what is lacking, are themselves"


def test_a_model_without_tokens() -> None:
    with pytest.raises(StageError, match="token_substitution.*Got none"):
        neighbours(nn.Linear(2, 2), {1, 2})


def test_training_reads_them(bert: Path, tmp_path: Path) -> None:
    task = mood.make(bert, rows=80)
    settings = mood.SETTINGS.model_copy(update={"token_substitution": 0.3, "epochs": 1.0})
    first, second = task.model(), task.model()
    task.fit(first, tmp_path / "one", settings=settings)
    task.fit(second, tmp_path / "two", settings=settings)
    third = task.model()
    task.fit(third, tmp_path / "three", settings=settings.model_copy(update={"token_substitution": 0.0}))
    weights = [
        np.concatenate([p.detach().numpy().ravel() for p in each.parameters()]) for each in (first, second, third)
    ]
    assert (weights[0] == weights[1]).all() and (weights[0] != weights[2]).any()
