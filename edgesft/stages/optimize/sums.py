"""Sums before a layer normalisation, in a form that ONNX Runtime leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir


def plain_sums(program: onnx_ir.Model) -> int:
    """Writes Sum for each Add whose answer is normalised.

    ONNX Runtime (1.32) makes SkipLayerNormalization of Add and LayerNormalization, which on x86 takes 33 µs for 20
    positions of 384 values where the two take 8 (measured): over a quarter of a small int8 encoder's time. Sum of two
    computes the same, and no fusion knows it.

    Args:
        program: Changed in place.

    Returns:
        How many sums there are now.
    """
    found = 0
    for node in program.graph:
        before = node.inputs[0].producer() if node.op_type == "LayerNormalization" and node.inputs[0] else None
        if before is not None and before.op_type == "Add" and not before.domain:
            before.op_type = "Sum"
            found += 1
    return found
