"""The page of a check or a comparison, from its JSON alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from markupsafe import Markup

from edgesft.report.html import plot
from edgesft.report.html.bars import bars
from edgesft.report.html.latency import latency
from edgesft.report.html.lineage import machine
from edgesft.report.html.markup import tag
from edgesft.report.html.page import page, verdict
from edgesft.report.html.parts import bullets, card, grid, section, table
from edgesft.report.html.placement import placement
from edgesft.report.html.rows import NS
from edgesft.report.latency import PERCENTILES, sketch
from edgesft.report.lines import gate as gate_of
from edgesft.report.lines import subject, tally

SIDES = ("candidate", "baseline")


def gate(document: Mapping[str, Any], name: str) -> str:
    """The page of `GateDocument.to_json()`; `name` is that of its file."""
    rows = [_side(document["blocks"], side) for side in SIDES] if document.get("blocks") else []
    measured = document.get("measurement")
    if measured and measured.get("placement"):
        rows = [{"name": document["subject"]["name"], "measurement": measured, "provider": measured.get("provider")}]
    content = [
        section("budget", "Lines", bars(document["lines"])) if document["lines"] else None,
        section("notes", "How it was found", tag("div", bullets(document["notes"]), class_="card"))
        if document["notes"]
        else None,
        _timed(document, rows),
        _machine(document),
    ]
    profile = f", profile {document['profile']}" if document.get("profile") else ""
    commit = f", commit {document['commit'][:12]}" if document.get("commit") else ""
    subtitle = f"{gate_of(document)}{profile}{commit}, {document['created']} ({name})"
    return page(subject(document), subtitle, verdict(document["verdict"], f"{tally(document)}."), content)


def _side(blocks: Sequence[Mapping[str, Any]], side: str) -> dict[str, Any]:
    rounds = [taken for block in blocks for taken in block[side]["rounds_ns"]]
    little = sketch(rounds)
    figures = {f"p{p}": little["quantiles_ns"][p] if little else None for p in PERCENTILES}
    return {
        "name": side,
        "latency_ns": {"n": sum(map(len, rounds)), **figures},
        "measurement": {"sketch": little, "grade": None},
    }


def _timed(document: Mapping[str, Any], rows: list[dict[str, Any]]) -> Markup | None:
    cards, where = latency(rows), placement(rows)
    blocks = _blocks(document["blocks"], document.get("bar")) if document.get("blocks") else None
    if not cards and where is None:
        return None
    return section("latency", "Latency", grid(*cards, blocks, where))


def _blocks(blocks: Sequence[Mapping[str, Any]], bar: float | None) -> Markup:
    """The ratio of the medians, block by block."""
    medians = [
        [median(each for taken in block[side]["rounds_ns"] for each in taken) for side in SIDES] for block in blocks
    ]
    ratios = [ours / theirs for ours, theirs in medians]
    drawn, found = plot.axes(210, left=40)
    found.axhline(1, color=plot.colour("muted"), linewidth=1)
    if bar:
        found.axhline(bar, color=plot.colour("fail"), linewidth=1.2, linestyle="--")
    found.plot(range(1, len(ratios) + 1), ratios, "o", color=plot.colour("c1"), markersize=6)
    plot.scaled(found, [0.0], log=False)
    plot.scaled(found, [0.0], log=False, which="y")
    found.set_xlabel("block of fresh processes")
    rows = [
        [str(place + 1), f"{ours / NS:.4g}", f"{theirs / NS:.4g}", f"{ratio:.4f}"]
        for place, ((ours, theirs), ratio) in enumerate(zip(medians, ratios, strict=True))
    ]
    behind = table(("block", "candidate, ms", "baseline, ms", "ratio"), rows, left=0)
    note = "Median of the candidate over that of the baseline. Dashed: the limit."
    described = f"from {min(ratios):.3f} to {max(ratios):.3f}"
    return card("Ratio by block", plot.svg(drawn, "Ratio of the medians by block", described), behind, note)


def _machine(document: Mapping[str, Any]) -> Markup | None:
    found = document.get("machine") or (document.get("measurement") or {}).get("machine")
    return section("machine", "What measured", machine(found)) if isinstance(found, Mapping) else None
