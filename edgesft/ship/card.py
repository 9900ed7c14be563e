"""The model card: what a person should know before shipping it, written from the receipt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from edgesft.ship.variant import Variant

CARD = "MODEL_CARD.md"

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def card(
    name: str,
    version: int,
    contract: Mapping[str, Any],
    lineage: Mapping[str, Any],
    measurements: Mapping[str, Any],
    variants: Sequence[Variant],
    sizes: Mapping[str, int],
    raw: str | None = None,
) -> str:
    """The card in Markdown, with the front matter that Hugging Face's cards have.

    Args:
        name: Of the bundle.
        version: Of the bundle.
        contract: Of the bundle.
        lineage: Of the bundle.
        measurements: Of the bundle.
        variants: Of the bundle.
        sizes: Variant → bytes.
        raw: What proves the raw model; None where there is none.
    """
    base, licence = lineage["base_model"]["name"], lineage["licences"]["base_model"]
    head = ["---", f"license: {licence or 'unknown'}", f"pipeline_tag: {contract['task']}", "library_name: onnx"]
    # The hub takes no other value here than a model of its own.
    head += [f"base_model: {base}"] if isinstance(base, str) and HUB_ID.fullmatch(base) else []
    head += ["---", "", f"# {name}, version {version}", ""]
    sections = (
        _verdict(measurements),
        _use(contract),
        _figures(measurements),
        _variants(variants, sizes, lineage["left_out"]),
        [f"`raw` takes {raw}.", ""] if raw else [],
        _made(lineage),
        _limits(measurements, lineage),
    )
    return "\n".join([*head, *(line for section in sections for line in section)])


def _verdict(said: Mapping[str, Any]) -> list[str]:
    lines = [f"**Verdict: {said['verdict']}** against its budget on the profile `{said['profile']}`.", ""]
    if said["budget"]:
        lines += ["| line | limit | value | verdict |", "|---|---|---|---|"]
        lines += [
            f"| {line['name']} | {line['limit']} | {_number(line['value'])} | {line['verdict']} |"
            for line in said["budget"]
        ]
        lines.append("")
    return lines


def _use(contract: Mapping[str, Any]) -> list[str]:
    lines = ["## What it does", "", f"Task: {contract['task']}."]
    if labels := contract["labels"]:
        shown = ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")
        lines.append(f"{len(labels)} labels: {shown}.")
    if unknown := contract["thresholds"].get("unknown"):
        lines.append(f"An input whose score is below {unknown['accept_above']:.4g} belongs to no known class.")
    return [*lines, ""]


def _figures(said: Mapping[str, Any]) -> list[str]:
    model = said["model"]
    lines = ["## Figures", "", "| metric | value | lower | upper |", "|---|---|---|---|"]
    for metric, level in model["levels"].items():
        lines.append(
            f"| {metric} ({said['split']}) | {' | '.join(_number(level[key]) for key in ('value', 'lower', 'upper'))} |"
        )
    if latency := model.get("latency_ns"):
        machine = said["environment"].get("model") or said["environment"].get("architecture")
        figures = ", ".join(
            f"{key} {latency[key] / 1e6:.3g} ms" for key in ("p50", "p90", "p95", "p99") if latency.get(key)
        )
        lines += ["", f"Latency on {machine}, {model['provider']}, n = {latency['n']}: {figures}."]
    return [*lines, ""]


def _variants(variants: Sequence[Variant], sizes: Mapping[str, int], left_out: Mapping[str, str]) -> list[str]:
    lines = ["## Models", "", "| variant | form | precision | size | for |", "|---|---|---|---|---|"]
    for each in variants:
        known = [provider.removesuffix("ExecutionProvider") for provider in each.providers]
        known += [f"chip {each.compiled['chip']}"] if each.compiled else []
        size = f"{sizes[each.name] / 1e6:.2f} MB"
        lines.append(f"| {each.name} | {each.form} | {each.precision} | {size} | {', '.join(known)} |")
    return [*lines, *(f"\nNo `{kind}`: {reason}." for kind, reason in left_out.items()), ""]


def _made(lineage: Mapping[str, Any]) -> list[str]:
    base = lineage["base_model"]
    lines = ["## Where it comes from", "", f"Base model: {base['name']} (sha256 {base['sha256'] or 'not recorded'})."]
    lines += [
        f"Rows: sha256 {lineage['data']['sha256'] or 'not recorded'}.",
        "",
        "| stage | kept | what it did |",
        "|---|---|---|",
    ]
    lines += [
        f"| {row['name']} | {'yes' if row['kept'] else 'no'}: {row['reason']} | {row['summary']} |"
        for row in lineage["stages"]
    ]
    return [*lines, ""]


def _limits(said: Mapping[str, Any], lineage: Mapping[str, Any]) -> list[str]:
    lines = ["## Limits", "", *(f"- {warning}" for warning in said["warnings"])]
    if not lineage["licences"]["base_model"]:
        lines.append("- The licence of the base model was not known when this bundle was packed.")
    lines.append(
        "- `golden.json` contains real evaluation rows, with which a device can check that it computes the same."
    )
    return [*lines, ""]


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
