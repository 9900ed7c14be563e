"""The budget of a recipe against the facts of a run: a line for each limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgesft.budget import percentile, rounds, verdict
from edgesft.budget.percentile import CONFIDENCE, NEVER, Interval, needed
from edgesft.budget.ratio import FEWEST_ROUNDS, ratio
from edgesft.budget.rounds import Rounds, interval
from edgesft.budget.verdict import Line
from edgesft.spec.budget import BudgetSpec, Percentiles

NS_PER_MS, NS_PER_S = 1_000_000, 1_000_000_000
BYTES_PER_MB = 1_000_000

MEDIAN = 50

NO_TOKENS = "this task does not answer token by token"
NO_PICTURES = "this task makes no pictures"

LOAD_PERCENTILE = MEDIAN
"""Loads and first inferences are judged by their median, which has an upper bound from five of them on."""


COUNTS = ("parameters", "macs", "instructions", "nodes", "partitions", "off_provider", "placement_share")
"""Limits on what is counted; all but the last are upper ones."""

UNCOUNTED = {
    "macs": "they cannot be computed from the shapes in the runtime's profile",
    "instructions": "instructions were not counted",
    **dict.fromkeys(("partitions", "off_provider", "placement_share"), "the runtime does not report where nodes run"),
}
"""Why a count may be missing."""


@dataclass(frozen=True)
class Facts:
    """What a run found out about its final model and about the fine-tuned original.

    Attributes:
        size_bytes: Every file that the device loads.
        original_size_bytes: The same of the original's export.
        rounds: Nanoseconds of the final model's inferences, by round; empty where nothing was measured. What got no
            answer took `percentile.NEVER`.
        original_rounds: The original's, interleaved with them.
        loads_ns: Session creations of the final model, each in a fresh process.
        firsts_ns: First inferences after each of those.
        peak_memory_bytes: Of a process that ran only the final model.
        counts: Whatever else is counted and does not vary, by the budget's name of it: `parameters`, `macs`,
            `instructions`, `nodes`, `partitions`, `off_provider`, `placement_share`.
        operators: Type of operator → nodes in the file, or None where the file does not tell.
        metrics: Metric → its value and bounds (`drop.levels`).
        agreement: Share of the rows that are answered as by the original in fp32 on a CPU.
        drops: Metric → how far it fell below the original, with bounds (`drop.drops`).
        differences: Where the measuring machine is not the profile's (`fingerprint.differences`).
        confidence: Of each bound from the rounds, by itself; more than is stated where measuring might have stopped
            early (`sequential.Decision.confidence`).
        unsteady: Why the rounds' absolute times decide nothing (`steadiness.Steadiness.problems`).
        untimed: Why there are no times, where there are none.
        lost: How many of the rounds' inferences got no answer.
        period_ns: Of the sound that a request stands for: from one to the next of a stream, or what is to be heard.
        opening_rounds: Where an answer takes many inferences, one a token, nanoseconds of the first, which read a
            prompt, by round; None where it takes one.
        inferences: Of a picture; None where none is made.
    """

    size_bytes: int
    original_size_bytes: int | None = None
    rounds: Sequence[Sequence[int]] = ()
    original_rounds: Sequence[Sequence[int]] = ()
    loads_ns: Sequence[int] = ()
    firsts_ns: Sequence[int] = ()
    peak_memory_bytes: int | None = None
    counts: Mapping[str, float] = field(default_factory=dict)
    operators: Mapping[str, int] | None = None
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    agreement: float | None = None
    drops: Mapping[str, Interval] = field(default_factory=dict)
    differences: Sequence[str] = ()
    confidence: float = CONFIDENCE
    unsteady: Sequence[str] = ()
    untimed: str = "nothing was measured"
    lost: int = 0
    period_ns: int | None = None
    opening_rounds: Sequence[Sequence[int]] | None = None
    inferences: int | None = None


def judge(budget: BudgetSpec, facts: Facts) -> list[Line]:
    """One line for each limit of the budget, in the order of its fields; `verdict.worst` of them is the run's."""
    return [
        *_latencies(budget, facts),
        *_ratios(budget, facts),
        *_starts(budget, facts),
        *_sizes(budget, facts),
        *_counts(budget, facts),
        *_agreement(budget, facts),
        *_metrics(budget, facts),
    ]


def _latencies(budget: BudgetSpec, facts: Facts) -> list[Line]:
    return [
        *_percentiles("latency_ms", budget.latency_ms, NS_PER_MS, facts),
        *_percentiles("real_time_factor", budget.real_time_factor, facts.period_ns, facts),
        *_first_tokens(budget, facts),
        *_pace(budget, facts),
        *_pictures(budget, facts),
    ]


def _first_tokens(budget: BudgetSpec, facts: Facts) -> list[Line]:
    if facts.opening_rounds is None:
        limits = budget.first_token_ms.limits()
        return [verdict.unknown(f"first_token_ms.p{p}", limit, NO_TOKENS) for p, limit in limits.items()]
    opening = replace(facts, rounds=facts.opening_rounds, lost=0)
    return _percentiles("first_token_ms", budget.first_token_ms, NS_PER_MS, opening)


def _pace(budget: BudgetSpec, facts: Facts) -> list[Line]:
    """Tokens a second: one over the median of the inferences that say one."""
    name, limit = "tokens_per_second", budget.tokens_per_second
    if limit is None:
        return []
    if facts.opening_rounds is None or not any(facts.rounds):
        return [verdict.unknown(name, limit, NO_TOKENS if facts.opening_rounds is None else facts.untimed)]
    taken, opened = Rounds.of(facts.rounds), (*facts.differences, *facts.unsteady)
    value, lower, upper = interval(taken, MEDIAN, facts.confidence)
    pace = Interval(NS_PER_S / value, upper and NS_PER_S / upper, lower and NS_PER_S / lower)
    short = _short(taken, MEDIAN, facts.confidence)
    return [verdict.at_least(name, limit, pace, short=short, differences=opened)]


def _pictures(budget: BudgetSpec, facts: Facts) -> list[Line]:
    """Milliseconds of a picture: the median of an inference as often as it takes."""
    name, limit = "picture_ms", budget.picture_ms
    if limit is None:
        return []
    if facts.inferences is None or not any(facts.rounds):
        return [verdict.unknown(name, limit, NO_PICTURES if facts.inferences is None else facts.untimed)]
    taken, opened = Rounds.of(facts.rounds), (*facts.differences, *facts.unsteady)
    whole = _by(interval(taken, MEDIAN, facts.confidence), NS_PER_MS / facts.inferences)
    short = _short(taken, MEDIAN, facts.confidence)
    return [verdict.at_most(name, limit, whole, short=short, differences=opened)]


def _percentiles(name: str, wanted: Percentiles, unit_ns: int | None, facts: Facts) -> list[Line]:
    """A line for each percentile of the times, in a unit of its own; None where there is none."""
    limits = wanted.limits()
    if unit_ns is None or not any(facts.rounds):
        reason = facts.untimed if unit_ns else "requests of this task have no duration of sound"
        return [verdict.unknown(f"{name}.p{p}", limit, reason) for p, limit in limits.items()]
    taken, opened = Rounds.of(facts.rounds), (*facts.differences, *facts.unsteady)
    lines = [
        verdict.at_most(
            f"{name}.p{p}",
            limit,
            _by(interval(taken, p, facts.confidence), unit_ns),
            short=_short(taken, p, facts.confidence),
            differences=opened,
        )
        for p, limit in limits.items()
    ]
    return [_answered(line, facts.lost, taken.values.size) for line in lines] if facts.lost else lines


def _answered(line: Line, lost: int, count: int) -> Line:
    """The line, with what it owes to rows without an answer."""
    reason = f"{lost} of {count} rows got no answer, and count as infinitely slow"
    return replace(
        line,
        value=_known(line.value),
        lower=_known(line.lower),
        upper=_known(line.upper),
        reason="; ".join(filter(None, (line.reason, reason))),
    )


def _known(value: float | None) -> float | None:
    # A bound may have been moved; a month is no latency.
    return value if value is not None and value < NEVER / NS_PER_MS / 1000 else None


def _short(taken: Rounds, p: int, confidence: float) -> str:
    """Why the rounds give the percentile no upper bound."""
    count, least = taken.values.size, needed(p, confidence)
    if count < least:
        return f"n={count} is too small to bound p{p}, which needs n={least}"
    return f"{rounds.FEWEST_ROUNDS} rounds are needed to tell how samples depend on each other, got {taken.count}"


def _by(found: Interval, unit_ns: float) -> Interval:
    value, lower, upper = found
    return Interval(value / unit_ns, lower and lower / unit_ns, upper and upper / unit_ns)


def _ratios(budget: BudgetSpec, facts: Facts) -> list[Line]:
    found = []
    for p, limit in budget.latency_ratio.limits().items():
        name = f"latency_ratio.p{p}"
        if not facts.rounds or not facts.original_rounds:
            found.append(verdict.unknown(name, limit, _apart(facts)))
            continue
        least = needed(p, facts.confidence)
        short = f"too few to bound the ratio of p{p}, which needs {FEWEST_ROUNDS} rounds and {least} samples each"
        bounds = ratio(facts.rounds, facts.original_rounds, p, facts.confidence)
        found.append(verdict.at_most(name, limit, bounds, short=short))
    return found


def _apart(facts: Facts) -> str:
    if facts.untimed != Facts.untimed:
        return facts.untimed
    return "final model and original were not measured side by side"


def _starts(budget: BudgetSpec, facts: Facts) -> list[Line]:
    limits = (
        ("load_ms", budget.load_ms, facts.loads_ns),
        ("first_inference_ms", budget.first_inference_ms, facts.firsts_ns),
    )
    return [_start(name, limit, samples, facts) for name, limit, samples in limits if limit is not None]


def _start(name: str, limit_ms: float, samples: Sequence[int], facts: Facts) -> Line:
    if not samples:
        return verdict.unknown(name, limit_ms, facts.untimed)
    # Each is from a process of its own, so that they are independent.
    found = _by(percentile.interval(samples, LOAD_PERCENTILE), NS_PER_MS)
    least = needed(LOAD_PERCENTILE)
    short = f"n={len(samples)} is too small to bound p{LOAD_PERCENTILE}, which needs n={least}"
    return verdict.at_most(name, limit_ms, found, short=short, differences=facts.differences)


def _sizes(budget: BudgetSpec, facts: Facts) -> list[Line]:
    found = []
    if budget.size_mb is not None:
        found.append(verdict.exact("size_mb", budget.size_mb, facts.size_bytes / BYTES_PER_MB))
    if budget.size_ratio is not None:
        if facts.original_size_bytes:
            share = facts.size_bytes / facts.original_size_bytes
            found.append(verdict.exact("size_ratio", budget.size_ratio, share))
        else:
            found.append(verdict.unknown("size_ratio", budget.size_ratio, "there is no original to compare with"))
    if budget.peak_memory_mb is not None:
        if facts.peak_memory_bytes is not None:
            peak = facts.peak_memory_bytes / BYTES_PER_MB
            found.append(verdict.exact("peak_memory_mb", budget.peak_memory_mb, peak))
        else:
            reason = "peak memory was not measured, or this system does not report it"
            found.append(verdict.unknown("peak_memory_mb", budget.peak_memory_mb, reason))
    return found


def _counts(budget: BudgetSpec, facts: Facts) -> list[Line]:
    found = []
    for name in COUNTS:
        limit = getattr(budget, name)
        if limit is None:
            continue
        if name not in facts.counts:
            found.append(verdict.unknown(name, limit, UNCOUNTED.get(name, "it was not counted")))
        elif name == "placement_share":
            found.append(verdict.minimum(name, limit, Interval(facts.counts[name], None, None), bound=False))
        else:
            found.append(verdict.exact(name, limit, facts.counts[name]))
    if budget.operators is not None:
        found.append(_operators(budget.operators, facts.operators))
    return found


def _operators(allowed: Sequence[str], present: Mapping[str, int] | None) -> Line:
    """A line on how many nodes are of a type that is not allowed: none may be."""
    if present is None:
        return verdict.unknown("operators", 0, "the file does not list its operators")
    others = {op: count for op, count in present.items() if op not in allowed}
    line = verdict.exact("operators", 0, sum(others.values()))
    named = ", ".join(f"{op} × {count}" for op, count in others.items())
    return replace(line, reason=f"not allowed: {named}") if others else line


def _agreement(budget: BudgetSpec, facts: Facts) -> list[Line]:
    if budget.agreement is None:
        return []
    if facts.agreement is None:
        return [verdict.unknown("agreement", budget.agreement, "answers were not compared with the original's")]
    return [verdict.minimum("agreement", budget.agreement, Interval(facts.agreement, None, None), bound=False)]


def _metrics(budget: BudgetSpec, facts: Facts) -> list[Line]:
    bound = budget.confidence is not None
    found = []
    for metric, limit in budget.max_drop.items():
        name = f"max_drop.{metric}"
        if metric in facts.drops:
            found.append(verdict.drop(name, limit, facts.drops[metric], bound=bound))
        else:
            alone = f"{metric} of the original is not known on these rows, and a drop is below that"
            reason = alone if metric in facts.metrics else _missing(metric, facts.drops)
            found.append(verdict.unknown(name, limit, reason))
    for metric, limit in budget.min_metric.items():
        name = f"min_metric.{metric}"
        if metric in facts.metrics:
            found.append(verdict.minimum(name, limit, facts.metrics[metric], bound=bound))
        else:
            found.append(verdict.unknown(name, limit, _missing(metric, facts.metrics)))
    return found


def _missing(metric: str, known: Mapping[str, Interval]) -> str:
    return f"{metric} was not measured; available: {', '.join(known) or 'no metric'}"


def size_limit(budget: BudgetSpec, original_bytes: int | None) -> int | None:
    """Most bytes that a budget allows what ships; None where it says nothing.

    Args:
        budget: `size_mb` and `size_ratio`.
        original_bytes: Of the fine-tuned original's files, where there is one yet.
    """
    limits = [] if budget.size_mb is None else [budget.size_mb * BYTES_PER_MB]
    if budget.size_ratio is not None and original_bytes is not None:
        limits.append(budget.size_ratio * original_bytes)
    return int(min(limits)) if limits else None


def latency_limit(budget: BudgetSpec, original_ns: float, *, here: bool) -> float | None:
    """Most nanoseconds that a budget allows the median inference; None where it says nothing of that.

    Milliseconds of another percentile are no limit on the median. As shares of the original's, all percentiles are
    taken to be alike.

    Args:
        budget: `latency_ms` and `latency_ratio`.
        original_ns: p50 of the fine-tuned original.
        here: Whether milliseconds on this machine are the profile's.
    """
    limits = [share * original_ns for share in budget.latency_ratio.limits().values()]
    if here and budget.latency_ms.p50 is not None:
        limits.append(budget.latency_ms.p50 * NS_PER_MS)
    return min(limits) if limits else None
