"""Checks on a saved quantized file that must pass before it is used."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesft.errors import StageError
from edgesft.measure.model.facts import EIGHT_BITS, OnnxFacts, read_facts
from edgesft.stages.export.checks import files_apart
from edgesft.stages.quantize.plan import QuantizePlan
from edgesft.stages.quantize.tables import BLOCK
from edgesft.tasks.base import Batch

MARKS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "int8-dynamic": (("MatMulInteger", "DequantizeLinear", "DynamicQuantizeLSTM"),),
    "int8-static": (("QuantizeLinear", "QLinearMatMul", "QLinearConv"), ("DequantizeLinear", "QLinearMatMul")),
    "int8-weights": (),
    "int4": (("MatMulNBits", "GatherBlockQuantized", "BitShift"),),
    "fp16": (),
}
"""Scheme → groups of operators; of each group one must be there."""

FOUR_BITS = ("UINT4", "INT4")
"""Types of 4 bits; operators of ONNX Runtime's own have two such weights in a byte."""

SCALE_BYTES = 8
"""A scale and its bias or zero point, in 32 bits each."""

SHARE = 0.98
"""Share of the planned weights that must be found in their new type; the rest is rounding of tied and merged ones."""


def verify(target: Path, source: Path, plan: QuantizePlan, requests: Sequence[Batch]) -> dict[str, Any]:
    """Checks that the plan's weights really have fewer bits, the file is smaller, and it runs.

    Args:
        target: Quantized ONNX file.
        source: The float file it was made from.
        plan: What was to be done.
        requests: Real requests to run, at least one.

    Returns:
        JSON facts: those of the file, and the greatest absolute difference of its outputs from the source's; None where
        they are of other shapes, as those of a model are that says how much it answers.

    Raises:
        StageError: One of them does not hold; the message has the figures.
    """
    before, after = read_facts(source), read_facts(target)
    if after.size_bytes >= before.size_bytes:
        raise StageError(f"{plan.scheme} must shrink the file's {before.size_bytes} bytes. Got {after.size_bytes}")
    _check_operators(after, plan)
    _check_weights(before, after, plan)
    apart = _run_both(target, source, plan, requests)
    ratio = round(after.size_bytes / before.size_bytes, 4)
    return {**after.to_json(), "max_abs_difference": apart if math.isfinite(apart) else None, "size_ratio": ratio}


def _check_operators(facts: OnnxFacts, plan: QuantizePlan) -> None:
    for group in MARKS[plan.scheme]:
        if not any(facts.operators.get(name) for name in group):
            raise StageError(f"an {plan.scheme} file must hold {' or '.join(group)}. Got {sorted(facts.operators)}")


def _check_weights(before: OnnxFacts, after: OnnxFacts, plan: QuantizePlan) -> None:
    """The planned float bytes are gone, and as many weights are there in the new type."""
    elements, small = plan.weight_bytes // 4, plan.four_bit_bytes // 4
    stored = elements - plan.tied_bytes // 4 - small // 2
    types, wanted = (("FLOAT16",), 2 * elements) if plan.scheme == "fp16" else (EIGHT_BITS, stored)
    types = (*types, *FOUR_BITS) if small else types
    found = sum(after.constant_bytes.get(dtype, 0) for dtype in types)
    if plan.scheme == "int8-static":
        # Where activations have 16 bits, so have the tables that they are looked up in.
        found += after.constant_bytes.get("UINT16", 0) // 2
    if found < SHARE * wanted:
        raise StageError(f"{plan.scheme} must store {wanted} bytes of weights as {' or '.join(types)}. Got {found}")
    limit = before.constant_bytes.get("FLOAT", 0) - SHARE * plan.weight_bytes
    # New scales are float too: one a channel, and a weight has fewer channels than all weights' square root.
    limit += plan.scale_bytes or SCALE_BYTES * len(plan.quantized) * math.isqrt(elements)
    limit += SCALE_BYTES * small / BLOCK
    if (left := after.constant_bytes.get("FLOAT", 0)) > limit:
        raise StageError(f"{plan.scheme} must leave at most {limit:.0f} bytes of float weights. Got {left}")


def _run_both(target: Path, source: Path, plan: QuantizePlan, requests: Sequence[Batch]) -> float:
    if not requests:
        raise StageError("a quantized file is checked on real requests. Got none")
    found = files_apart(source, target, requests, plan.scheme)
    if found.non_finite:
        name = next(each.name for each in found.outputs if each.non_finite)
        raise StageError(f"'{target.name}' must give finite '{name}'. Got NaN or infinity")
    return found.absolute
