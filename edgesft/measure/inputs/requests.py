"""What is fed to a model that is measured."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgesft.errors import Problem
from edgesft.measure.replies import Value

Feeds = dict[str, np.ndarray]

DTYPES = re.compile(r"bool|string|float(16|32|64)|u?int(8|16|32|64)")
"""Element types that an array can be made of by any interpreter's numpy; bfloat16 and 8-bit floats are not."""


@dataclass(frozen=True)
class Requests:
    """What is fed, one inference an item.

    Attributes:
        feeds: Input → array.
        source: Where they come from, for every place that shows a number: `rows.npz, 128 requests`.
    """

    feeds: tuple[Feeds, ...]
    source: str


def unfeedable(inputs: Sequence[Value]) -> list[Problem]:
    """A problem for each input that no array can be made for."""
    return [
        Problem(
            f"input '{value.name}' must be of a type that numpy has, got {value.dtype}",
            "export the model with float32 inputs and cast inside the graph",
        )
        for value in inputs
        if not DTYPES.fullmatch(value.dtype)
    ]
