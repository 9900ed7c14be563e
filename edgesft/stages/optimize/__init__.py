"""Rewrites of the ONNX graph: each is tried, measured on the profile, and kept if it pays."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.spec.stages import OptimizeSpec, Precision
from edgesft.stages.artefact import Artefact, refill
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.export.checks import files_apart, spread
from edgesft.stages.export.graph import save
from edgesft.stages.optimize.attention import fuse_attention
from edgesft.stages.optimize.pointwise import pointwise_products
from edgesft.stages.optimize.positions import first_position
from edgesft.stages.optimize.products import merge_products
from edgesft.stages.optimize.sums import plain_sums
from edgesft.stages.quantize import trial
from edgesft.store.store import remember

if TYPE_CHECKING:
    import onnx_ir

PAYS = 0.99
"""Share of the latency before it up to which a rewriting is kept: less is within what medians repeat to."""

PRECISION = "precision.json"
"""In the work folder."""

ROWS = 16
"""Validation rows whose answers are compared."""


@dataclass(frozen=True)
class Rewriting:
    """One way.

    Attributes:
        name: What it makes, in the plural.
        apply: Changes a program in place, and says how many places.
        usual: Whether it mostly pays where it applies.
    """

    name: str
    apply: Callable[[onnx_ir.Model], int]
    usual: bool = True


REWRITINGS = (
    Rewriting("pointwise products", pointwise_products, usual=False),
    Rewriting("attentions", fuse_attention),
    Rewriting("first positions", first_position),
    Rewriting("merged products", merge_products),
    Rewriting("plain sums", plain_sums),
)
"""In the order in which they are tried, each on what those before it left."""


def run(spec: OptimizeSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Rewrites an ONNX file as runs fastest; the answers stay the same but for rounding.

    What decides is stored in the context's work folder before it is used, so a resumed run decides alike.

    Args:
        spec: How far answers may be apart.
        artefact: An ONNX artefact.
        out: Empty folder for the result, which is the same where nothing pays.
        context: Measures.
    """
    model, rows = artefact.model, list[dict[str, Any]]()
    settle = partial(trial.settled, spec.precision, lambda: artefact.model, context.work / "int8.onnx", context)
    precision: Precision = remember(context.work / PRECISION, settle)
    for number, rewriting in enumerate(REWRITINGS):
        target = context.work / f"rewriting-{number}" / artefact.model.name
        row = remember(
            target.with_name("row.json"), partial(_tried, rewriting, spec, model, target, context, precision)
        )
        rows.append(row)
        if row["verdict"] == "kept":
            model = target
    refill(out, [model], artefact)
    kept = [f"{row['places']} {row['name']} × {row['ratio']:.2f}" for row in rows if row["verdict"] == "kept"]
    details = {"precision": precision, "rewritings": rows}
    return StageReport(", ".join(kept) or "nothing that pays", details)


def _timed(model: Path, context: StageContext, precision: Precision) -> Path:
    """The file in that precision, in the work folder."""
    place = context.work / "int8" / f"{sha256(str(model).encode()).hexdigest()[:8]}.onnx"
    return trial.quantized(model, place, precision, context)


def rewritten(source: Path, target: Path) -> None:
    """Writes a file with all usual rewritings that do not fail, whether they pay or not: what it may become.

    Args:
        source: An exported model.
        target: File to write.
    """
    import onnx_ir

    chosen = [each for each in REWRITINGS if each.usual]
    while True:
        program = onnx_ir.load(source)
        for rewriting in chosen:
            try:
                rewriting.apply(program)
            except Exception:  # as in `_tried`; half of it may be done, so that all is done anew without it
                chosen.remove(rewriting)
                break
        else:
            return save(program, target)


def _tried(
    rewriting: Rewriting, spec: OptimizeSpec, model: Path, target: Path, context: StageContext, precision: Precision
) -> dict[str, Any]:
    """What came of a rewriting; JSON values."""
    import onnx_ir

    row: dict[str, Any] = {"name": rewriting.name}
    try:
        program = onnx_ir.load(model)
        row["places"] = rewriting.apply(program)
        if not row["places"]:
            return {**row, "verdict": "nowhere"}
        target.parent.mkdir(parents=True, exist_ok=True)
        save(program, target)
        row["difference"] = _difference(model, target, context)
    except (OSError, MemoryError):
        raise  # A full disk says nothing about the rewriting.
    except Exception as error:  # whatever others' rules and runtimes raise: the graph stays as it was
        return {**row, "verdict": f"failed: {type(error).__name__}: {error}"}
    if not row["difference"] <= spec.tolerance:
        return {**row, "verdict": f"answers differ by {row['difference']:.1e}, {spec.tolerance:g} allowed"}
    before, after = context.latency([_timed(each, context, precision) for each in (model, target)])
    row["ratio"] = after / before
    context.progress.say(f"optimize: {row['places']} {rewriting.name}: {row['ratio']:.3f} of the latency")
    return {**row, "verdict": "kept" if row["ratio"] <= PAYS else "does not pay"}


def _difference(model: Path, target: Path, context: StageContext) -> float:
    """The greatest one of the answers to some validation rows."""
    requests = context.task.requests(spread(context.validation, ROWS), context.processor)
    found = files_apart(model, target, requests, "fp32")
    return math.inf if found.non_finite else found.absolute
