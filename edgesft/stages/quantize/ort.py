"""Quantization by ONNX Runtime's own tools: ONNX file in, ONNX file out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgesft.errors import StageError
from edgesft.measure.model.facts import read_inside
from edgesft.stages.export.graph import modules_of
from edgesft.stages.quantize.plan import Bits, QuantizePlan, make_plan, matched
from edgesft.stages.quantize.reader import reader
from edgesft.stages.quantize.tables import BLOCK, pack_tables
from edgesft.stages.quantize.tie import tie
from edgesft.stages.quantize.weights import store_weights
from edgesft.stages.quantize.whole import WHOLE, quantize_whole
from edgesft.stages.quiet import quiet
from edgesft.stages.writing import write_model
from edgesft.tasks.base import FRONT, Batch

if TYPE_CHECKING:
    import onnx

Calibration = Literal["minmax", "entropy", "percentile"]
Form = Literal["u8s8", "s8s8", "u8u8", "u16u8"]

METHODS: Mapping[Calibration, str] = {"minmax": "MinMax", "entropy": "Entropy", "percentile": "Percentile"}
"""What ONNX Runtime calls them."""

Algorithm = Literal["rtn", "hqq"]

INT8_PRODUCTS = 4
"""The `accuracy_level` of MatMulNBits that lets it compute in int8."""

BETWEEN = ("Add", "Clip", "Concat", "MaxPool", "Relu")
"""Operators that ONNX Runtime's CPU provider has for 8-bit values, or moves into the convolution before them."""


def dynamic(
    source: Path,
    target: Path,
    *,
    per_channel: bool = True,
    table_bits: Bits = 8,
    reduced: bool = False,
    exclude: Sequence[str] = (),
) -> QuantizePlan:
    """int8 weights; activations are quantized as they come (DynamicQuantizeLinear, MatMulInteger).

    Embedding tables become 8-bit too, with one scale a table, so that the file shrinks to about a quarter; or 4-bit,
    with one scale for 32 values, of which most of a small encoder's file is made. One that products read, too, is
    stored once, with the products' scales.

    Args:
        source: Float ONNX file.
        target: File to write.
        per_channel: One weight scale an output channel.
        table_bits: Of embedding tables.
        reduced: Whether weights are rounded to 7 bits, see `measure.saturation`.
        exclude: fnmatch patterns over node names that stay in float; each must match.

    Returns:
        The plan that was carried out.

    Raises:
        InputError: A pattern matches no node.
        StageError: There is nothing to quantize.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    spared = dict[str, int]()
    plan = make_plan(
        source, "int8-dynamic", per_channel=per_channel, table_bits=table_bits, reduced=reduced, exclude=exclude
    )

    def quantize(model: onnx.ModelProto, place: str) -> None:
        done = pack_tables(model, _tables(model, plan)) if table_bits == 4 else set()
        quantize_dynamic(
            model,
            place,
            per_channel=per_channel,
            reduce_range=reduced,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Gather", "LSTM", "MatMul"],
            nodes_to_quantize=[name for name in _after_gemm_is_split(model, plan) if name not in done],
        )
        made = onnx.load(place)
        spared.update(tie(made))
        if spared:
            onnx.save(made, place)

    _apply(source, target, quantize)
    known = {tensor.name for tensor in onnx.load(str(source), load_external_data=False).graph.initializer}
    return replace(plan, tied_bytes=4 * sum(size for name, size in spared.items() if name in known))


def static(
    source: Path,
    target: Path,
    requests: Sequence[Batch],
    *,
    form: Form = "u8s8",
    calibration: Calibration = "minmax",
    ranges: Mapping[str, Sequence[float]] | None = None,
    per_channel: bool = True,
    reduced: bool = False,
    exclude: Sequence[str] = (),
) -> QuantizePlan:
    """int8 weights and unsigned 8-bit activations with fixed ranges, as QuantizeLinear/DequantizeLinear (QDQ).

    Only what has weights is quantized, and outputs of products stay float: on a BERT of 6 layers this is as fast as
    quantizing outputs too and disagrees with the float model on a quarter as many rows (measured; residual sums and
    products of activations do not bear 8 bits). What convolutions answer stays in 8 bits up to the next ones, sums
    included: ResNet-56 takes 0.89 of the time that it takes where sums are float (measured). Unsigned activations with
    signed weights are the pair that ONNX Runtime's x86 kernels are fast on.

    Other providers take other forms: with `s8s8` activations are signed and symmetric, too; with `u8u8` every operator
    of the graph is in unsigned 8 bits, as an NPU without floats wants it, and with `u16u8` activations are in 16 bits,
    which the sums of a transformer need (MiniLM on QNN is off by 70 % of its largest answer with 8; measured).

    Args:
        source: Float ONNX file.
        target: File to write.
        requests: What the device sends, real rows; padding would widen the ranges.
        form: What the provider's kernels take.
        calibration: How a range follows from the values that were seen.
        ranges: Layer → least and greatest value that it learned to read, which go before those that were seen.
        per_channel: One weight scale an output channel; where every operator is quantized, there is one a weight.
        reduced: Whether weights are rounded to 7 bits, see `measure.saturation`.
        exclude: fnmatch patterns over node names that stay in float; each must match.

    Returns:
        The plan that was carried out.

    Raises:
        InputError: A pattern matches no node, or a request is not what the model reads.
        StageError: There is nothing to quantize, or values are not finite.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    own_scales = per_channel and form not in WHOLE
    plan = make_plan(source, "int8-static", per_channel=own_scales, reduced=reduced, exclude=exclude)
    method = CalibrationMethod[METHODS[calibration]]
    signed = form == "s8s8"

    def quantize(model: onnx.ModelProto, place: str) -> None:
        if form in WHOLE:
            quantize_whole(model, place, plan, requests, method, form == "u16u8")
            return
        names = [*plan.quantized, *between_convolutions(model, plan)]
        operators = sorted({node.op_type for node in model.graph.node if node.name in names})
        quantize_static(
            model,
            place,
            reader(model, requests),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=operators,
            nodes_to_quantize=names,
            per_channel=per_channel,
            reduce_range=reduced,
            activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=method,
            extra_options={
                "ActivationSymmetric": signed,
                "OpTypesToExcludeOutputQuantization": ["MatMul", "Gemm"],
                # Calibrators keep every activation of what they are given at once, so they are given a row at a time.
                "CalibStridedMinMax": 1,
                "TensorQuantOverrides": _overrides(model, plan, ranges or {}),
            },
        )

    def ranged(model: onnx.ModelProto, place: str) -> None:
        try:
            quantize(model, place)
        except AssertionError as error:  # ONNX Runtime's word for a scale that is no number
            raise _no_range(str(error)) from error
        scales = (each for each in onnx.load(place).graph.initializer if each.name.endswith("_scale"))
        if endless := [each.name for each in scales if not np.isfinite(onnx.numpy_helper.to_array(each)).all()]:
            raise _no_range(f"no number for '{endless[0]}'")

    _apply(source, target, ranged)
    return plan


def _no_range(got: str) -> StageError:
    return StageError(f"int8-static must find finite ranges in the calibration rows. Got {got}")


def int4(
    source: Path,
    target: Path,
    *,
    algorithm: Algorithm = "rtn",
    exclude: Sequence[str] = (),
) -> QuantizePlan:
    """4-bit weights in blocks of 32 with a scale each (MatMulNBits; tables by standard operators).

    The smallest file. Products are computed in 8 bits where the CPU provider can, which takes longer than with 8-bit
    weights: of MiniLM 1.56 times as fast as fp32 where int8-dynamic is 2.5 times (20 tokens, AVX-512 VNNI, measured).

    Args:
        source: Float ONNX file.
        target: File to write.
        algorithm: `rtn` rounds to nearest; `hqq` finds scales and zeros for which the error has few large parts (Badri
            and Shaji 2023, "Half-Quadratic Quantization"). Embedding tables, and weights whose columns are no whole
            number of blocks, are rounded to nearest. ONNX Runtime's GPTQ (1.32) passes no error on to the weights that
            follow, and is further off than rounding to nearest.
        exclude: fnmatch patterns over node names that stay in float; each must match.

    Returns:
        The plan that was carried out.

    Raises:
        InputError: A pattern matches no node.
        StageError: There is nothing to quantize.
    """
    import onnx

    plan = make_plan(source, "int4", exclude=exclude)

    def convert(model: onnx.ModelProto, place: str) -> None:
        if algorithm != "rtn":
            shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
            whole = [
                node.name
                for node in model.graph.node
                if node.op_type == "MatMul" and shapes.get(node.input[1], [1])[0] % BLOCK == 0
            ]
            model = _in_blocks(model, set(whole).intersection(plan.quantized), algorithm)
        pack_tables(model, _tables(model, plan))
        onnx.save(_in_blocks(model, plan.quantized), place)

    _apply(source, target, convert)
    return plan


def _in_blocks(
    model: onnx.ModelProto, nodes: Collection[str], algorithm: Algorithm = "rtn", requests: Sequence[Batch] = ()
) -> onnx.ModelProto:
    """The model with the weights of some nodes in 4-bit blocks."""
    from onnxruntime.quantization import matmul_nbits_quantizer as tools

    operators = ("MatMul", "Gather") if algorithm == "rtn" else ("MatMul",)
    others = [node.name for node in model.graph.node if node.name not in nodes]
    settings: Any = tools.DefaultWeightOnlyQuantConfig(
        block_size=BLOCK, is_symmetric=True, accuracy_level=INT8_PRODUCTS, op_types_to_quantize=operators
    )
    if algorithm == "hqq":
        settings = tools.HQQWeightOnlyQuantConfig(block_size=BLOCK, op_types_to_quantize=operators)
    quantizer = tools.MatMulNBitsQuantizer(
        model, block_size=BLOCK, accuracy_level=INT8_PRODUCTS, nodes_to_exclude=others, algo_config=settings
    )
    quantizer.process()
    found: onnx.ModelProto = quantizer.model.model
    return found


def weights(source: Path, target: Path, *, per_channel: bool = True, exclude: Sequence[str] = ()) -> QuantizePlan:
    """int8 weights, of which the runtime makes floats when it loads the file; arithmetic stays as it is.

    Args:
        source: Float ONNX file.
        target: File to write.
        per_channel: One weight scale an output channel.
        exclude: fnmatch patterns over node names that stay in float; each must match.

    Returns:
        The plan that was carried out.

    Raises:
        InputError: A pattern matches no node.
        StageError: There is nothing to quantize.
    """
    import onnx

    plan = make_plan(source, "int8-weights", per_channel=per_channel, exclude=exclude)
    sizes: list[int] = []

    def store(model: onnx.ModelProto, place: str) -> None:
        sizes.append(store_weights(model, plan.weights, per_channel=per_channel))
        onnx.save(model, place)

    _apply(source, target, store)
    return replace(plan, scale_bytes=sum(sizes))


def fp16(source: Path, target: Path, *, exclude: Sequence[str] = ()) -> QuantizePlan:
    """16-bit floating weights and arithmetic; inputs and outputs keep their types.

    Args:
        source: Float ONNX file.
        target: File to write.
        exclude: fnmatch patterns over node names that stay in 32 bits; each must match.

    Returns:
        The plan that was carried out.

    Raises:
        InputError: A pattern matches no node.
        StageError: There is nothing to convert.
    """
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    plan = make_plan(source, "fp16", exclude=exclude)

    def convert(model: onnx.ModelProto, place: str) -> None:
        names = [node.name for node in model.graph.node]
        blocked = sorted({*matched(exclude, names), *(name for name in names if name.startswith(FRONT))})
        onnx.save(convert_float_to_float16(model, keep_io_types=True, node_block_list=blocked), place)

    _apply(source, target, convert)
    return plan


def _apply(source: Path, target: Path, change: Callable[[onnx.ModelProto, str], Any]) -> None:
    """Runs a change on the model in memory, so that the source's folder stays as it is, and writes the result whole."""
    import onnx

    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        place = str(Path(folder) / target.name)
        with quiet():
            change(onnx.load(str(source)), place)
        write_model(onnx.load(place), target)


def between_convolutions(model: onnx.ModelProto, plan: QuantizePlan) -> list[str]:
    """Nodes without weights all of whose values come from quantized convolutions, directly or through such nodes.

    Those that a branch or a loop's body reads are left out: ONNX Runtime's quantizer (1.32) makes a Relu part of how
    its output is rounded, but sees no reader inside of another node, which would read what was there before the Relu.
    """
    known = {tensor.name for tensor in model.graph.initializer}
    read = read_inside(model.graph)
    eight_bits: set[str] = set()
    found = []
    for node in model.graph.node:
        values = [name for name in node.input if name and name not in known]
        through = node.op_type in BETWEEN and values and eight_bits.issuperset(values) and read.isdisjoint(node.output)
        if through:
            found.append(node.name)
        if through or (node.op_type == "Conv" and node.name in plan.quantized):
            eight_bits.update(node.output)
    return found


def _overrides(
    model: onnx.ModelProto, plan: QuantizePlan, ranges: Mapping[str, Sequence[float]]
) -> dict[str, list[dict[str, Any]]]:
    """Ranges of tensors that layers of the plan read, by the nodes' names; of several readers the widest.

    Tables that products read as well are weights of one scale: rows that are looked up have their table's.
    """
    from onnxruntime.quantization import QuantType

    known = {tensor.name for tensor in model.graph.initializer}
    looked_up = _tables(model, plan)
    tables = {node.input[0] for node in model.graph.node if node.name in looked_up}
    read = {name for node in model.graph.node if node.name not in looked_up for name in node.input}
    found: dict[str, list[float]] = {}
    for node in model.graph.node:
        if node.name not in plan.quantized or node.op_type == "Gather" or node.input[0] in known:
            continue
        for bounds in filter(None, map(ranges.get, modules_of(node.name))):
            low, high = found.get(node.input[0], bounds)
            found[node.input[0]] = [min(low, bounds[0]), max(high, bounds[1])]
    return {
        **{name: [{"quant_type": QuantType.QInt8, "symmetric": True}] for name in sorted(tables & read)},
        **{
            name: [{"rmin": np.array(low, np.float32), "rmax": np.array(high, np.float32)}]
            for name, (low, high) in found.items()
        },
    }


def _tables(model: onnx.ModelProto, plan: QuantizePlan) -> set[str]:
    """Nodes of the plan that look rows of a table up."""
    return {node.name for node in model.graph.node if node.op_type == "Gather"}.intersection(plan.quantized)


def _after_gemm_is_split(model: onnx.ModelProto, plan: QuantizePlan) -> list[str]:
    """The plan's nodes under the names that the dynamic quantizer sees, which first makes a MatMul of each Gemm."""
    gemms = {node.name for node in model.graph.node if node.op_type == "Gemm"}
    return [f"{name}_MatMul" if name in gemms else name for name in plan.quantized]
