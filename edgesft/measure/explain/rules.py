"""What to try next on a model: each rule looks for one thing, and says which layers and how much can be won."""

from __future__ import annotations

import math
from collections.abc import Callable

from edgesft.measure.agent import CPU
from edgesft.measure.explain.advice import Advice, Situation, gain, names, of_roof, operators, percent, total
from edgesft.measure.explain.layer import Layer

ASYNCHRONOUS = (
    *("CUDAExecutionProvider", "TensorrtExecutionProvider", "NvTensorRTRTXExecutionProvider"),
    *("ROCMExecutionProvider", "MIGraphXExecutionProvider", "DmlExecutionProvider"),
    *("WebGpuExecutionProvider", "JsExecutionProvider"),
)
"""Their nodes return before the device has done the work."""

FUSIBLE = (
    *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Exp", "Log", "Neg", "Abs", "Reciprocal", "Erf", "Min", "Max", "Clip"),
    *("Relu", "LeakyRelu", "PRelu", "Elu", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Softplus"),
    *("Where", "Equal", "Greater", "Less", "Not", "And", "Or"),
    *("ReduceMean", "ReduceSum", "ReduceMax", "InstanceNormalization"),
    *("QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu"),
)
"""Element by element, or a part of a normalisation: passes over memory that a fused operator does not need."""

REARRANGING = (
    *("Transpose", "Reshape", "ReorderInput", "ReorderOutput", "Concat", "QLinearConcat", "Slice", "Split"),
    *("Gather", "GatherND", "GatherElements", "ScatterND", "ScatterElements", "Squeeze", "Unsqueeze", "Flatten"),
    *("Expand", "Pad", "Tile", "Identity", "DepthToSpace", "SpaceToDepth"),
)
"""Move data and compute nothing."""

CONVERTING = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")

COPYING = ("MemcpyFromHost", "MemcpyToHost")
"""What the runtime inserts where neighbouring nodes are on different memory."""

WORTH = 1.1
"""Below a tenth the work is rarely paid back, and latencies of shared machines differ by as much."""

NOTABLE = 0.02
"""From this share on, nodes are named whose own time is the least of it: they keep the runtime from doing better."""

LARGE = 0.2
"""A layer with a fifth of the time: halving it alone wins a tenth (`WORTH`)."""

FAR = 3.0
"""Runtimes' own kernels come within a factor of 1.5 to 2 of a large product on ordinary shapes."""

SMALLER = 4.0
"""A float is so many times as large as an 8-bit integer: what waits for data gets no more from quantization."""

HIGHER = 1.2
"""An int8 roof that is less above fp32's is eaten by the conversions."""

SHORT = 5
"""Most sentences."""


def _launches(here: Situation) -> Advice | None:
    waiting = sorted({layer.provider for layer in here.layers} & set(ASYNCHRONOUS))
    if not waiting:
        return None
    return Advice(
        f"nodes on {', '.join(waiting)} return before the device has finished, so that their times are those of "
        "starting them: take the device's own profiler for what each layer takes"
    )


def _elsewhere(here: Situation) -> Advice | None:
    """Nodes and copies that a provider leaves to the CPU."""
    if not any(layer.provider != CPU for layer in here.layers):
        return None
    left = [layer for layer in here.layers if layer.provider == CPU or layer.op in COPYING]
    if (won := gain(total(left))) < WORTH:
        return None
    return Advice(
        f"{percent(total(left))} of the time passes on {CPU} or in copies to it ({operators(left)}): replace these "
        f"operators by ones that the asked provider has, or cut them off the model; at most {won:.2g}× for the model",
        won,
    )


def _quantize(here: Situation) -> Advice | None:
    """Products of floats, where 8-bit integers are faster on this machine."""
    floats = [layer for layer in here.busy if layer.arithmetic == "fp32"]
    fp32, int8 = here.roof.fp32_macs_per_second, here.roof.int8_macs_per_second
    share, reached = total(floats), of_roof(floats)
    if not fp32 or not int8 or not reached or gain(share) < WORTH:
        return None
    higher = int8 / fp32
    taken = f"products by fp32 weights take {percent(share)} ({operators(floats)}) at {percent(reached)} of the roof"
    if higher < HIGHER:
        text = f"{taken}, and that of int8 is only {higher:.2g}× as high: quantize for size, not for speed"
        return Advice(text, 1.0)
    left = sum(layer.share / (higher if _computes(layer) else min(higher, SMALLER)) for layer in floats)
    if (won := gain(share, share / left)) < WORTH:
        return None
    return Advice(
        f"{taken}, and that of int8 is {higher:.2g}× as high: quantize; at most {won:.2g}× for the model if int8 comes "
        "as near to its roof",
        won,
    )


def _computes(layer: Layer) -> bool:
    """Whether the layer waits for its products more than for its data."""
    return layer.bound == "products" and (layer.distance or 0) < FAR


def _prune(here: Situation) -> Advice | None:
    """Layers that are worth thinning by themselves, or all of them where none stands out."""
    large = [layer for layer in here.busy if layer.share >= LARGE]
    chosen = large or here.busy
    won = gain(total(chosen), 2)
    if won < WORTH:
        return None
    if large:
        what = f"{names(large)} ({operators(large)}): prune {'its' if len(large) == 1 else 'their'} channels"
    else:
        what = (
            f"products by weights take {percent(total(chosen))} in {len(chosen)} layers ({operators(chosen)}), the "
            f"longest '{chosen[0].name}' {percent(chosen[0].share)}: prune all alike, or leave whole blocks out"
        )
    return Advice(f"{what}; half of the products is at most {won:.2g}× for the model", won)


def _far(here: Situation) -> Advice | None:
    """Products by weights far below what the machine can do."""
    far = [layer for layer in here.weighty if (layer.distance or 0) >= FAR]
    reached = of_roof(far)
    if not far or not reached:
        return None
    won = gain(total(far), 1 / FAR / reached)
    if won < WORTH:
        return None
    kinds = ", ".join(sorted({str(layer.arithmetic) for layer in far}))
    return Advice(
        f"{names(far)} ({operators(far)}) reach only {percent(reached)} of the roof ({kinds}): their shapes suit the "
        "kernels badly; widths that are multiples of 16, fewer and wider layers, or several rows at once come nearer; "
        f"{won:.2g}× for the model at a third of the roof",
        won,
    )


def _depthwise(here: Situation) -> Advice | None:
    """Depthwise convolutions, which read much for each product."""
    found = [layer for layer in here.layers if layer.form == "depthwise" and not here.small(layer)]
    slow = [layer for layer in found if (layer.distance or 0) >= FAR]
    reached, won = of_roof(slow), gain(total(slow))
    if not slow or not reached or won < WORTH:
        return None
    general = [layer for layer in slow if layer.arithmetic == "fp32" and not layer.name.endswith("_nchwc")]
    layout = "; the runtime's blocked layout, where it has one, needs constant weights and is faster" if general else ""
    return Advice(
        f"depthwise convolutions such as '{slow[0].name}' take {percent(total(slow))} at {percent(reached)} of the "
        f"roof: they read much for each product, so that int8 helps little, and fewer channels or pixels do{layout}; "
        f"at most {won:.2g}× for the model without them",
        won,
    )


def _unfolded(here: Situation) -> Advice | None:
    """Batch normalisations that should be part of the convolution before them."""
    found = here.pick(["BatchNormalization"])
    # They cost more than their own time: they keep activations from being fused and the blocked layout from being used.
    if total(found) < NOTABLE:
        return None
    return Advice(
        f"{len(found)} BatchNormalization nodes take {percent(total(found))} by themselves: fold them into the "
        "convolutions (export in evaluation mode; weights must not be listed among the graph's inputs, or the runtime "
        "takes them for variable and optimises little)"
    )


def _fuse(here: Situation) -> Advice | None:
    """Passes over memory that fused operators do not make."""
    found = [layer for layer in here.pick(FUSIBLE) if not here.small(layer)]
    if (won := gain(total(found))) < WORTH:
        return None
    return Advice(
        f"elementwise and normalisation operators take {percent(total(found))} ({operators(found)}): fuse them (all "
        f"optimisations, a newer opset, an export that keeps the fused forms); at most {won:.2g}× for the model",
        won,
    )


def _slow(here: Situation) -> Advice | None:
    """Kernels without products that take far longer than their data would take from memory."""
    if not here.roof.bytes_per_second:
        return None
    known = {*FUSIBLE, *REARRANGING, *CONVERTING, *COPYING, "BatchNormalization"}
    passes = [
        (layer, (layer.moved_bytes or 0) * 1e9 / here.roof.bytes_per_second)
        for layer in here.layers
        if layer.macs is None and layer.moved_bytes and layer.op not in known and not here.small(layer)
    ]
    slow = [(layer, pass_ns) for layer, pass_ns in passes if layer.ns >= FAR * pass_ns]
    found = [layer for layer, _ in slow]
    times = sum(layer.ns for layer in found) / max(1.0, sum(pass_ns for _, pass_ns in slow))
    if not found or (won := gain(total(found), times)) < WORTH:
        return None
    return Advice(
        f"{percent(total(found))} of the time goes into operators that take {times:.2g}× as long as their data would "
        f"from memory ({operators(found)}): their kernels are slow here; try them unfused (a lower optimisation), "
        f"exported otherwise, or another version of the runtime; {won:.2g}× for the model at the speed of memory",
        won,
    )


def _rearrange(here: Situation) -> Advice | None:
    """Copies within the model."""
    found = [layer for layer in here.pick(REARRANGING) if not here.small(layer)]
    if (won := gain(total(found))) < WORTH:
        return None
    return Advice(
        f"moving data around takes {percent(total(found))} ({operators(found)}; longest '{found[0].name}'): keep "
        f"one layout, and states in place; at most {won:.2g}× for the model",
        won,
    )


def _scattered(here: Situation) -> Advice | None:
    """Many nodes that do little, and what passes between nodes."""
    small = [layer for layer in here.layers if here.small(layer)]
    between = max(0.0, 1 - total(here.layers))
    won = gain(total(small) + between)
    # Merging nodes saves a part of their time at best, so that twice as much must be at stake.
    if won < WORTH**2:
        return None
    return Advice(
        f"{percent(total(small) + between)} of the time passes between nodes, or in {len(small)} that are so small "
        "that calling them is much of it: fewer, larger nodes (other operators, several steps at once) help, pruning "
        f"channels does not; at most {won:.2g}× for the model",
        won,
    )


def _convert(here: Situation) -> Advice | None:
    """Conversions between floats and 8-bit integers."""
    found = here.pick(CONVERTING)
    won = gain(total(found))
    # Their own time is half of it: a product between unfused ones is still in floats.
    if won < 1 + (WORTH - 1) / 2:
        return None
    return Advice(
        f"{len(found)} conversions from and to 8 bits take {percent(total(found))} ({operators(found)}): quantize "
        "what lies between them, too, or leave out of quantization what stands alone between floats; at most "
        f"{won:.2g}× for the model",
        won,
    )


def _halves(here: Situation) -> Advice | None:
    """Half precision on a provider that has none, which the runtime then surrounds with casts."""
    found = [layer for layer in here.pick(["Cast"]) if layer.name.startswith("InsertedPrecisionFreeCast")]
    if total(found) < NOTABLE:
        return None
    return Advice(
        f"{len(found)} casts that the runtime inserted take {percent(total(found))}: the provider computes this "
        "half-precision model in fp32; use the fp32 model or int8"
    )


def _nothing(here: Situation) -> Advice:
    reached = of_roof([layer for layer in here.layers if layer.macs is not None])
    near = f"its products reach {percent(reached)} of the roof" if reached else "no part of it stands out"
    return Advice(f"nothing here is worth the work: {near}; only a smaller model or another machine is faster")


Rule = Callable[[Situation], Advice | None]

RULES: tuple[Rule, ...] = (
    *(_elsewhere, _quantize, _prune, _far, _depthwise, _unfolded),
    *(_fuse, _slow, _rearrange, _scattered, _convert, _halves),
)


def advise(situation: Situation) -> tuple[Advice, ...]:
    """What to try: first what must be put right before other figures mean much, then by what can be won.

    At least one sentence. Nothing is derived from times that the nodes of a GPU did not take.
    """
    if waiting := _launches(situation):
        return (waiting,)
    found = [advice for rule in RULES for advice in [rule(situation)] if advice]
    ordered = sorted(found, key=lambda advice: -(advice.gain or math.inf))[:SHORT]
    return tuple(ordered) or (_nothing(situation),)
