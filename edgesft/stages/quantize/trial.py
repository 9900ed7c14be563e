"""Quick int8 versions of a model, made in seconds, timed and thrown away. They show whether int8 is faster here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgesft.budget.metric import fall
from edgesft.measure.model.facts import read_facts
from edgesft.measure.saturation import saturates
from edgesft.spec.auto import AUTO
from edgesft.spec.stages import Precision, QuantizeSpec
from edgesft.stages.context import StageContext
from edgesft.stages.quantize.candidates import calibration_requests
from edgesft.stages.quantize.ort import dynamic, static

PAYS = 0.95
"""Share of the fp32 latency up to which int8 is the form that others are measured in."""

ROWS = 16
"""Validation rows that ranges are taken from: what they are does not change the latency."""


def settled(asked: Precision, make: Callable[[], Path], target: Path, context: StageContext) -> Precision:
    """The precision itself, or `auto` decided: int8 where the model was measured to be faster in it.

    Fixed ranges for models with convolutions, which have no fast kernels for others; and ranges that follow the values
    for all others, for transformers do not bear fixed ones.

    Args:
        asked: Any precision.
        make: Gives the float ONNX file, if it is needed.
        target: File that may be written.
        context: Has the profile and rows, and measures.
    """
    if asked != AUTO:
        return asked
    if "int8" not in context.profile.precisions:
        return "fp32"
    source = make()
    scheme: Precision = "int8-static" if read_facts(source).operators.get("Conv") else "int8-dynamic"
    try:
        quantized(source, target, scheme, context)
    except (OSError, MemoryError):
        raise  # A full disk says nothing about the model.
    except Exception as error:  # whatever the quantizer raises: what cannot be made is not what others are chosen for
        context.progress.say(f"{scheme} cannot be made: {error}")
        return "fp32"
    before, after = context.latency([source, target])
    context.progress.say(f"{scheme} takes {after / before:.2f} of the time")
    return scheme if after < before * PAYS else "fp32"


def lost(source: Path, target: Path, precision: Precision, context: StageContext) -> float:
    """How far the deciding metric on the validation rows falls where a model is rounded to 8 bits as it is, as the
    quantize stage would by default.

    Args:
        source: Float ONNX file.
        target: File that may be written.
        precision: One of 8 bits.
        context: Has the rows, and evaluates.
    """
    reduced = saturates(context.machine)
    if precision == "int8-static":
        rows = calibration_requests(QuantizeSpec(stage="quantize"), source, context, "model")
        static(source, target, rows, reduced=reduced)
    else:
        dynamic(source, target, reduced=reduced)
    before, after = (context.evaluate(each)[context.task.metrics[0]] for each in (source, target))
    return fall(before, after)


def quantized(source: Path, target: Path, precision: Precision, context: StageContext) -> Path:
    """A file with the latency of a model in a precision: the model's own for fp32.

    Args:
        source: Float ONNX file.
        target: File to write.
        precision: Decided.
        context: Has the rows.

    Raises:
        StageError: There is nothing to quantize.
    """
    if precision == "int8-static":
        static(source, target, context.task.requests(context.validation[:ROWS], context.processor))
    elif precision == "int8-dynamic":
        dynamic(source, target)
    return source if precision == "fp32" else target
