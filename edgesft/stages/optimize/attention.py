"""Attention as one operator of ONNX Runtime's, where the exporter writes it out in ten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesft.stages.quiet import quiet

if TYPE_CHECKING:
    import onnx_ir


def fuse_attention(program: onnx_ir.Model) -> int:
    """Makes MultiHeadAttention (com.microsoft) of products, softmax and the transpositions around them.

    Args:
        program: Changed in place, by onnxscript's rules for ONNX Runtime; other operators stay.

    Returns:
        How many there are now.
    """
    from onnx_ir.passes import common as passes
    from onnxscript.optimizer import optimize
    from onnxscript.rewriter.ort_fusions import shape_optimization
    from onnxscript.rewriter.ort_fusions.mha import fuse_mha1, fuse_mha2
    from onnxscript.rewriter.ort_fusions.mha_bias import fuse_mha_bias
    from onnxscript.rewriter.ort_fusions.mha_scale import fuse_mha_scale
    from onnxscript.rewriter.ort_fusions.sdpa import fuse_sdpa

    with quiet():
        passes.ShapeInferencePass()(program)
        optimize(program)
        shape_optimization.rules.apply_to_model(program)
        optimize(program)
        fuse_sdpa(program, apply_shape_inference=True)
        fuse_mha1(program)
        fuse_mha2(program)
        fuse_mha_scale(program)
        fuse_mha_bias(program)
        optimize(program, input_size_limit=LIMIT, output_size_limit=LIMIT)  # the biases that are now one
        passes.ShapeInferencePass()(program)
    _share_masks(program)
    found = [node for node in program.graph if node.op_type == "MultiHeadAttention"]
    for number, node in enumerate(found):
        node.name = node.name or f"MultiHeadAttention_{number}"
    return len(found)


def _share_masks(program: onnx_ir.Model) -> None:
    """Lets all attentions that spread the same mask to the same shape read it from the first one."""
    from onnx_ir.passes import common as passes

    known: dict[tuple[onnx_ir.Value | None, str], onnx_ir.Value] = {}
    for node in program.graph:
        shape = node.outputs[0].shape if node.op_type == "Expand" else None
        if shape is None or "None" in str(shape):
            continue
        first = known.setdefault((node.inputs[0], str(shape)), node.outputs[0])
        if first is not node.outputs[0]:
            node.outputs[0].replace_all_uses_with(first)
    passes.RemoveUnusedNodesPass()(program)


LIMIT = 1 << 20
"""Bytes of constants that are computed beforehand."""
