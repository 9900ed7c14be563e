"""Latency by length: which axis differs among requests, and samples sorted into buckets of similar length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgesft.measure.inputs.axes import is_batch, names
from edgesft.measure.replies import Value

ELEMENTS = "elements"
"""What stands for the length where several axes differ: elements of all inputs."""

FIRST_EDGE = 16
"""Upper edge of the first bucket; finer ones would leave short requests with too few samples each."""


@dataclass(frozen=True)
class Bucket:
    """Samples of requests of similar length.

    Attributes:
        low: Least length.
        high: Greatest length: a power of two.
        samples: Nanoseconds, in the order they were taken.
    """

    low: int
    high: int
    samples: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many samples."""
        return len(self.samples)


def varying(
    inputs: Sequence[Value], feeds: Sequence[Mapping[str, np.ndarray]]
) -> tuple[str, tuple[int, ...]] | tuple[None, None]:
    """The axis that differs among requests, and its size in each.

    Free axes other than the batch are looked at. Those that are equally long in every request count as one (exporters
    often give each input a name of its own); where several differ, the elements of all inputs stand for them.

    Returns:
        Name and sizes, or twice None where no axis differs.
    """
    found: dict[tuple[int, ...], str] = {}
    for value in inputs:
        for place, name in enumerate(names(value)):
            if isinstance(name, str) and not is_batch(value, place):
                found.setdefault(tuple(each[value.name].shape[place] for each in feeds), name)
    differing = {sizes: name for sizes, name in found.items() if len(set(sizes)) > 1}
    if not differing:
        return None, None
    if len(differing) == 1:
        ((sizes, name),) = differing.items()
        return name, sizes
    return ELEMENTS, tuple(sum(array.size for array in each.values()) for each in feeds)


def buckets(lengths: Sequence[int], samples: Sequence[int]) -> list[Bucket]:
    """Sorts samples by the length of their request: 1 to 16, 17 to 32, 33 to 64, and so on; empty ones are left out.

    Args:
        lengths: Length of the request of each sample.
        samples: Nanoseconds, as many.
    """
    sorted_in: dict[int, list[int]] = {}
    for length, sample in zip(lengths, samples, strict=True):
        high = max(FIRST_EDGE, 1 << (length - 1).bit_length())
        sorted_in.setdefault(high, []).append(sample)
    return [
        Bucket(1 if high == FIRST_EDGE else high // 2 + 1, high, tuple(taken))
        for high, taken in sorted(sorted_in.items())
    ]
