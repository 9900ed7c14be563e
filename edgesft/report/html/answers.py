"""What the final model's answers tell: confusion, ROC, calibration, and the figures of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from edgesft.report.evaluation import open_world
from edgesft.report.html import plot
from edgesft.report.html.markup import tag
from edgesft.report.html.parts import card, details, grid, section, table
from edgesft.report.lines import figure

MOST = 24
"""Classes of a confusion matrix; of more, those that are confused most."""

NAMED = 12
"""Classes whose names fit beside the matrix."""


def answers(found: Mapping[str, Any], split: str) -> Markup | None:
    """Everything that `evaluation` of the results has; None where it has nothing."""
    if not found or not found.get("rows"):
        return None
    averages = ", ".join(
        f"{name.replace('_', ' ')} {value:.3f}"
        for name, value in found.get("averages", {}).items()
        if value is not None
    )
    heads = found.get("heads") or {"": found}
    cards = grid(*(each for head, told in heads.items() for each in _cards(told, f" of {head}" if head else "")))
    unknown = tag("p", open_world(found["open_world"]), class_="card") if found.get("open_world") else None
    lead = f"{found['rows']} rows of {split}: {averages}."
    return section("answers", "Answers of the final model", cards, unknown, _classes(found), lead=lead)


def _cards(found: Mapping[str, Any], of: str) -> list[Markup | None]:
    names, pairs = [str(each["name"]) for each in found.get("classes", ())], found.get("confused") or ()
    counts = found.get("confusion")
    return [
        _confusion(counts, names, pairs, of) if counts else _confused(pairs, of),
        _roc(found.get("roc"), names, of),
        _reliability(found.get("reliability"), of),
    ]


def _confused(pairs: Sequence[Mapping[str, Any]], of: str) -> Markup | None:
    """Where there is no matrix: what was taken for what."""
    if not pairs:
        return None
    return tag("div", tag("h3", f"Confused classes{of}"), _pairs(pairs), class_="card")


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> Markup:
    told = [[str(pair["true"]), str(pair["predicted"]), str(pair["rows"])] for pair in pairs]
    return table(("true", "answered", "rows"), told or [["none", "none", "0"]], left=2)


def _confusion(
    counts: Sequence[Sequence[int]], names: Sequence[str], pairs: Sequence[Mapping[str, Any]], of: str
) -> Markup | None:
    if len(counts) < 2 or len(names) != len(counts):
        return None
    whole = np.asarray(counts)
    wrong = whole.sum(axis=0) + whole.sum(axis=1) - 2 * np.diag(whole)
    places = np.sort(np.argsort(-wrong, kind="stable")[:MOST])
    part, size = whole[np.ix_(places, places)], len(places)
    left = 92 if size <= NAMED else 30
    drawn, found = plot.axes(plot.WIDTH - left - 10 + 8 + 36, left=left)
    shares = part / np.maximum(whole.sum(axis=1)[places], 1)[:, None]
    for row, column in zip(*np.nonzero(part), strict=True):
        right = row == column
        share = float(shares[row, column])
        shade = plot.colour("c1" if right else "c2")
        found.fill(
            [column, column + 1, column + 1, column],
            [row, row, row + 1, row + 1],
            color=shade,
            alpha=0.12 + 0.78 * share,
            linewidth=0,
        )
        if size <= NAMED:
            found.text(
                column + 0.5,
                row + 0.5,
                str(part[row, column]),
                ha="center",
                va="center",
                fontsize=plot.SMALL,
                color=plot.colour("ink" if share < 0.6 else "surface"),
            )
    found.set_xlim(0, size)
    found.set_ylim(size, 0)
    found.set_yticks(np.arange(size) + 0.5, [""] * size)
    found.set_xticks(np.arange(size) + 0.5, [str(place + 1) if size <= NAMED else "" for place in places])
    found.grid(False)
    for place in range(size):
        label = f"{places[place] + 1} {names[places[place]]}" if size <= NAMED else str(places[place] + 1)
        if size <= NAMED or place % 2 == 0:
            plot.words(found, -0.1, place + 0.5, label, most=15, ha="right", fontsize=plot.SMALL)
    found.set_xlabel("predicted class; true class on the left")
    fewer = f" The {size} of {len(whole)} classes that are confused most." if size < len(whole) else ""
    note = f"One row per true class. Blue: right, orange: wrong, darker: a larger share of the row.{fewer}"
    told = [f"{pair['true']} taken for {pair['predicted']} {pair['rows']} times" for pair in pairs[:5]]
    described = "; ".join(told) or "nothing is confused"
    return card(f"Confusion{of}", plot.svg(drawn, f"Confusion matrix{of}", described), _pairs(pairs), note)


def _roc(curve: Mapping[str, Sequence[float]] | None, names: Sequence[str], of: str) -> Markup | None:
    if not curve:
        return None
    false, true = curve["false_positive_rate"], curve["true_positive_rate"]
    drawn, found = plot.axes(300, left=34, right=20)
    found.plot([0, 1], [0, 1], color=plot.colour("muted"), linewidth=1, linestyle="--")
    found.step(false, true, where="post", color=plot.colour("c1"), linewidth=2)
    _unit(found, "false positive rate; true positive rate on the left")
    area = float(np.trapezoid(true, false))
    rows = [
        [figure(one, 3), figure(other, 3)]
        for one, other in zip(false[:: max(1, len(false) // 20)], true[:: max(1, len(true) // 20)], strict=True)
    ]
    behind = table(("false positive rate", "true positive rate"), rows, left=0)
    of += f", '{names[1]}'" if len(names) == 2 else ""
    note = f"Area {area:.3f}. Dashed: random guessing."
    return card(f"ROC{of}", plot.svg(drawn, f"ROC curve{of}", f"area under the curve {area:.3f}"), behind, note)


def _reliability(found: Sequence[Mapping[str, float]] | None, of: str) -> Markup | None:
    if not found or len(found) < 2:
        return None
    drawn, axes = plot.axes(300, left=34, right=20)
    axes.plot([0, 1], [0, 1], color=plot.colour("muted"), linewidth=1, linestyle="--")
    most = max(each["rows"] for each in found)
    axes.plot(
        [each["confidence"] for each in found],
        [each["accuracy"] for each in found],
        color=plot.colour("c3"),
        linewidth=1.2,
    )
    for each in found:
        size = 4 + 9 * (each["rows"] / most) ** 0.5
        axes.plot([each["confidence"]], [each["accuracy"]], "o", markersize=size, color=plot.colour("c3"))
    _unit(axes, "confidence; accuracy on the left")
    rows = [[f"{each['confidence']:.3f}", f"{each['accuracy']:.3f}", f"{each['rows']:.0f}"] for each in found]
    behind = table(("confidence", "accuracy", "rows"), rows, left=0)
    note = "Accuracy of the answers by confidence. On the dashed line the two are equal. Larger points: more rows."
    return card(f"Calibration{of}", plot.svg(drawn, f"Reliability{of}", note), behind, note)


def _unit(found: plot.Axes, label: str) -> None:
    found.set_xlim(-0.02, 1.02)
    found.set_ylim(-0.02, 1.02)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    found.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    found.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    found.set_xlabel(label)


def _classes(found: Mapping[str, Any]) -> Markup | None:
    classes = sorted(found.get("classes", ()), key=lambda each: (each.get("f1", 0), str(each["name"])))
    if not classes:
        return None
    columns = [name for name in classes[0] if name != "name"]
    rows = [[str(each["name"]), *(_figure(each.get(name)) for name in columns)] for each in classes]
    return details(f"{found.get('by', 'classes')}, worst first", table(("", *columns), rows))


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
