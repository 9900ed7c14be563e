"""Changes that make what ships faster or smaller."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from edgesft.budget.lines import NS_PER_MS
from edgesft.report.suggest.found import MARGIN, Found, Stage, Suggestion

LEAST = 0.05
"""A model cut to less than this of its time is another model."""

TIMED = ("latency_ms", "latency_ratio")

TEXT = ("text-classification", "token-classification", "multi-task", "zero-shot-classification")
"""Tasks whose rows are cut at `data.max_length`."""

SCHEMES = ("int8-dynamic", "int8-static", "int8-weights", "int4", "fp16")

ASKED: dict[str, dict[str, Any]] = {
    "": {},
    "neural-compressor": {"backend": "neural-compressor"},
    **{types: {"types": types} for types in ("s8s8", "u8u8", "u16u8")},
    "4-bit-tables": {"table_bits": 4},
    "hqq": {"algorithm": "hqq"},
    "smooth": {"smooth": 0.5},
}
"""What follows the scheme in a candidate's name → the recipe's words for it."""


def rolled_back(found: Found) -> Iterator[Suggestion]:
    """Stages that were taken back though they save what is missing."""
    for stage in found.stages:
        base = found.before(stage)
        if stage["kept"] or base is None or stage.get("problem") or stage["stage"] in ("finetune", "distill"):
            continue
        later = [each for each in found.kept if found.stages.index(each) > found.stages.index(stage)]
        values = {}
        for name in found.missed:
            share, value = found.share(name, stage), found.value(name, found.last)
            if share and value:
                values[name] = share * value
        if not any(value < found.missed[name]["value"] for name, value in values.items()):
            continue
        drop = found.cost(stage) + found.drop(found.last)
        estimated = "" if not later else ", before what came after it"
        yield Suggestion(
            f"keep '{stage['name']}', which was rolled back",
            f"it left {_shares(found, stage)} with {found.lost(found.cost(stage))}{estimated}; {stage['reason']}",
            (found.setting(stage, "keep", "always"), *found.allowing(drop)),
            values,
            drop,
        )


def candidates(found: Found) -> Iterator[Suggestion]:
    """Quantizations that were made and measured, and not taken."""
    for stage in found.kept:
        rows = {row["name"]: row for row in stage.get("details", {}).get("candidates", ()) if "drop" in row}
        chosen = rows.get(stage["details"].get("chosen")) if rows else None
        if chosen is None:
            continue
        for name, row in rows.items():
            if row is chosen or not (settings := settings_of(name)):
                continue
            values = dict(_of_candidate(found, row, chosen))
            if not values or any(value >= found.missed[line]["value"] for line, value in values.items()):
                continue
            drop = found.drop(found.last) + row["drop"] - chosen["drop"]
            yield Suggestion(
                f"quantize as {name}",
                f"{_pace(row, chosen)}{row['size_bytes'] / 1e6:.1f} MB instead of {chosen['size_bytes'] / 1e6:.1f}, "
                f"{found.lost(row['drop'])} on validation where {chosen['name']} has {found.lost(chosen['drop'])}",
                (*(found.setting(stage, key, value) for key, value in settings.items()), *found.allowing(drop)),
                values,
                drop,
            )


def cut(found: Found) -> Iterator[Suggestion]:
    """Pruning that goes further than it did."""
    for stage in found.kept:
        if stage["stage"] != "prune":
            continue
        missing = {name: line["limit"] / line["value"] for name, line in found.missed.items()}
        timed = {name: share for name, share in missing.items() if name.split(".")[0] in TIMED}
        # What was left of the size says nothing of the time, and the other way round.
        kind, lines = ("latency", timed) if timed else ("parameters", missing)
        line = min(lines, key=lambda name: lines[name])
        left = found.share(line if kind == "latency" else "parameters", stage)
        if left is None or not LEAST < (target := left * lines[line] * MARGIN) < 1:
            continue
        unset = [name for name in ("latency", "latency_ms", "parameters") if name != kind and _said(found, name)]
        fields = {**dict.fromkeys(unset, "null"), kind: f"{target:.2g}"}
        yield Suggestion(
            f"prune to {target:.2g} of the {kind} instead of {left:.2g}",
            f"so far it cost {found.lost(found.cost(stage))}{_further(found, stage)}",
            tuple(found.setting(stage, name, value) for name, value in fields.items()),
            {name: float(found.missed[name]["value"]) * target / left for name in lines},
        )


def shorter(found: Found) -> Iterator[Suggestion]:
    """Inputs that are cut where the long ones are what takes too long."""
    buckets = found.last.get("latency_by_length") or []
    lines = {name: line for name, line in found.missed.items() if name.startswith("latency_ms.")}
    if not lines or len(buckets) < 2 or found.results["recipe"]["task"] not in TEXT:
        return

    def fits(bucket: Mapping[str, Any]) -> bool:
        limits = {name.split(".")[1]: line["limit"] * NS_PER_MS for name, line in lines.items()}
        return all((bucket.get(p) or math.inf) <= limit for p, limit in limits.items())

    count = next((place for place, bucket in enumerate(buckets) if not fits(bucket)), len(buckets))
    if not 0 < count < len(buckets):
        return
    short, long = buckets[count - 1], buckets[count:]
    share = sum(bucket["n"] for bucket in long) / sum(bucket["n"] for bucket in buckets)
    (name, *_) = lines
    p = name.split(".")[1]
    slow = next((bucket[p] for bucket in reversed(long) if bucket.get(p)), None)
    told = f"the {share:.0%} of the requests with more than {short['high']} tokens "
    told += f"take up to {slow / 1e6:.3g} ms at {p}, " if slow else "take longer, "
    yield Suggestion(
        f"cut inputs to {short['high']} tokens",
        f"{told}those with {short['low']} to {short['high']} take {short[p] / 1e6:.3g} ms",
        (f"data.max_length={short['high']}",),
        {line: short[line.split(".")[1]] / 1e6 for line in lines},
    )


def untried(found: Found) -> Iterator[Suggestion]:
    """What the recipe has no stage for; nothing is known of its effect."""
    lacking = [kind for kind in ("prune", "quantize") if found.spec(kind) is None]
    if found.missed and lacking:
        size = f"the model that ships is {found.last['precision']}, {found.last['size_bytes'] / 1e6:.1f} MB"
        yield Suggestion(
            f"use the whole chain, which also has {' and '.join(lacking)}",
            f"the recipe has no stage {' or '.join(lacking)}; {size}. What that would save was not measured",
            ("stages=auto",),
        )


def _of_candidate(found: Found, row: Mapping[str, Any], chosen: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The lines that fell short, as another candidate would have them."""
    for name, line in found.missed.items():
        kind = name.split(".")[0]
        if kind in TIMED and row.get("p50_ns") and chosen.get("p50_ns"):
            yield name, line["value"] * row["p50_ns"] / chosen["p50_ns"]
        elif kind in ("size_mb", "size_ratio"):
            yield name, line["value"] * row["size_bytes"] / chosen["size_bytes"]


def settings_of(name: str) -> dict[str, Any]:
    """What a recipe says for a candidate of this name to be made; empty where no recipe can ask for it."""
    scheme = next((each for each in SCHEMES if name.startswith(each)), None)
    rest = name.removeprefix(scheme or "").removeprefix("-")
    if scheme is None or rest not in ASKED:
        return {}
    return {"scheme": scheme, **ASKED[rest]}


def _pace(row: Mapping[str, Any], chosen: Mapping[str, Any]) -> str:
    if not row.get("p50_ns") or not chosen.get("p50_ns"):
        return ""
    return f"its median was {row['p50_ns'] / chosen['p50_ns']:.2f} of {chosen['name']}'s, "


def _shares(found: Found, stage: Stage) -> str:
    told = [f"{share:.2f} of {name}" for name in found.missed if (share := found.share(name, stage))]
    return " and ".join(told)


def _said(found: Found, name: str) -> bool:
    spec = found.spec("prune")
    return bool(spec) and spec.get(name) is not None  # type: ignore[union-attr]


def _further(found: Found, stage: Stage) -> str:
    """What a search that stopped by itself saw of the next step."""
    failed = [each for each in stage["details"].get("rounds", ()) if each.get("holds") is False and "drop" in each]
    if not failed:
        return ""
    ratio = (failed[-1].get("latency") or {}).get("ratio")
    to = f" to {ratio:.2f}" if ratio else ""
    return f"; a further step{to} cost {found.lost(failed[-1]['drop'])} on validation and was not taken"
