"""What `edgesft bench` found: JSON for machines, and tables for people from that JSON alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from edgesft.budget.percentile import CONFIDENCE
from edgesft.budget.verdict import worst
from edgesft.report.latency import by_length, latency
from edgesft.report.stages import doubts
from edgesft.report.table import STYLES, budget_table, placed, quantiles
from edgesft.report.units import count, megabytes, milliseconds, percent

if TYPE_CHECKING:
    from edgesft.measure.bench.row import Row
    from edgesft.spec.profile import ProfileSpec

SCHEMA = "edgesft/bench"
SCHEMA_VERSION = 1

COLUMNS = ("Model", "Precision", "Size", "Provider", "load", "first", "p50", "p90", "p95", "p99", "n", "peak", "parity")
LEFT = ("Model", "Precision", "Provider")


def to_json(rows: Sequence[Row], profile: ProfileSpec) -> dict[str, Any]:
    """Everything that was found: JSON values only, integer nanoseconds and bytes."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "verdict": worst(line.verdict for row in rows for line in row.lines),
        "profile": profile.model_dump(mode="json"),
        "rows": [_row(row) for row in rows],
    }


def _row(row: Row) -> dict[str, Any]:
    measured = row.measurement
    return {
        "name": row.name,
        "model": row.file.to_json(),
        "provider": row.provider,
        "device": row.device,
        "made": row.made,
        "whole": row.whole,
        "problem": row.problem,
        **(latency(measured, row.confidence) if measured else {"latency_ns": None, "latency_bounds_ns": None}),
        "confidence": row.confidence,
        "latency_by_length": by_length(measured) if measured else [],
        "parity": row.parity.to_json() if row.parity else None,
        "reference": row.reference,
        "agreement": row.agreement.to_json() if row.agreement else None,
        "time_shares": dict(row.time_shares) if row.time_shares else None,
        "budget": [line.to_json() for line in row.lines],
        "explanation": row.explanation.to_json() if row.explanation else None,
        "measurement": measured.to_json() if measured else None,
    }


def tables(found: Mapping[str, Any]) -> RenderableType:
    """The rows, what is to say of each, the budget's lines and the verdict, for a rich console."""
    parts: list[RenderableType] = [_rows(found)]
    for row in found["rows"]:
        parts += [Text(f"  {line}") for line in _notes(row)]
        if row["latency_by_length"]:
            parts.append(_lengths(row))
        if row["explanation"]:
            parts += _explanation(row)
        if _open(row):
            parts.append(budget_table(row["budget"], escape(f"budget of {row['name']}")))
    if any(_open(row) for row in found["rows"]):
        verdict = found["verdict"]
        parts.append(Text.assemble("verdict: ", (verdict, f"bold {STYLES[verdict]}")))
    return Group(*parts)


def _open(row: Mapping[str, Any]) -> bool:
    """Whether there are lines to show; parity that holds stands in the row already."""
    return any(line["name"] != "parity" or line["verdict"] != "pass" for line in row["budget"])


def _rows(found: Mapping[str, Any]) -> Table:
    profile = found["profile"]
    table = Table(
        title=f"{how(profile)}: latency in ms, n with its grade of steadiness",
        title_justify="left",
        header_style="bold",
    )
    for column in COLUMNS:
        table.add_column(column, justify="left" if column in LEFT else "right", overflow="fold")
    for row in found["rows"]:
        model = row["model"]
        start = (escape(row["name"]), model["precision"] or "–", megabytes(model["size_bytes"]))
        table.add_row(*start, *_figures(row))
    return table


def how(profile: Mapping[str, Any]) -> str:
    """How the latencies of a profile were taken: `single-stream, 1 thread`."""
    threads = "1 thread" if profile["threads"] == 1 else f"{profile['threads']} threads"
    without = ", without copies" if profile["measure"].get("io") == "device" else ""
    return f"{profile['measure']['scenario']}, {threads}{without}"


def _figures(row: Mapping[str, Any]) -> list[str]:
    measured = row["measurement"]
    if measured is None:
        return [escape(row["provider"]), *["–"] * 9]
    timed = [*quantiles(row["latency_ns"]), f"{row['latency_ns']['n']} {measured['grade']}"]
    return [
        placed(row["provider"], measured),
        milliseconds(measured["load_ns"]),
        milliseconds(measured["first_ns"]),
        *(timed if row["latency_ns"]["n"] else ["–"] * len(timed)),
        megabytes(measured["peak_memory_bytes"]),
        _parity(row["parity"]),
    ]


def _parity(parity: Mapping[str, Any] | None) -> str:
    """The worst output's difference, and how often the best class is the same one."""
    if parity is None:
        return "–"
    relative = parity["outputs"][0]["relative"]
    text = "differs" if relative is None else f"{relative:.1g}"
    return text if parity["top1"] is None else f"{text}, top-1 {percent(parity['top1'])} %"


def _notes(row: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know to believe the row, and what its scenario tells besides the latencies."""
    if row["problem"]:
        yield f"{row['name']}: {row['problem']}"
    measured = row["measurement"]
    if measured is None:
        return
    from edgesft.measure.agent import captures
    from edgesft.measure.fingerprint import called
    from edgesft.measure.measurement import STAYS
    from edgesft.measure.readiness import slowed

    machine = measured["machine"]
    yield (
        f"{row['name']}: inputs {measured['inputs']}; {called(machine)}; "
        f"{machine['onnxruntime'] or measured['runtime']} ({megabytes(measured['runtime_bytes'])})"
    )
    if row["made"]:
        yield f"converted for it: {row['made']}"
    if measured["simulated"]:
        yield f"no latency: it ran on {measured['simulated']}, which proves only placement and answers"
    else:
        yield f"{_confidence(row)}: " + ", ".join(_bounded(row, p) for p in ("p50", "p90", "p95", "p99"))
    if measured.get("io") == "device":
        yield f"{STAYS}: with `--io host` they are"
    if option := captures({"name": row["provider"], "options": measured["options"]}):
        yield f"captured as a graph in the first run and replayed from then on ({option})"
    if why := slowed(machine):
        yield why
    if row["parity"]:
        parity = row["parity"]
        yield f"parity with {row['reference']}: {_holds(parity)} on {parity['requests']} requests"
    elif row["reference"]:
        yield f"parity: {row['reference']}"
    if agreement := row["agreement"]:
        yield f"compared with the model it was made from: {_agreement(agreement)} on {agreement['requests']} requests"
    if row["whole"] is not None:
        yield f"a session without the CPU as a fallback {'works' if row['whole'] else 'is refused'}"
    if measured["states"]:
        yield "state fed back: " + ", ".join(f"{name} ← {output}" for name, output in measured["states"].items())
    if measured["left"]:
        left = sorted(measured["left"].items(), key=lambda item: -item[1])
        yield "not on the provider: " + ", ".join(f"{op} × {number}" for op, number in left)
    if row["time_shares"] and len(row["time_shares"]) > 1:
        yield "share of time: " + ", ".join(f"{name} {percent(share)} %" for name, share in row["time_shares"].items())
    if measured["energy_uj"] is not None:
        yield f"energy: {measured['energy_uj'] / 1000:.3g} mJ per inference, whole processor packages"
    for problem in doubts(measured):
        yield f"in doubt: {problem}"
    yield from _detail(measured["detail"])


def _agreement(agreement: Mapping[str, Any]) -> str:
    """How often the highest value is the same, and how far the worst output is off."""
    worst = agreement["outputs"][0]
    apart = (
        "differs" if worst["relative"] is None else f"off by {percent(worst['relative'])} % of the largest magnitude"
    )
    same = "" if agreement["top1"] is None else f"top-1 {percent(agreement['top1'])} %, "
    return f"{same}'{worst['name']}' {apart}"


def _confidence(row: Mapping[str, Any]) -> str:
    """`one-sided 95 % bounds`, and of looks that might have ended measuring what each must hold with."""
    each = row.get("confidence", CONFIDENCE)  # Early files lack it.
    if each == CONFIDENCE:
        return f"one-sided {CONFIDENCE * 100:g} % bounds"
    return f"one-sided bounds, {each * 100:.4g} % each ({CONFIDENCE * 100:g} % over all looks)"


def _bounded(row: Mapping[str, Any], p: str) -> str:
    """`p90 2.11 to 2.25 ms`."""
    lower, upper = row["latency_bounds_ns"][p]
    if upper:
        return f"{p} {milliseconds(lower)} to {milliseconds(upper)} ms"
    if any(row["measurement"].get("lost") or ()):
        return f"{p} {milliseconds(lower)} ms or no answer" if lower else f"{p} no answer"
    return f"{p} n too small"


def _holds(parity: Mapping[str, Any]) -> str:
    within = "holds" if parity["holds"] else f"does not hold ({_apart(parity['outputs'][0])})"
    return f"{within} at a tolerance of {parity['tolerance']:g} of the largest magnitude ({parity['precision']})"


def _apart(output: Mapping[str, Any]) -> str:
    """What is wrong with an output, the worst thing first."""
    if output["mismatch"]:
        wrong = output["mismatch"]
    elif output["non_finite"]:
        wrong = f"{output['non_finite']} values are not finite"
    elif output["absolute"] is None:
        wrong = "values are finite where the reference's are not"
    else:
        wrong = f"off by {output['absolute']:.3g}"
    return f"output '{output['name']}': {wrong}"


def _detail(detail: Mapping[str, Any]) -> Iterator[str]:
    """The scenario's own figures."""
    if "missed" in detail:
        share = detail["missed"] / detail["requests"]
        yield (
            f"a request every {milliseconds(detail['interval_ns'])} ms: {detail['missed']} of {detail['requests']} "
            f"({percent(share)} %) took longer than {milliseconds(detail['deadline_ns'])} ms"
        )
    if "throughput" in detail:
        how = detail["how"]
        yield f"{detail['throughput']:.4g} requests per second, {detail['streams']} in flight over {how}"
    if "minutes" in detail:
        medians = " ".join(milliseconds(minute["p50_ns"]) for minute in detail["minutes"])
        yield f"p50 of each minute: {medians} ms"
    if "spans" in detail:
        spans = detail["spans"].items()
        yield ", ".join(
            f"{name} p50 {milliseconds(span['p50_ns'])} ms ({percent(span['share'])} %)" for name, span in spans
        )
    if "pipeline" in detail:
        yield from _pipeline(detail["pipeline"])
    if "evicted" in detail:
        cached = "read from the disk" if all(detail["evicted"]) else "from the system's cache, which cannot be emptied"
        yield f"each sample is loading plus first inference in a fresh process, the files {cached}"


def _pipeline(told: Mapping[str, Any]) -> Iterator[str]:
    """How many rows a second beside the plain loop, and what became of rows that might have got no answer."""
    sessions = "1 session" if told["sessions"] == 1 else f"{told['sessions']} sessions"
    every = f"a row every {milliseconds(told['interval_ns'])} ms" if told["interval_ns"] else "at full speed"
    faster = f": {told['speed_up']:.2f} times as many" if told["speed_up"] is not None else ""
    yield (
        f"pipeline of {sessions}, queue of {told['queue']}, {every}: {told['throughput']:.4g} rows per second; "
        f"a plain loop {told['loop_throughput']:.4g} (p50 {milliseconds(told['loop_p50_ns'])} ms){faster}"
    )
    ends = []
    if told["interval_ns"]:
        ends.append(f"{told['dropped']} dropped from the full queue")
    if told["deadline_ns"]:
        ends.append(f"{told['late']} given up after {milliseconds(told['deadline_ns'])} ms")
        ends.append(f"{told['overdue']} of the answers later than that")
    if ends:
        yield f"{told['rows']} rows: {told['answered']} answered, {', '.join(ends)}"
    if told["answered"] < told["rows"]:
        share = 1 - told["answered"] / told["rows"]
        yield (
            f"{percent(share)} % of the rows got no answer: the latencies above are those of the others; bounds and a "
            "budget count them as infinitely slow"
        )


def _lengths(row: Mapping[str, Any]) -> Table:
    title = escape(f"latency of {row['name']} in ms by {row['measurement']['axis']}")
    table = Table(title=title, title_justify="left", header_style="bold")
    for column in ("length", "n", "p50", "p90", "p95", "p99"):
        table.add_column(column, justify="right")
    for bucket in row["latency_by_length"]:
        table.add_row(f"{bucket['low']} to {bucket['high']}", str(bucket["n"]), *quantiles(bucket))
    return table


def _explanation(row: Mapping[str, Any]) -> list[RenderableType]:
    """Time by type of operator, the ten longest layers, the roof, and what to try."""
    told = row["explanation"]
    operators = Table(title=escape(f"time of {row['name']} by operator"), title_justify="left", header_style="bold")
    for column in ("operator", "calls", "ms", "share %", "MACs"):
        operators.add_column(column, justify="left" if column == "operator" else "right")
    for each in told["operators"][:10]:
        operators.add_row(each["op"], str(each["calls"]), *_time(each))
    layers = Table(title="longest layers", title_justify="left", header_style="bold")
    for column in ("layer", "operator", "ms", "share %", "MACs", "bound by", "× its floor"):
        layers.add_column(column, justify="left" if column in ("layer", "operator", "bound by") else "right")
    for each in told["layers"]:
        distance = "–" if each["distance"] is None else f"{each['distance']:.1f}"
        layers.add_row(escape(each["name"]), each["op"], *_time(each), each["bound"] or "–", distance)
    roof = Text("  " + _roof(told))
    return [operators, layers, roof, *(Text(f"  try: {advice['text']}") for advice in told["advice"])]


def _time(each: Mapping[str, Any]) -> tuple[str, str, str]:
    return milliseconds(each["ns"]), percent(each["share"]), count(each["macs"])


def _roof(told: Mapping[str, Any]) -> str:
    roof = told["roof"]
    peaks = [
        f"{name} {roof[key] / 1e9:.3g} {unit}"
        for name, key, unit in (
            ("fp32", "fp32_macs_per_second", "GMAC/s"),
            ("int8", "int8_macs_per_second", "GMAC/s"),
            ("copy", "bytes_per_second", "GB/s"),
        )
        if roof[key]
    ]
    far = "" if told["distance"] is None else f"; the model takes {told['distance']:.1f} × its floor"
    return f"roof, measured in this run: {', '.join(peaks)}{far}"
