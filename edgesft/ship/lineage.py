"""Where a bundle comes from and what its release was accepted on, taken from a run's results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesft.tasks.base import Task

LINEAGE, MEASUREMENTS = "lineage.json", "measurements.json"

MEASURED = ("latency_ns", "latency_bounds_ns", "latency_by_length", "provider", "measurement")
"""Keys of a stage that tell how fast it was."""


def lineage(
    results: Mapping[str, Any],
    licences: Mapping[str, Any],
    left_out: Mapping[str, str],
    compiled: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What `lineage.json` holds.

    Args:
        results: Of the run.
        licences: `licences.Licences.to_json`.
        left_out: Kind of variant → why there is none.
        compiled: Variant that was compiled ahead → by what, and how far it is off the CPU provider's answers.
    """
    made_of = results.get("lineage", {})
    recipe = anonymous(results["recipe"])
    return {
        "schema": "edgesft/lineage",
        "schema_version": 1,
        "recipe": recipe,
        "base_model": {"name": recipe.get("model"), "sha256": made_of.get("model_sha256")},
        "data": {
            "splits": {
                name: recipe["data"][name] for name in ("train", "validation", "test") if name in recipe["data"]
            },
            "sha256": made_of.get("data_sha256"),
            "with_test_sha256": made_of.get("data_with_test_sha256"),
        },
        "model_sha256": results["model_sha256"],
        "stages": stages(results["stages"], results["metric"], results["split"]),
        "versions": results["environment"].get("versions", {}),
        "licences": dict(licences),
        "left_out": dict(left_out),
        **({"compiled": dict(compiled)} if compiled else {}),
    }


def stages(rows: Sequence[Mapping[str, Any]], metric: str, split: str) -> list[dict[str, Any]]:
    """Each stage with its plan, and what it bought of what was kept before it."""
    found: list[dict[str, Any]] = []
    before: Mapping[str, Any] | None = None
    for row in rows:
        told = {key: anonymous(value) for key, value in row.items() if key not in MEASURED}
        bought = None if before is None else _bought(before, row, metric, split)
        found.append({**told, "latency_ns": row.get("latency_ns"), "bought": bought})
        if row["kept"]:
            before = row
    return found


def _bought(before: Mapping[str, Any], after: Mapping[str, Any], metric: str, split: str) -> dict[str, Any]:
    """Ratios and changes against the last stage that was kept; null where one of them was not measured."""
    was, now = ((row.get("latency_ns") or {}).get("p50") for row in (before, after))
    scores = [row["metrics"].get(split, {}).get(metric) for row in (before, after)]
    return {
        "latency_p50_ratio": round(now / was, 4) if was and now else None,
        "size_ratio": round(after["size_bytes"] / before["size_bytes"], 4),
        metric: round(scores[1] - scores[0], 6) if None not in scores else None,
    }


def measurements(results: Mapping[str, Any]) -> dict[str, Any]:
    """What `measurements.json` holds: the figures that the release was accepted on, or not."""
    last = [row for row in results["stages"] if row["kept"]][-1]
    keys = ("verdict", "profile", "metric", "split", "budget", "evaluation", "environment", "warnings")
    return {
        "schema": "edgesft/measurements",
        "schema_version": 1,
        **{key: anonymous(results[key]) for key in keys},
        "model": {key: anonymous(value) for key, value in last.items() if key not in ("details", "key")},
    }


def anonymous(value: Any) -> Any:
    """The same with the last part of each full path alone: where files lay is no business of a device."""
    if isinstance(value, Mapping):
        return {key: anonymous(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [anonymous(each) for each in value]
    if not isinstance(value, str) or "\n" in value:
        return value
    if PurePosixPath(value).is_absolute():
        return PurePosixPath(value).name
    return PureWindowsPath(value).name if PureWindowsPath(value).is_absolute() else value


def float_key(results: Mapping[str, Any]) -> str | None:
    """Content key of the last kept stage in fp32: the float model that the final one was made of."""
    kept = [row for row in results["stages"] if row["kept"] and row["precision"] == "fp32"]
    key = kept[-1].get("key") if kept else None
    return key if isinstance(key, str) else None


def reference(results: Mapping[str, Any], root: Path, task: Task) -> dict[str, Path] | None:
    """That model's files in the store, by graph; None where they are not there."""
    from edgesft.store.store import Store

    key = float_key(results)
    folder = Store(root).folder(key) if key else None
    files = task.files(folder / "model" / "model.onnx") if folder else {}
    return files if files and all(file.is_file() for file in files.values()) else None
