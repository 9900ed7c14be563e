"""How far an artefact's figures grew over a baseline's: a line for each, as far as they can be compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from edgesft.budget.percentile import NEVER, Interval
from edgesft.budget.rounds import FEWEST_ROUNDS
from edgesft.budget.verdict import ROUNDING, Line, at_most, unknown
from edgesft.gate.baseline import Baseline, Entry
from edgesft.gate.figures import PERCENTILES, TIMED, Figures, Timing
from edgesft.gate.key import FIELDS, Key
from edgesft.spec.gate import GrowthSpec

NS_PER_MS = 1_000_000

EVERYWHERE = ("size", "parameters", "nodes")
"""What every check finds in an ONNX file without loading it: where one side lacks it, the file's form has changed."""

PLACED = ("provider", "options", "runtime")
KERNELS = ("threads", "machine.instructions")
"""What decides how many instructions are executed, where what counted them does not tell of itself."""

NEEDED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((*TIMED, "peak_memory"), FIELDS),
    **dict.fromkeys(("partitions", "off_provider"), PLACED),
    "instructions": (*PLACED, "machine.architecture", *KERNELS),
}
"""Figure → fields of the key that must be the baseline's; the others depend on the model alone."""

ALIKE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((*PERCENTILES, "peak_memory"), ("scenario", "inputs")),
    **dict.fromkeys(("first_inference", "macs"), ("inputs",)),
    "instructions": ("inputs", "counted"),
}
"""Figure → what else must be alike, where both sides tell it."""

UPDATE = "edgesft baseline update"


def judge(
    spec: GrowthSpec, figures: Mapping[str, Any], key: Key, base: Baseline, today: date
) -> list[tuple[Line, str | None]]:
    """A line `max_growth.<figure>` for each figure that is limited and that is known; growth is a share, 0.1 a tenth.

    What is counted is held against an entry of this model that agrees in what the figure depends on (`NEEDED`): the
    newest of the same profile, else the newest of all. What is timed is held against that of the very same key. Where
    there is none the line is inconclusive, and names each field in which the nearest differs.

    A limit that the user wrote always has a line, inconclusive where a side lacks the figure. A default limit has one
    where both sides have the figure: a gate that only counts must not become inconclusive for times that nobody asked
    for. `unheld` names what is thus left out. Of size, parameters and nodes, which need no measurement, a side that
    lacks them is always told.

    Growth of a time has bounds from both sides: the candidate's upper over the baseline's lower, and the other way
    round. Each is one-sided 95 %, so that together they hold with 90 % whatever the distributions, and with at least
    95 % where errors are near normal (the sum of two standard errors is never less than that of the difference). They
    are bounds of two measurements, and do not hold what differs between jobs: other neighbours, another clock, another
    layout of memory. The limit must leave room for that; `edgesft compare`, which alternates both models in one job,
    need not.

    Args:
        spec: The limits.
        figures: The artefact's (`figures.figures_of`).
        key: Whose they are.
        base: The baseline.
        today: By UTC.

    Returns:
        Each line, and why its failure is let through and until when; None where it is not. Such a line still has the
        verdict `fail`.

    Raises:
        InputError: The baseline has no entry of this model.
        pydantic.ValidationError: They are no figures.
    """
    ours, entries = Figures.from_json(figures), base.of(key.model)
    lines = [_line(name, limit, name in spec.model_fields_set, ours, key, entries) for name, limit in spec]
    return [_let_through(line, key, base, today) for line in lines if line is not None]


def unheld(spec: GrowthSpec, figures: Mapping[str, Any], key: Key, base: Baseline) -> list[str]:
    """Figures with a default limit that have no line, for only one side has them."""
    ours, entries = Figures.from_json(figures), base.of(key.model)
    return [
        name
        for name, limit in spec
        if limit is not None
        and _line(name, limit, name in spec.model_fields_set, ours, key, entries) is None
        and (getattr(ours, name) is not None or _holding(name, entries))
    ]


def _line(
    figure: str, limit: float | None, stated: bool, ours: Figures, key: Key, entries: Sequence[Entry]
) -> Line | None:
    if limit is None:
        return None
    name, mine = f"max_growth.{figure}", getattr(ours, figure)
    pool = _pool(figure, key, entries)
    held, same = _holding(figure, pool), [each for each in pool if not _elsewhere(figure, ours, key, each)]
    usable = _holding(figure, same)
    if mine is None or not held or (same and not usable):
        known = mine is not None or bool(held)
        return (
            unknown(name, limit, _lack(figure, ours, bool(held)))
            if stated or (figure in EVERYWHERE and known)
            else None
        )
    entry = min(usable or held, key=lambda each: _distance(figure, ours, key, each))
    opened = [*_elsewhere(figure, ours, key, entry), *_unlike(figure, ours, entry.figures)]
    theirs = getattr(entry.figures, figure)
    if isinstance(mine, Timing):
        if figure in PERCENTILES:
            opened += _unsteady(ours, entry.figures)
        return _timed(name, limit, mine, theirs, opened)
    return _counted(name, limit, mine, theirs, opened)


def _pool(figure: str, key: Key, entries: Sequence[Entry]) -> Sequence[Entry]:
    """What is timed is looked for in the entries of this profile, if it has any: others' times are of no concern."""
    own = [entry for entry in entries if entry.key.profile == key.profile]
    return own if own and "profile" in NEEDED.get(figure, ()) else entries


def _holding(figure: str, entries: Sequence[Entry]) -> list[Entry]:
    return [entry for entry in entries if getattr(entry.figures, figure) is not None]


def _elsewhere(figure: str, ours: Figures, key: Key, entry: Entry) -> list[str]:
    """Fields of the key that differ, of those that the figure depends on."""
    needed = NEEDED.get(figure, ())
    if figure == "instructions" and ours.counted and entry.figures.counted:
        needed = tuple(name for name in needed if name not in KERNELS)
    return key.differences(entry.key, needed)


def _unlike(figure: str, ours: Figures, theirs: Figures) -> list[str]:
    """What else differs, where both sides tell it."""
    told = [(name, getattr(theirs, name), getattr(ours, name)) for name in ALIKE.get(figure, ())]
    return [f"{name}: the baseline has {old}, this is {new}" for name, old, new in told if old and new and old != new]


def _distance(figure: str, ours: Figures, key: Key, entry: Entry) -> tuple[float, ...]:
    """How far an entry is from what is checked.

    Of those that agree in what matters the newest of the profile is the nearest: a file that was updated on one machine
    still has older entries of others.
    """
    return (
        len(_elsewhere(figure, ours, key, entry)),
        len(_unlike(figure, ours, entry.figures)),
        entry.key.profile != key.profile,
        -datetime.fromisoformat(entry.created).timestamp(),
        len(key.differences(entry.key, FIELDS)),
    )


def _lack(figure: str, ours: Figures, held: bool) -> str:
    """Why there is nothing to compare."""
    if getattr(ours, figure) is not None:
        return f"the baseline has no {figure} for this: {UPDATE}"
    other = "where the baseline has it" if held else "and neither has the baseline"
    if figure in PERCENTILES and ours.p50 is not None:
        return f"n={ours.p50.n} is too small for {figure}, {other}"
    return f"this check found no {figure}, {other}; null in place of its limit compares nothing"


def _unsteady(ours: Figures, theirs: Figures) -> list[str]:
    sides = (("this measurement", ours), ("the baseline's measurement", theirs))
    return [f"{side} cannot decide: {reason}" for side, each in sides for reason in each.unsteady]


def _timed(name: str, limit: float, mine: Timing, theirs: Timing, opened: Sequence[str]) -> Line:
    if not theirs.value:
        return unknown(name, limit, "the baseline has 0 ns, which its clock is too coarse for")
    found = Interval(
        mine.value / theirs.value - 1,
        mine.lower / theirs.upper - 1 if mine.lower is not None and theirs.upper else None,
        mine.upper / theirs.lower - 1 if mine.upper is not None and theirs.lower else None,
    )
    side, n = ("this check's", mine.n) if mine.upper is None else ("the baseline's", theirs.n)
    short = f"{side} n={n} is too small for a bound: take more samples, for latency in at least {FEWEST_ROUNDS} rounds"
    line = at_most(name, limit, found, short=short, differences=opened)
    if line.verdict != "fail":
        return line
    old, new = ("no answer" if ns >= NEVER else f"{ns / NS_PER_MS:.4g} ms" for ns in (theirs.value, mine.value))
    return replace(line, reason=f"the baseline has {old}, this has {new}")


def _counted(name: str, limit: float, mine: int, theirs: int, opened: Sequence[str]) -> Line:
    """A line on a figure without bounds; of what may not grow at all, one more is too much, however large it is."""
    share = (mine - theirs) / theirs if theirs else (None if mine else 0.0)
    if opened:
        return Line(name, limit, share, None, None, "inconclusive", "; ".join(opened))
    if mine <= theirs or (share is not None and limit and share <= limit + ROUNDING):
        return Line(name, limit, share, None, None, "pass")
    reason = f"the baseline has {theirs:,}, this has {mine:,}"
    if share is None:
        reason += f"; growth from 0 is no share: if that is right, {UPDATE}"
    return Line(name, limit, share, None, None, "fail", reason)


def _let_through(line: Line, key: Key, base: Baseline, today: date) -> tuple[Line, str | None]:
    """The line, and what lets its failure through; else what nearly did goes into its reason."""
    if line.verdict != "fail":
        return line, None
    known = [each for each in base.accepted if (each.line, each.model) == (line.name, key.model)]
    reasons = [line.reason] if line.reason else []
    for each in (each for each in known if each.profile in (None, key.profile)):
        if each.expired(today):
            reasons.append(f"its acceptance ({each.reason}) expired on {each.until}")
        elif line.value is None or line.value > each.up_to + ROUNDING:
            reasons.append(f"accepted only up to {each.up_to:g} ({each.reason}, until {each.until})")
        else:
            return line, f"{each.reason} (until {each.until})"
    return replace(line, reason="; ".join(reasons) or None), None
