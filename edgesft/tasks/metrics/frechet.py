"""How far pictures that were made are from real ones, by what a net tells of them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgesft.data.files import sha256
from edgesft.errors import InputError

if TYPE_CHECKING:
    import onnxruntime

BATCH = 64

FEWEST = 2
"""Rows that have a covariance."""


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Fréchet distance of two sets of features, each taken for normally distributed (Heusel et al. 2017, GANs Trained
    by a Two Time-Scale Update Rule, arXiv 1706.08500, section 2; the formula is that of Dowson and Landau 1982).

    Few rows make it larger than it is; compare distances of as many rows.

    Args:
        ours: Shape [rows, features], at least two rows.
        theirs: Shape [rows, features].
    """
    means = [each.mean(axis=0) for each in (ours, theirs)]
    one, other = (np.atleast_2d(np.cov(each, rowvar=False)) for each in (ours, theirs))
    values, vectors = np.linalg.eigh(one)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # The eigenvalues of one · other are those of root · other · root, which is symmetric.
    common = np.sqrt(np.linalg.eigvalsh(root @ other @ root).clip(0)).sum()
    found = np.square(means[0] - means[1]).sum() + np.trace(one) + np.trace(other) - 2 * common
    return max(float(found), 0.0)


class Features:
    """A net that tells features of pictures, as an ONNX file of one input."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def digest(self) -> str:
        """Of its bytes; empty where it is not there, which the task's `check` says."""
        return sha256(self.path) if self.path.is_file() else ""

    def of(self, pictures: np.ndarray) -> np.ndarray:
        """Features, float64 of shape [rows, features].

        Args:
            pictures: As they are fed, shape [rows, channels, height, width].

        Raises:
            InputError: The file cannot be loaded, does not take such pictures, or gives something else.
        """
        try:
            (given,) = self._session.get_inputs()
            parts = [pictures[start : start + BATCH] for start in range(0, len(pictures), BATCH)]
            found = np.concatenate([self._session.run(None, {given.name: part})[0] for part in parts])
        except Exception as error:  # ONNX Runtime raises its own unrelated types.
            raise InputError(
                f"data.generation.features: '{self.path}' must compute features of pictures of shape "
                f"{list(pictures.shape[1:])}, got: {error}",
                "an ONNX file of one input whose first axis is free",
            ) from error
        if found.ndim != 2 or len(found) != len(pictures):
            message = f"data.generation.features: must give [rows, features], got shape {list(found.shape)}"
            raise InputError(message, "the layer before a classifier's last")
        return found.astype(np.float64)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
