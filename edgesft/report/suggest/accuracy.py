"""Changes that keep more of the metric."""

from __future__ import annotations

from collections.abc import Iterator

from edgesft.budget.metric import scale
from edgesft.report.suggest.found import MARGIN, Found, Stage, Suggestion
from edgesft.report.suggest.speed import settings_of

RISING = 0.1
"""Share of the usual allowance: a metric that rose by more between its last two evaluations had not come to rest."""

LONGER = 2
"""Times the epochs that are suggested then."""


def milder(found: Found) -> Iterator[Suggestion]:
    """Less pruning where that cost, as far as the other lines leave room."""
    room = _room(found)
    for stage in _costly(found):
        share = found.share("latency_ratio.p50", stage)
        if stage["stage"] != "prune" or not share:
            continue
        # With room for all of it, half of what was cut: none at all is a stage to leave out.
        target = min(share * room * MARGIN, (1 + share) / 2)
        if target <= share:
            continue
        spec = found.spec("prune") or {}
        unset = [name for name in ("parameters", "latency_ms") if spec.get(name) is not None]
        fields = {**dict.fromkeys(unset, "null"), "latency": f"{target:.2g}"}
        yield Suggestion(
            f"prune less: to {target:.2g} of the latency instead of {share:.2g}",
            f"it cost {found.lost(found.cost(stage))}, and the timed lines leave room for {room:.2f} times the latency",
            tuple(found.setting(stage, name, value) for name, value in fields.items()),
        )


def gentler(found: Found) -> Iterator[Suggestion]:
    """Another quantization that was measured to cost less, and that is fast enough."""
    for stage in _costly(found):
        rows = {row["name"]: row for row in stage.get("details", {}).get("candidates", ()) if "drop" in row}
        chosen = rows.get(str(stage.get("details", {}).get("chosen")))
        if chosen is None:
            continue
        for name, row in rows.items():
            settings = settings_of(name)
            slower = row["p50_ns"] / chosen["p50_ns"] if row.get("p50_ns") and chosen.get("p50_ns") else 1.0
            if not settings or row["drop"] >= chosen["drop"] or slower > _room(found) * MARGIN:
                continue
            drop = found.drop(found.last) + row["drop"] - chosen["drop"]
            yield Suggestion(
                f"quantize as {name}",
                f"{found.lost(row['drop'])} on validation where {chosen['name']} has {found.lost(chosen['drop'])}, "
                f"at {slower:.2f} times its latency",
                tuple(found.setting(stage, key, value) for key, value in settings.items()),
                {f"max_drop.{found.metric}": drop},
                drop,
            )


def longer(found: Found) -> Iterator[Suggestion]:
    """More of a training that was not done."""
    for stage in reversed(found.kept):
        history = (stage.get("details", {}).get("training") or {}).get("history") or []
        spec = found.spec(stage["stage"]) or {}
        epochs = spec.get("epochs")
        values = [entry["metrics"].get(found.metric) for entry in history[-2:]]
        if len(values) < 2 or None in values or not isinstance(epochs, int | float):
            continue
        if values[1] - values[0] > RISING * scale(found.metric).allowance:
            yield Suggestion(
                f"train '{stage['name']}' longer: {LONGER * epochs:g} epochs instead of {epochs:g}",
                f"{found.metric} on validation was still rising at the end, from {values[0]:.4f} to {values[1]:.4f}",
                (found.setting(stage, "epochs", f"{LONGER * epochs:g}"),),
            )


def rounded(found: Found) -> Iterator[Suggestion]:
    """Training that knows of int8, where int8 is what cost."""
    chosen = str(found.last.get("precision"))
    scheme = next((name for name in ("int8-dynamic", "int8-static") if chosen.startswith(name)), None)
    taught = next((stage for stage in found.kept if stage["stage"] in ("distill", "prune")), None)
    cost = found.cost(found.last)
    if scheme is None or taught is None or cost <= 0 or found.last["stage"] != "quantize":
        return
    if (found.spec(taught["stage"]) or {}).get("quantization", "none") == "none":
        yield Suggestion(
            f"train '{taught['name']}' with {scheme} quantization",
            f"{scheme} cost {found.lost(cost)}",
            (found.setting(taught, "quantization", scheme),),
        )


def diagnosed(found: Found) -> Iterator[Suggestion]:
    """What the training's own diagnosis says."""
    for stage in found.stages:
        for each in stage.get("details", {}).get("diagnosis") or ():
            yield Suggestion(f"{stage['name']}: {each['hint']}", f"{each['name']}: {each['message']}")


def _costly(found: Found) -> list[Stage]:
    """Kept stages that cost something, the costliest first."""
    own = [stage for stage in found.kept if stage is not found.first and found.cost(stage) > 0]
    return sorted(own, key=lambda stage: -found.cost(stage))


def _room(found: Found) -> float:
    """How many times as long what ships might take for the timed lines to hold still; without any, twice."""
    timed = [line for name, line in found.lines.items() if name.startswith("latency_") and line["value"]]
    return min((line["limit"] / (line["upper"] or line["value"]) for line in timed), default=2.0)
