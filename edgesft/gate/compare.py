"""`edgesft compare`: a candidate and a baseline model, measured in one job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from edgesft.budget import paired
from edgesft.budget.percentile import Interval
from edgesft.budget.verdict import Line, Verdict
from edgesft.errors import InputError, Problem
from edgesft.gate.accuracy import evaluate_both, judge
from edgesft.gate.artefact import GateArtefact, artefact
from edgesft.gate.document import GateDocument, GateLine
from edgesft.measure.bench import comparison
from edgesft.measure.bench.comparison import FIGURES, PERCENTILES, Comparison, Question
from edgesft.measure.bench.order import Order
from edgesft.measure.fingerprint import called
from edgesft.measure.measurement import STAYS
from edgesft.measure.model.file import inspect
from edgesft.progress import Progress
from edgesft.spec.document import scalar
from edgesft.spec.profile import ProfileSpec

SCHEMA = "edgesft/compare"

OWN = ("measure.samples", "measure.seconds", "measure.rounds", "measure.max_seconds")
"""Values of a profile in whose place `comparison` puts those of its blocks."""

SIZE = "size"
"""What gates besides figures that are measured."""

VERDICTS: Mapping[paired.Change, Verdict] = {
    "slower": "fail",
    "faster": "pass",
    "same": "pass",
    "not slower": "pass",
    "undecided": "inconclusive",
}


@dataclass(frozen=True)
class Asked:
    """What is to be compared.

    Attributes:
        candidate: Model file, or a run's folder.
        baseline: Model file or run's folder to compare with.
        figures: Figures that decide the verdict, of `FIGURES` and `size`.
        min_effect: The smallest slowdown to detect.
        seconds: Maximum time for measuring.
        rows: Labelled rows for the accuracy; with None, those of the run's recipe, if there is one.
        max_drop: Largest allowed drop of the accuracy.
    """

    candidate: Path
    baseline: Path
    figures: tuple[str, ...] = ("p50",)
    min_effect: float = 0.05
    seconds: float = 60.0
    rows: Path | None = None
    max_drop: float = 0.01


def check_settings(settings: Sequence[str]) -> None:
    """Refuses values of the profile that have no effect: limits, and lengths, which follow from what is asked.

    Args:
        settings: `a.b=c` values.

    Raises:
        InputError: There are such values.
    """
    problems, keys = list[Problem](), {word: _keys(word) for word in settings}
    if limits := [word for word, set_ in keys.items() if any(key.partition(".")[0] == "budget" for key in set_)]:
        message = f"limits must be left out: a comparison has no budget, got {', '.join(limits)}"
        hint = "--figure, --min-effect and --max-drop say what decides; edgesft check and bench hold limits"
        problems.append(Problem(message, hint))
    if lengths := [word for word, set_ in keys.items() if set_ & {*OWN}]:
        message = f"lengths must be left out: a comparison lasts until it is decided, got {', '.join(lengths)}"
        problems.append(Problem(message, "--seconds is its longest time; a larger --min-effect is decided sooner"))
    if problems:
        raise InputError(problems)


def _keys(setting: str) -> set[str]:
    """The keys that a setting sets, of a whole mapping each; what cannot be read is refused where it is set."""
    key, _, text = setting.partition("=")
    try:
        value = scalar(text)
    except yaml.YAMLError:
        return {key}
    return {f"{key}.{name}" for name in value} if isinstance(value, dict) and value else {key}


def compare(asked: Asked, order: Order, progress: Progress) -> GateDocument:
    """Measures a candidate against a baseline, and has both answer the rows, where there are some.

    What bad input can tell is told before anything is measured.

    Args:
        asked: What is to be compared.
        order: How to measure it; its models are those of the two.
        progress: Tells the person what goes on.

    Raises:
        InputError: Files, rows or numbers that cannot be compared.
        MeasureError: One of the models cannot be measured.
        UnavailableError: This environment cannot.
    """
    if not 0 <= asked.max_drop < 1:
        raise InputError(f"max drop must be from 0 to 1, got {asked.max_drop:g}", "--max-drop 0.01")
    gating = tuple(name for name in asked.figures if name != SIZE)
    question = Question(asked.min_effect, gating, asked.seconds)
    comparison.check(order, question)
    given = artefact(asked.candidate), artefact(asked.baseline)
    for each in given:
        inspect(each.model)
    accuracy, note = _accuracy(asked, given, order, progress)
    found = comparison.compare(replace(order, models=[each.model for each in given]), question, progress)
    return document(found, order.profile, accuracy, sized=SIZE in asked.figures, notes=[note] if note else [])


def _accuracy(
    asked: Asked, given: tuple[GateArtefact, GateArtefact], order: Order, progress: Progress
) -> tuple[GateLine | None, str | None]:
    """The line, or why there is none: rows that nobody asked for may lie elsewhere."""
    if asked.rows is None and not (all(each.contract for each in given) and any(each.recipe for each in given)):
        return None, "the accuracy was not compared: --rows FILE takes labelled rows"
    progress.say("answering the rows")
    try:
        ours, theirs = evaluate_both(*given, asked.rows, order, progress)
    except InputError as error:
        if asked.rows is not None:
            raise
        return None, f"the accuracy was not compared: {'; '.join(problem.message for problem in error.problems)}"
    return GateLine(judge(ours, theirs, asked.max_drop, f"max_drop.{ours.metric}"), "metric"), None


def document(
    found: Comparison,
    profile: ProfileSpec,
    accuracy: GateLine | None,
    *,
    sized: bool = False,
    notes: Sequence[str] = (),
) -> GateDocument:
    """What a comparison says.

    Args:
        found: What was measured.
        profile: That it was measured with.
        accuracy: What rows say of both models' answers, where there are rows.
        sized: Whether the size gates, too.
        notes: What a reader must know besides.
    """
    ours, theirs = found.files
    first = found.blocks[0][0]
    lines = [_figure(name, found) for name in FIGURES if name in found.look.ratios or name in found.question.gating]
    lines.append(_size(found, gates=sized))
    return GateDocument(
        SCHEMA,
        {"name": ours.path.name, **ours.to_json()},
        [*lines, *([accuracy] if accuracy else [])],
        [*_notes(found), *notes],
        {
            "baseline": {"name": theirs.path.name, **theirs.to_json()},
            "profile": profile.name,
            "provider": first.provider,
            "threads": first.threads,
            "runtime": first.runtime,
            "machine": dict(first.machine),
            "inputs": first.inputs,
            "scenario": first.scenario,
            "io": first.io,
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
        reason = "too few samples in a block or too few answers on both sides, or this system does not report it"
        return GateLine(Line(label, found.bar, None, None, None, "inconclusive", reason), "timed", gates=gates)
    change = paired.change(ratio, found.bar)
    verdict = VERDICTS[change]
    line = Line(label, found.bar, *ratio, verdict, _reason(name, ratio, found) if verdict == "inconclusive" else None)
    return GateLine(line, "timed", gates=gates, change=change)


def _reason(name: str, ratio: Interval, found: Comparison) -> str:
    if found.look.decided:  # Without this figure, which else would be decided, too.
        return (
            "the limit lies between the bounds, as measuring ended once the deciding figures were known: "
            f"--figure {name} goes on until this one is"
        )
    if found.refused and found.floor is not None:
        return (
            f"refused: a min effect of {found.question.min_effect:.2%} is below the noise floor of {found.floor:.2%} "
            f"that this machine showed in this run: ask for --min-effect {_above(found.floor):g} or more, give it more "
            "time, or quieten the machine"
        )
    if ratio.upper is None:
        return (
            f"the time was up after {len(found.blocks)} blocks, and bounds take {paired.FIRST_LOOK}: give it more time"
        )
    return "the limit lies between the bounds when the time was up: give it more time, or quieten the machine"


def _above(floor: float) -> float:
    """The floor, rounded up to thousandths."""
    return -(-round(floor * 1e6) // 1000) / 1000


def _size(found: Comparison, *, gates: bool) -> GateLine:
    ours, theirs = (file.size_bytes for file in found.files)
    ratio = ours / theirs
    change = "same" if ratio == 1 else ("larger" if ratio > 1 else "smaller")
    # What does not vary needs no least effect: one byte more is more.
    return GateLine(
        Line("size", 1.0, ratio, None, None, "fail" if ratio > 1 else "pass"), "static", gates=gates, change=change
    )


def _notes(found: Comparison) -> list[str]:
    question, first = found.question, found.blocks[0][0]
    gone = [sum(sum(block[side].lost) for block in found.blocks) for side in (0, 1)]
    lost = (
        f"{gone[0]} rows of the candidate and {gone[1]} of the baseline got no answer, which counts as infinitely slow"
    )
    floor = "" if found.floor is None else f"; this machine's noise floor is {found.floor:.2%}"
    return [
        *([lost] if any(gone) else []),
        f"ratios are candidate over baseline; slowdowns of {question.min_effect:.1%} or more are to be detected, so "
        f"the limit is half way, at {found.bar:.4f}{floor}",
        f"{len(found.blocks)} blocks of fresh processes in {found.seconds:.0f} s, bounds at {found.look.confidence:.2%}"
        f" each (look {found.look.number}, 95 % over all looks)",
        f"{first.scenario}, inputs {first.inputs}; {called(first.machine)}, threads {first.threads}, "
        f"{first.provider}, onnxruntime {first.runtime}" + (f", {STAYS}" if first.io == "device" else ""),
    ]


def _block(ours: Any, theirs: Any) -> dict[str, Any]:
    return {
        side: {
            "rounds_ns": [list(taken) for taken in each.rounds],
            "lost": list(each.lost),
            "load_ns": each.load_ns,
            "first_ns": each.first_ns,
            "peak_memory_bytes": each.peak_memory_bytes,
        }
        for side, each in (("candidate", ours), ("baseline", theirs))
    }
