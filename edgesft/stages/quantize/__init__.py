"""Post-training quantization of an ONNX model: planned, applied, verified, and where asked chosen by measurement."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from edgesft.errors import StageError
from edgesft.measure.driver import MeasureError
from edgesft.spec.stages import QuantizeSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.quantize.candidates import Candidate, build, wanted
from edgesft.stages.quantize.choose import Choice, Figures, choose
from edgesft.stages.quantize.ort import dynamic, fp16, int4, static
from edgesft.stages.quantize.plan import QuantizePlan, make_plan, matched
from edgesft.store.store import Store

__all__ = ["QuantizePlan", "dynamic", "fp16", "int4", "make_plan", "run", "static"]


def run(spec: QuantizeSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    """Quantizes as the spec says; `auto` measures what the profile allows and keeps the fastest within the allowance.

    Whatever decides is stored in the context's work folder before it is used, so a resumed run decides alike.

    Raises:
        InputError: An exclude pattern matches no node.
        StageError: Nothing could be quantized, or a file is not what it should be.
        UnavailableError: The backend that was asked for is not installed.
    """
    if spec.scheme == "auto":
        return _auto(spec, artefact, out, context)
    (candidate,) = wanted(spec, context.profile.precisions)
    target = context.work / "candidates" / candidate.name / artefact.model.name
    facts = build(candidate, spec, artefact, target, context)
    _fill(out, target, artefact)
    row = {"name": candidate.name, "verdict": "asked for", **facts}
    return StageReport(_summary(candidate.name, facts, artefact), {"chosen": candidate.name, "candidates": [row]})


def _auto(spec: QuantizeSpec, artefact: Artefact, out: Path, context: StageContext) -> StageReport:
    _check_patterns(spec, artefact)
    records = Store(context.work)
    candidates = wanted(spec, context.profile.precisions)
    if not candidates:
        raise StageError(
            f"'scheme: auto' must be allowed int8 or fp16 by profile '{context.profile.name}'. "
            f"Got precisions {list(context.profile.precisions)}"
        )
    rows = _built(candidates, spec, artefact, context, records)
    made = {name: _place(context, artefact, name) for name, row in rows.items() if "error" not in row}
    for name, place in list(made.items()):
        answer = records.record(f"metrics-{name}", partial(_attempt, partial(context.evaluate, place)))
        if "error" in answer:
            rows[name]["error"] = answer["error"]
            del made[name]
        else:
            rows[name]["metrics"] = answer
    if not made:
        reasons = "; ".join(f"{name}: {row['error']}" for name, row in rows.items())
        context.progress.say(f"quantize: no way works here: {reasons}")
        _fill(out, artefact.model, artefact)  # a run that got so far is worth more than the bytes that are lost
        failed = [{"name": name, **row} for name, row in rows.items()]
        return StageReport(f"nothing: no way works here: {reasons}", {"chosen": None, "candidates": failed})
    context.progress.say(f"quantize: timing {', '.join(made)}")
    timed = records.record("latency", lambda: _latency(context, artefact, made))
    reference = records.record("metrics-reference", lambda: context.evaluate((context.reference or artefact).model))
    deciding = context.task.metrics[0]
    figures = [
        Figures(
            name,
            rows[name]["size_bytes"],
            timed[name],
            rows[name]["metrics"],
            reference[deciding] - rows[name]["metrics"][deciding],
        )
        for name in made
    ]
    choice = choose(figures, context.allowance, timed["source"])
    _fill(out, made[choice.name], artefact)
    return _auto_report(rows, figures, choice, timed["source"], reference, artefact, context)


def _built(
    candidates: tuple[Candidate, ...], spec: QuantizeSpec, artefact: Artefact, context: StageContext, records: Store
) -> dict[str, dict[str, Any]]:
    """Candidate → its facts, or under `error` why there is none."""
    rows = {}
    with context.progress.bar("quantize", len(candidates)) as advance:
        for candidate in candidates:
            target = _place(context, artefact, candidate.name)
            make = partial(build, candidate, spec, artefact, target, context)
            rows[candidate.name] = records.record(f"built-{candidate.name}", partial(_attempt, make))
            advance(1)
    return rows


def _attempt(make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What a call returns, or its failure as data: one candidate that does not work must not end the run."""
    try:
        return dict(make())
    except (OSError, MemoryError, MeasureError):
        raise  # A full disk or a killed process says nothing about the candidate.
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _latency(context: StageContext, artefact: Artefact, made: dict[str, Path]) -> dict[str, int]:
    """Medians of the source and the candidates, interleaved."""
    return dict(zip(("source", *made), context.latency([artefact.model, *made.values()]), strict=True))


def _place(context: StageContext, artefact: Artefact, name: str) -> Path:
    return context.work / "candidates" / name / artefact.model.name


def _check_patterns(spec: QuantizeSpec, artefact: Artefact) -> None:
    """A pattern that matches nothing is the user's error, not a candidate's."""
    import onnx

    matched(spec.exclude, [node.name for node in onnx.load(str(artefact.model), load_external_data=False).graph.node])


def _fill(out: Path, model: Path, artefact: Artefact) -> None:
    """The quantized model with the files that lay beside its source."""
    out.mkdir(parents=True, exist_ok=True)
    replaced = artefact.model.name
    for place in sorted(artefact.path.iterdir()):
        if place.is_file() and place.name not in (replaced, f"{replaced}.data"):
            shutil.copy2(place, out / place.name)
    for place in (model, model.with_name(f"{model.name}.data")):
        if place.is_file():
            shutil.copy2(place, out / place.name)


def _summary(name: str, facts: dict[str, Any], artefact: Artefact) -> str:
    return f"{name}: {artefact.model.stat().st_size / 1e6:.1f} → {facts['size_bytes'] / 1e6:.1f} MB"


def _auto_report(
    rows: dict[str, dict[str, Any]],
    figures: list[Figures],
    choice: Choice,
    source_p50_ns: int,
    reference: dict[str, float],
    artefact: Artefact,
    context: StageContext,
) -> StageReport:
    by_name = {item.name: item for item in figures}
    details = []
    for name, row in rows.items():
        if name in by_name:
            details.append({**row, **by_name[name].to_json(), "verdict": choice.verdicts[name]})
        else:
            details.append({"name": name, "verdict": f"failed: {row['error']}"})
    best = by_name[choice.name]
    summary = (
        f"{_summary(best.name, rows[best.name], artefact)}, p50 × {best.p50_ns / source_p50_ns:.2f}, "
        f"{context.task.metrics[0]} {0.0 - best.drop:+.4f}"
    )
    if not choice.qualified:
        summary += f", beyond the allowance of {context.allowance:.4f}: no candidate is within it"
    return StageReport(
        summary,
        {
            "chosen": choice.name,
            "qualified": choice.qualified,
            "allowance": context.allowance,
            "reference": reference,
            "source_p50_ns": source_p50_ns,
            "candidates": details,
        },
    )
