"""`edgesft compare`: a candidate against a baseline model, measured in one job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesft.budget import paired
from edgesft.budget.percentile import Interval
from edgesft.budget.verdict import Line, Verdict
from edgesft.gate.document import GateDocument, GateLine
from edgesft.measure.bench.comparison import FIGURES, PERCENTILES, Comparison
from edgesft.spec.profile import ProfileSpec

SCHEMA = "edgesft/compare"

VERDICTS: Mapping[paired.Change, Verdict] = {
    "slower": "fail",
    "faster": "pass",
    "same": "pass",
    "not slower": "pass",
    "undecided": "inconclusive",
}


def document(found: Comparison, profile: ProfileSpec, accuracy: GateLine | None, *, sized: bool = False) -> GateDocument:
    """What a comparison says.

    Args:
        found: What was measured.
        profile: That it was measured with.
        accuracy: What rows say of both models' answers, where there are rows.
        sized: Whether the size gates, too.
    """
    ours, theirs = found.files
    first = found.blocks[0][0]
    lines = [_figure(name, found) for name in FIGURES if name in found.look.ratios or name in found.question.gating]
    lines.append(_size(found, gates=sized))
    return GateDocument(
        SCHEMA,
        {"name": ours.path.name, **ours.to_json()},
        [*lines, *([accuracy] if accuracy else [])],
        _notes(found),
        {
            "baseline": {"name": theirs.path.name, **theirs.to_json()},
            "profile": profile.name,
            "provider": first.provider,
            "threads": first.threads,
            "runtime": first.runtime,
            "machine": dict(first.machine),
            "inputs": first.inputs,
            "scenario": first.scenario,
            "min_effect": found.question.min_effect,
            "bar": found.bar,
            "noise_floor": found.floor,
            "refused": found.refused,
            "confidence": found.look.confidence,
            "looks": found.look.number,
            "seconds": found.seconds,
            "blocks": [_block(*block) for block in found.blocks],
        },
    )


def _figure(name: str, found: Comparison) -> GateLine:
    label = f"latency.{name}" if name in PERCENTILES else name
    gates, ratio = name in found.question.gating, found.look.ratios.get(name)
    if ratio is None:
        reason = "too few samples in a block, or this system does not tell it"
        return GateLine(Line(label, found.bar, None, None, None, "inconclusive", reason), "timed", gates=gates)
    change = paired.change(ratio, found.bar)
    verdict = VERDICTS[change]
    line = Line(label, found.bar, *ratio, verdict, _reason(ratio, found) if verdict == "inconclusive" else None)
    return GateLine(line, "timed", gates=gates, change=change)


def _reason(ratio: Interval, found: Comparison) -> str:
    if found.refused:
        return (
            f"refused: a min effect of {found.question.min_effect:.2%} is below the noise floor of {found.floor:.2%} that "
            f"this machine showed in this run: ask for --min-effect {_above(found.floor):g} or more, give it more time, or "
            "quieten the machine"
        )
    if ratio.upper is None:
        return f"the time was up after {len(found.blocks)} blocks, and bounds take {paired.FIRST_LOOK}: give it more time"
    return "the limit lies between the bounds when the time was up: give it more time, or quieten the machine"


def _above(floor: float) -> float:
    """The floor, rounded up to thousandths."""
    return -(-round(floor * 1e6) // 1000) / 1000


def _size(found: Comparison, *, gates: bool) -> GateLine:
    ours, theirs = (file.size_bytes for file in found.files)
    ratio = ours / theirs
    change = "same" if ratio == 1 else ("larger" if ratio > 1 else "smaller")
    # What does not vary needs no least effect: one byte more is more.
    return GateLine(Line("size", 1.0, ratio, None, None, "fail" if ratio > 1 else "pass"), "static", gates=gates, change=change)


def _notes(found: Comparison) -> list[str]:
    question, first = found.question, found.blocks[0][0]
    machine = first.machine
    return [
        f"ratios are candidate over baseline; slowdowns of {question.min_effect:.1%} or more are to be found, so that the "
        f"limit lies half way, at {found.bar:.4f}; this machine's noise floor is {found.floor:.2%}",
        f"{len(found.blocks)} blocks of fresh processes in {found.seconds:.0f} s, bounds at {found.look.confidence:.2%} each "
        f"(look {found.look.number}, 95 % over all looks)",
        f"{first.scenario}, inputs {first.inputs}; {machine.get('model') or machine.get('architecture')}, "
        f"{machine.get('cores')} cores, {first.threads} threads, {first.provider}, onnxruntime {first.runtime}",
    ]


def _block(ours: Any, theirs: Any) -> dict[str, Any]:
    return {
        side: {
            "rounds_ns": [list(taken) for taken in each.rounds],
            "load_ns": each.load_ns,
            "first_ns": each.first_ns,
            "peak_memory_bytes": each.peak_memory_bytes,
        }
        for side, each in (("candidate", ours), ("baseline", theirs))
    }
