"""The Fréchet distance against its formula, and the net of features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import edgesft
from edgesft.errors import InputError
from edgesft.tasks.metrics.frechet import Features, distance


def test_the_formula() -> None:
    rng = np.random.default_rng(0)
    ours = rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) + 1
    theirs = rng.normal(size=(150, 5)) @ rng.normal(size=(5, 5))
    one, other = np.cov(ours, rowvar=False), np.cov(theirs, rowvar=False)
    apart = np.square(ours.mean(0) - theirs.mean(0)).sum()
    # The trace of a root is the sum of the roots of the eigenvalues.
    wanted = apart + np.trace(one + other) - 2 * np.sqrt(np.linalg.eigvals(one @ other)).sum()
    assert distance(ours, theirs) == pytest.approx(wanted)
    assert distance(theirs, ours) == pytest.approx(wanted)


def test_nothing_apart_and_moved_apart() -> None:
    rows = np.random.default_rng(0).normal(size=(50, 80))
    assert distance(rows, rows[::-1]) == pytest.approx(0, abs=1e-6)
    assert distance(rows, rows + 0.5) == pytest.approx(80 * 0.25)
    assert distance(np.zeros((4, 1)), np.ones((4, 1))) == pytest.approx(1)


def test_what_tells_no_features(tmp_path: Path) -> None:
    place = edgesft.export(nn.Flatten(), {"input": torch.rand(2, 1, 4, 4)}, tmp_path / "flat.onnx")
    assert Features(place).of(np.ones((70, 1, 4, 4), np.float32)).shape == (70, 16)
    with pytest.raises(InputError, match=r"features of pictures of shape \[1, 5, 5\]"):
        Features(place).of(np.ones((2, 1, 5, 5), np.float32))
    place = edgesft.export(nn.Identity(), {"input": torch.rand(2, 1, 4, 4)}, tmp_path / "same.onnx")
    with pytest.raises(InputError, match=r"must give \[rows, features\], got shape \[2, 1, 4, 4\]"):
        Features(place).of(np.ones((2, 1, 4, 4), np.float32))
