"""How the trainings went: loss and metric from evaluation to evaluation, what they showed, and what was tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from edgesft.budget.metric import Scale, scale
from edgesft.report.html import plot
from edgesft.report.html.markup import tag
from edgesft.report.html.parts import card, grid, section, table
from edgesft.report.html.rows import Rows

HEIGHT, PANEL = 250, 84
"""Of the plot, and of each of its two coordinate systems."""

LISTED = 5
"""Rows that a finding names."""


def learning(stages: Rows, metric: str, tuning: Mapping[str, Any] | None = None) -> Markup | None:
    """A card for each training, what it showed, and the trials before it; None where nothing was trained."""
    cards = [_curves(stage, metric) for stage in stages]
    cards = [each for each in cards if each is not None]
    findings = [
        _finding(stage, each) for stage in stages for each in (stage.get("details") or {}).get("diagnosis") or ()
    ]
    if not cards and not tuning and not findings:
        return None
    told = (
        tag("div", tag("h3", "What the trainings showed"), tag("ul", *findings, class_="plain"), class_="card")
        if findings
        else None
    )
    return section("learning", "Learning", grid(*cards), _trials(tuning) if tuning else None, told)


def _curves(stage: Mapping[str, Any], metric: str) -> Markup | None:
    training = (stage.get("details") or {}).get("training") or {}
    history = training.get("history") or []
    if not history:
        return None
    drawn, upper = plot.axes(HEIGHT, left=40, bottom=PANEL + 36 + 26, top=20)
    box = upper.get_position()
    lower = drawn.add_axes((box.x0, 36 / HEIGHT, box.width, PANEL / HEIGHT), sharex=upper)
    plot.plain(lower)
    steps = [each["step"] for each in history]
    losses = [each["loss"] for each in history]
    of = scale(metric)
    scores = [each["metrics"].get(metric) for each in history]
    shown = [float("nan") if score is None else score * of.times for score in scores]
    marker = "o" if len(steps) <= 30 else ""
    # A first evaluation has no loss before it, and one that is no number has no place.
    known = [(step, loss) for step, loss in zip(steps, losses, strict=True) if loss is not None]
    upper.plot(
        [step for step, _ in known], [loss for _, loss in known], f"{marker}-", color=plot.colour("c2"), markersize=4
    )
    lower.plot(steps, shown, f"{marker}-", color=plot.colour("c1"), markersize=4)
    if (best := training.get("best_step")) is not None:
        for each in (upper, lower):
            each.axvline(best, color=plot.colour("pass"), linewidth=1.2, linestyle="--")
    upper.tick_params(labelbottom=False)
    for each, name in ((upper, "loss"), (lower, f"{metric} on validation, {of.unit}")):
        each.set_title(name, loc="left", fontsize=plot.SMALL, color=plot.colour("muted"), pad=3)
        plot.scaled(each, [0.0], log=False, which="y")
    plot.scaled(lower, [0.0], log=False)
    lower.set_xlabel("step")
    told = [
        f"step {step}: loss {_number(loss)}, {metric} {_told(score, of)}"
        for step, loss, score in zip(steps, losses, scores, strict=True)
    ]
    rows = [
        [
            str(each["step"]),
            _number(each["loss"]),
            _number(each.get("learning_rate")),
            *(f"{value:.4f}" for value in each["metrics"].values()),
        ]
        for each in history
    ]
    behind = table(("step", "loss", "learning rate", *history[0]["metrics"]), rows, left=0)
    seconds = training.get("seconds")
    took = f", {seconds / 60:.1f} minutes" if seconds and seconds >= 60 else f", {seconds:.0f} s" if seconds else ""
    note = f"{training.get('steps', steps[-1])} steps{took}. Dashed: the step whose weights are kept."
    return card(
        str(stage["name"]), plot.svg(drawn, f"Learning curves of {stage['name']}", "; ".join(told[-3:])), behind, note
    )


def _finding(stage: Mapping[str, Any], found: Mapping[str, Any]) -> Markup:
    rows = found.get("rows") or ()
    named = ", ".join(f"{split} {row}" for split, row in rows[:LISTED])
    more = f" ({named}{', …' if len(rows) > LISTED else ''})" if rows else ""
    told = tag("b", f"{stage['name']}: {found['name']}: ")
    return tag("li", told, f"{found['message']}{more}. ", tag("span", f"Try: {found['hint']}", class_="muted"))


def _trials(tuning: Mapping[str, Any]) -> Markup:
    of = scale(tuning["metric"])
    columns = ("trial", f"{tuning['metric']} {of.unit}", *tuning["space"], "minutes", "")
    rows = [
        [
            str(place + 1),
            trial["problem"] or of.number(trial["value"]),
            *(f"{value:.3g}" for value in trial["settings"].values()),
            f"{trial['seconds'] / 60:.1f}",
            "taken" if place == tuning["chosen"] else "",
        ]
        for place, trial in enumerate(tuning["trials"])
    ]
    return tag("div", tag("h3", "Tuning"), tag("p", tuning["reason"]), table(columns, rows), class_="card")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _told(value: float | None, of: Scale) -> str:
    return "–" if value is None else of.told(value)
