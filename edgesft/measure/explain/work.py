"""How much a profiled node computes and moves, from the shapes that ONNX Runtime's profiler tells."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Arithmetic = Literal["fp32", "fp16", "int8"]
"""What numbers a product multiplies."""

Form = Literal["weights", "depthwise", "activations"]
"""What a product multiplies activations with: weights of many channels, of one channel each, or other activations."""

Node = Mapping[str, Any]
"""A node as the agent's `profile` gives it."""

UNPACKED = {"session.disable_prepacking": "1"}
"""Session entries under which the runtime keeps weights as they are, so that a profile tells their shapes, too."""

BITS = (
    dict.fromkeys(("bool", "int8", "uint8", "float8e4m3fn", "float8e5m2"), 8)
    | dict.fromkeys(("float16", "bfloat16", "int16", "uint16"), 16)
    | dict.fromkeys(("float", "int32", "uint32"), 32)
    | dict.fromkeys(("double", "int64", "uint64"), 64)
    | dict.fromkeys(("int4", "uint4"), 4)
)
"""Element type, as ONNX Runtime spells it → bits."""

ARITHMETIC: dict[str, Arithmetic] = {"float": "fp32", "float16": "fp16", "int8": "int8", "uint8": "int8"}
"""Type of a product's first input → what is multiplied."""

QUANTISING = ("DynamicQuantizeMatMul", "DynamicQuantizeLSTM")
"""Operators that take floats and multiply 8-bit integers."""


class Tensor(NamedTuple):
    """Element type and shape of a node's input or output."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


Tensors = Sequence[Tensor]


@dataclass(frozen=True)
class Work:
    """What one call of a node does.

    Attributes:
        macs: Multiply-accumulates, or None for operators that make no products and where the shapes do not tell.
        moved_bytes: Bytes of the inputs, weights included, and of the outputs; None where a shape or type is unknown.
        arithmetic: What is multiplied, or None where `macs` is, or for other types.
        form: What the activations are multiplied with, or None where `macs` is.
    """

    macs: int | None
    moved_bytes: int | None
    arithmetic: Arithmetic | None
    form: Form | None


def work(node: Node) -> Work:
    """What one call of a node does.

    Counted is what the runtime executes. A convolution in the blocked layout (`…_nchwc`) has its channels padded to a
    multiple of the block, 8 or 16, and the padding is counted; so are the masked parts of an attention. Bias,
    activation and other steps that are fused into a product are not. A profile leaves out the weights that a kernel has
    packed for itself: then their bytes are missing here, and the products of a convolution are unknown; `with_weights`
    puts them back.

    Args:
        node: From a profile; its shapes are those of its first call.
    """
    ins, outs = _tensors(node["inputs"]), _tensors(node["outputs"])
    op = str(node["op"])
    known = bool(ins and outs)
    bits = [BITS.get(tensor.dtype, 0) * tensor.size for tensor in (*ins, *outs)]
    unknown = not known or any(tensor.dtype not in BITS for tensor in (*ins, *outs))
    moved_bytes = None if unknown else sum(-(-each // 8) for each in bits)
    macs = PRODUCTS[op](ins, outs) if op in PRODUCTS and known else None
    if macs is None:
        return Work(None, moved_bytes, None, None)
    return Work(macs, moved_bytes, "int8" if op in QUANTISING else ARITHMETIC.get(ins[0].dtype), _form(op, ins, outs))


def with_weights(profile: Mapping[str, Any], unpacked: Mapping[str, Any]) -> dict[str, Any]:
    """The profile with the inputs that the same model has in a profile that was taken under `UNPACKED`.

    The times stay those of the packed weights, with which the model really runs. Nodes are matched by name. The runtime
    numbers the nodes that it makes up itself, and for some graphs differently in each session: then those numbers are
    ignored, and what no longer has a name of its own keeps its inputs.

    Args:
        profile: Whose times count.
        unpacked: Of the same model; one inference is enough.
    """
    names = [{_identity(node) for node in each["nodes"]} for each in (profile, unpacked)]
    identity = _identity if names[0] == names[1] else _unnumbered
    times_seen = Counter(identity(node) for node in unpacked["nodes"])
    complete = {identity(node): node["inputs"] for node in unpacked["nodes"] if times_seen[identity(node)] == 1}
    return {**profile, "nodes": [_completed(node, complete.get(identity(node), [])) for node in profile["nodes"]]}


def _identity(node: Node) -> tuple[str, str, str]:
    return node["name"], node["op"], str(node["outputs"])


def _unnumbered(node: Node) -> tuple[str, str, str]:
    return re.sub(r"_token_\d+$", "", node["name"]), node["op"], str(node["outputs"])


def _completed(node: Node, complete: Sequence[Any]) -> Node:
    """The node with these inputs, if they are its own and more."""
    rest = iter(complete)
    return {**node, "inputs": complete} if all(each in rest for each in node["inputs"]) else node


def _tensors(described: Sequence[Sequence[Any]]) -> Tensors:
    return [Tensor(str(dtype), tuple(shape)) for dtype, shape in described]


def _exactly(dividend: int, divisor: int) -> int | None:
    quotient, rest = divmod(dividend, max(1, divisor))
    return None if rest else quotient


def _matmul(ins: Tensors, outs: Tensors) -> int | None:
    """Output elements times the last axis of the left side, which these operators never transpose."""
    return outs[0].size * ins[0].shape[-1] if ins[0].shape else None


def _gemm(ins: Tensors, outs: Tensors) -> int | None:
    """Rows times inner axis times columns, of which the left side, transposed or not, holds the first two."""
    return ins[0].size * outs[0].shape[-1] if outs[0].rank > 1 else None


def _weight(ins: Tensors, channels: Sequence[int]) -> Tensor | None:
    """A convolution's weight: the next input of the data's rank, if it has one of these channels first."""
    found = next((tensor for tensor in ins[1:] if tensor.rank == ins[0].rank > 2), None)
    return found if found and found.shape[0] in channels else None


def _kernel(ins: Tensors, outs: Tensors) -> Tensor | None:
    # Channels lie second or last; a fused convolution may have a summand of the data's rank, too.
    return _weight(ins, (outs[0].shape[1], outs[0].shape[-1])) if outs[0].rank > 2 else None


def _conv(ins: Tensors, outs: Tensors) -> int | None:
    """Output elements times channels of a group times kernel: the weight is `[out, in / groups, *kernel]`."""
    kernel = _kernel(ins, outs)
    return outs[0].size * math.prod(kernel.shape[1:]) if kernel else None


def _transposed(ins: Tensors, outs: Tensors) -> int | None:
    """Input elements times what each is spread over: the weight is `[in, out / groups, *kernel]`."""
    kernel = _weight(ins, (ins[0].shape[1], ins[0].shape[-1])) if ins[0].rank > 2 else None
    return ins[0].size * math.prod(kernel.shape[1:]) if kernel else None


def _recurrent(gates: int) -> Callable[[Tensors, Tensors], int | None]:
    """Steps times directions times gates times hidden size times what each gate sees: the input and the state."""

    def count(ins: Tensors, outs: Tensors) -> int | None:
        if ins[0].rank != 3 or outs[0].rank < 3:
            return None
        steps, batch, features = ins[0].shape
        # All steps are [steps, directions, batch, hidden], the last one is [directions, batch, hidden].
        directions, _, hidden = outs[0].shape[-3:]
        return steps * batch * directions * gates * hidden * (features + hidden)

    return count


def _scores(ins: Tensors, outs: Tensors) -> int | None:
    """Query times keys, and the scores times values: both once for each of the keys, those of the past included."""
    if len(ins) < 3 or not all(tensor.rank in (3, 4) for tensor in ins[:3]):
        return None
    cached = len(outs) > 1 and outs[1].rank == 4
    keys = outs[1].shape[-2] if cached else ins[1].shape[-2]
    return keys * (ins[0].size + outs[0].size)


def _attention(ins: Tensors, outs: Tensors) -> int | None:
    """The projections and the scores of the operator that holds both; ONNX's own of that name has only the scores."""
    if len(ins) > 1 and ins[1].rank > 2:
        return _scores(ins, outs)
    if ins[0].rank != 3 or len(ins) < 2 or ins[1].rank == 0:
        return None
    batch, length, features = ins[0].shape
    projected, values = ins[1].shape[-1], outs[0].shape[-1]
    past = next((tensor.shape[3] for tensor in ins if tensor.rank == 5), 0)
    queries = _exactly(projected - values, 2)
    if not queries or queries < 0:
        return None
    return batch * length * (features * projected + (length + past) * (queries + values))


PRODUCTS: dict[str, Callable[[Tensors, Tensors], int | None]] = (
    dict.fromkeys(("MatMul", "MatMulInteger", "MatMulIntegerToFloat", "QLinearMatMul"), _matmul)
    | dict.fromkeys(("DynamicQuantizeMatMul", "MatMulNBits"), _matmul)
    | dict.fromkeys(("Gemm", "FusedGemm", "QGemm", "FusedMatMul"), _gemm)
    | dict.fromkeys(("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv", "QLinearConv", "ConvInteger"), _conv)
    | {"ConvTranspose": _transposed, "QLinearConvTranspose": _transposed}
    | {"LSTM": _recurrent(4), "DynamicQuantizeLSTM": _recurrent(4), "GRU": _recurrent(3), "RNN": _recurrent(1)}
    | {"Attention": _attention, "QAttention": _attention, "MultiHeadAttention": _scores}
)
"""Operator → how its products are counted. `Einsum` is not here: a profile does not tell its equation."""


def _form(op: str, ins: Tensors, outs: Tensors) -> Form:
    if op == "MultiHeadAttention":
        return "activations"
    if PRODUCTS[op] is _conv:
        return "depthwise" if _is_depthwise(ins, outs) else "weights"
    if PRODUCTS[op] in (_matmul, _gemm):
        # Weights are a matrix; what is computed for each row or head has a batch axis.
        batched = any(tensor.rank > 2 for tensor in ins[1:])
        return "activations" if batched else "weights"
    return "weights"


def _is_depthwise(ins: Tensors, outs: Tensors) -> bool:
    """Whether each output channel sees one of several input channels; one of one is a plain convolution."""
    kernel = _kernel(ins, outs)
    if kernel is None or kernel.shape[1] > 1:
        return False
    axis = 1 if outs[0].shape[1] == kernel.shape[0] else -1
    return ins[0].shape[axis] > 1
