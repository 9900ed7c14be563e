"""Whether a provider answers as the reference does, which is the CPU provider on the same requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Outputs = Mapping[str, np.ndarray]

TOLERANCES = {
    "fp64": 1e-3,
    "fp32": 1e-3,
    "fp16": 1e-2,
    "bf16": 1e-2,
    "fp8": 1e-1,
    "int8": 1e-1,
    "int8-weights": 1e-3,
    "int4": 1e-1,
}
"""Precision → how far an output may be off, as a share of its largest magnitude.

Measured on the CPU provider with graph optimisation against without it, which fuses and sums in other ways as another
provider does: nine fp32 files (speech, detection, text) differ by at most 4e-6; four 8-bit ones by 1 % to 7 %, because
where a sum falls on the other side of a rounding edge, an activation moves by a step of 255, and others after it; those
whose weights alone have 8 bits compute in fp32. fp16 and bf16 round every result to 2^-11 and 2^-9 of it, which a few
dozen layers add up to a percent. What a tolerance is
to find (a wrong layout, a lost scale, an overflow) is off by tens of percent."""


@dataclass(frozen=True)
class Difference:
    """How far one output is off, over all requests.

    Attributes:
        name: The output.
        absolute: Greatest absolute difference; infinite where shapes differ or only one side is finite.
        relative: The same as a share of the reference's largest magnitude. Of an output whose values are no quantities
            (ids, labels, text; any type but floats and 8-bit integers) the share of elements that differ.
        non_finite: Elements that are NaN, or infinite where the reference is not.
        top1: Share of rows with the same highest value, where the output looks like class scores (float, batch x
            classes); else None.
        mismatch: What makes the two no comparable arrays, such as another type or shape, or None.
    """

    name: str
    absolute: float
    relative: float
    non_finite: int = 0
    top1: float | None = None
    mismatch: str | None = None


@dataclass(frozen=True)
class Parity:
    """How far a provider's answers are from the reference's.

    Attributes:
        precision: Label of the model's precision, which sets the tolerance.
        tolerance: Greatest relative difference that holds.
        requests: Requests compared.
        outputs: Each output, the worst one first.
    """

    precision: str
    tolerance: float
    requests: int
    outputs: tuple[Difference, ...]

    @property
    def worst(self) -> Difference:
        """The output that is furthest off."""
        return self.outputs[0]

    @property
    def absolute(self) -> float:
        """Greatest absolute difference over all outputs."""
        return max(each.absolute for each in self.outputs)

    @property
    def top1(self) -> float | None:
        """The least agreement of an output that looks like class scores."""
        return min((each.top1 for each in self.outputs if each.top1 is not None), default=None)

    @property
    def non_finite(self) -> int:
        """Elements that are NaN, or infinite where the reference is not."""
        return sum(each.non_finite for each in self.outputs)

    @property
    def holds(self) -> bool:
        """Every output is there, of one type and shape, and within the tolerance."""
        return all(each.mismatch is None and each.relative <= self.tolerance for each in self.outputs)

    def to_json(self) -> dict[str, Any]:
        """JSON form; an infinite difference is null."""
        return {
            "holds": self.holds,
            "precision": self.precision,
            "tolerance": self.tolerance,
            "requests": self.requests,
            "top1": self.top1,
            "outputs": [
                {name: None if value == np.inf else value for name, value in vars(each).items()}
                for each in self.outputs
            ],
        }


def tolerance(precision: str | None) -> float:
    """The tolerance of a precision's label such as `int8-static`; of an unknown one the strictest, that of fp32."""
    label = precision or "fp32"
    return TOLERANCES.get(label, TOLERANCES.get(label.partition("-")[0], TOLERANCES["fp32"]))


def compare(expected: Sequence[Outputs], got: Sequence[Outputs], precision: str | None) -> Parity:
    """Compares the outputs of as many requests.

    Args:
        expected: Of each request, the reference's outputs by name.
        got: The same of the provider.
        precision: Label of the model's precision. For a comparison of a quantized model with its float original the
            tolerance is no measure: what quantization costs is for the task's metric to say.

    Raises:
        ValueError: There are no requests, or not as many on both sides.
    """
    if not expected or len(expected) != len(got):
        raise ValueError(f"parity needs as many requests on both sides, got {len(expected)} and {len(got)}")
    names = list(dict.fromkeys([*expected[0], *got[0]]))
    both = list(zip(expected, got, strict=True))
    found = [_compare_one(name, [(left.get(name), right.get(name)) for left, right in both]) for name in names]
    found.sort(key=lambda each: (each.mismatch is None, -each.relative))
    return Parity(precision or "unknown", tolerance(precision), len(expected), tuple(found))


def _compare_one(name: str, pairs: Sequence[tuple[np.ndarray | None, np.ndarray | None]]) -> Difference:
    wrong = next((text for left, right in pairs if (text := _mismatch(left, right))), None)
    if wrong:
        return Difference(name, float("inf"), float("inf"), mismatch=wrong)
    both = [(left, right) for left, right in pairs if left is not None and right is not None]
    if not _is_quantity(both[0][0]):
        size = sum(left.size for left, _ in both)
        apart = sum(int((left != right).sum()) for left, right in both)
        return Difference(name, float(apart > 0), apart / max(size, 1))
    absolute = max(difference(left, right) for left, right in both)
    magnitude = max(float(np.abs(left[np.isfinite(left)], dtype=np.float64).max(initial=0)) for left, _ in both)
    return Difference(
        name,
        absolute,
        0.0 if absolute == 0 else absolute / magnitude if magnitude else float("inf"),
        sum(int((~np.isfinite(right) & (left != right)).sum()) for left, right in both),
        _top1(both),
    )


def _mismatch(left: np.ndarray | None, right: np.ndarray | None) -> str | None:
    if left is None or right is None:
        return "the reference does not give it" if left is None else "the provider does not give it"
    if left.dtype != right.dtype:
        return f"type must be {left.dtype}, got {right.dtype}"
    if left.shape != right.shape:
        return f"shape must be {list(left.shape)}, got {list(right.shape)}"
    return None


def _is_quantity(array: np.ndarray) -> bool:
    return array.dtype.kind == "f" or (array.dtype.kind in "iu" and array.dtype.itemsize == 1)


def _top1(both: Sequence[tuple[np.ndarray, np.ndarray]]) -> float | None:
    first = both[0][0]
    if first.dtype.kind != "f" or first.ndim != 2 or first.shape[1] < 2 or not any(left.size for left, _ in both):
        return None
    return float(np.concatenate([left.argmax(1) == right.argmax(1) for left, right in both]).mean())


def difference(expected: np.ndarray, got: np.ndarray) -> float:
    """Greatest absolute difference; infinite where shapes differ or only one side is finite."""
    if expected.shape != got.shape:
        return float("inf")
    if not expected.size:
        return 0.0
    left, right = expected.astype(np.float64), got.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart = np.where(left == right, 0.0, np.abs(left - right))
    return float("inf") if np.isnan(apart).any() else float(apart.max())
