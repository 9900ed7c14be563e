"""Post-training quantization of an ONNX model: planned, applied, verified, and with `scheme: auto` chosen by
measuring.
"""

from __future__ import annotations

from pathlib import Path

from edgesft.spec.stages import QuantizeSpec
from edgesft.stages.artefact import Artefact, refill
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.quantize.auto import Trials
from edgesft.stages.quantize.candidates import build, shrunk, wanted
from edgesft.stages.quantize.ort import dynamic, fp16, int4, static, weights
from edgesft.stages.quantize.plan import QuantizePlan, by_graph, make_plan

__all__ = ["QuantizePlan", "by_graph", "dynamic", "fp16", "int4", "make_plan", "run", "static", "weights"]


def run(spec: QuantizeSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Quantizes as the spec says; `auto` measures what the profile allows and keeps the fastest within the allowance.

    Whatever decides is stored in the context's work folder before it is used, so a resumed run decides alike.

    Raises:
        InputError: An exclude pattern matches no node.
        StageError: Nothing could be quantized, or a file is not what it should be.
        UnavailableError: The backend that was asked for is not installed.
    """
    if spec.scheme == "auto":
        return Trials(spec, artefact, context).run(out)
    (candidate,) = wanted(spec, context.profile)
    target = context.work / "candidates" / candidate.name / artefact.model.name
    facts = build(candidate, spec, artefact, target, context)
    refill(out, context.task.files(target).values(), artefact)
    row = {"name": candidate.name, "verdict": "asked for", **facts}
    summary = f"{candidate.name}: {shrunk(facts, context.task.files(artefact.model).values())}"
    return StageReport(summary, {"chosen": candidate.name, "candidates": [row]})
