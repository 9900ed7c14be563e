"""What a model was made of, by what, on which machine, and under which terms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from edgesft.report.html.markup import tag
from edgesft.report.html.parts import details, facts, section, table

DATA = ("train", "validation", "test", "unknown")

UNTOLD = "Not recorded in these results: check the licences of the model and the data before you pass the model on."

UNKNOWN = "unknown: check the source"


def lineage(results: Mapping[str, Any]) -> Markup:
    """Model, data, stages, file and machine of a run, its licences where it tells them, and the whole recipe."""
    recipe = results.get("recipe") or {}
    model, data = recipe.get("model"), recipe.get("data") or {}
    told = {
        "pretrained model": _words(model),
        "task": recipe.get("task"),
        **{f"data: {name}": _words(data.get(name)) for name in DATA},
        "stages": " → ".join(str(stage["name"]) for stage in results["stages"] if stage["kept"]),
        "seed": recipe.get("seed"),
        "model.onnx, SHA-256": tag("code", results["model_sha256"]) if results.get("model_sha256") else None,
    }
    return section(
        "lineage",
        "Lineage and licences",
        tag("div", facts(told), class_="card"),
        tag("div", tag("h3", "Licences"), _licences(results.get("licences")), class_="card", style="margin-top:14px"),
        machine(results.get("environment") or {}),
        details("The recipe as it was run", tag("pre", tag("code", json.dumps(recipe, indent=1)), class_="scroll")),
    )


def machine(environment: Mapping[str, Any]) -> Markup | None:
    """What measured, with which versions; and how it differs from what the profile means."""
    if not environment:
        return None
    plain = {
        name.replace("_", " "): _words(value)
        for name, value in environment.items()
        if name not in ("versions", "profile", "differences") and value is not None
    }
    differences = environment.get("differences") or ()
    if differences:
        plain["differs from the profile"] = "; ".join(differences)
    versions = environment.get("versions") or {}
    return tag("div", details("Machine", facts(plain)), details("Versions", facts(versions)) if versions else None)


def _licences(found: Any) -> Markup:
    if not found:
        return tag("p", UNTOLD, class_="muted")
    rows = [[each["of"], each["name"], each["licence"] or UNKNOWN, each["found"] or "–"] for each in found]
    return table(("of", "name", "licence", "found in"), rows, left=4)


def _words(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list | tuple) and all(isinstance(each, str | int | float) for each in value):
        return ", ".join(map(str, value))
    return json.dumps(value) if isinstance(value, Mapping | list | tuple) else str(value)
