"""Measuring models, checking them against budgets, and comparing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.api.documents import Document
from edgesft.progress import Progress

if TYPE_CHECKING:
    from edgesft.measure.bench.order import Order

USUAL = "this-machine"
"""Profile where none is named."""


def bench(
    *models: str | Path,
    profile: str = USUAL,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
    **order: Any,
) -> Document:
    """Measures ONNX files, interleaved in one run, and checks them against limits.

    Args:
        models: ONNX or ORT files.
        profile: Name of a device profile, or its file.
        settings: `a.b=c` values of the profile, such as `budget.latency_ms.p95=5` or `threads=2`.
        progress: Where progress is reported; by default standard error.
        order: The other fields of `edgesft.measure.bench.order.Order`: `inputs`, `axes`, `batch`, `explain`, …

    Raises:
        InputError: A model or a setting makes no sense.
    """
    from edgesft.measure.bench.bench import bench as measure
    from edgesft.report import bench as report

    asked = _order([Path(model) for model in models], profile, settings, order)
    return Document(_named(models), report.to_json(measure(asked, progress or Progress()), asked.profile))


def check(
    artefact: str | Path,
    budget: str | Path,
    *,
    settings: Sequence[str] = (),
    baseline: str | Path | None = None,
    measurements: str | Path | None = None,
    rows: str | Path | None = None,
    progress: Progress | None = None,
    **order: Any,
) -> Document:
    """Checks a model against a budget file, and against a baseline if one is given.

    Args:
        artefact: ONNX or ORT file, or a run's folder.
        budget: File with the limits.
        settings: `a.b=c` values that override the file's.
        baseline: File with earlier figures to compare with.
        measurements: Measurements that an agent wrote on a device; without them this machine measures.
        rows: Labelled rows for the metrics.
        progress: Where progress is reported; by default standard error.
        order: The other fields of `edgesft.measure.bench.order.Order`.

    Raises:
        InputError: A file or a limit makes no sense.
    """
    from edgesft.gate.artefact import artefact as find
    from edgesft.gate.check import Asked
    from edgesft.gate.check import check as hold
    from edgesft.spec import load

    spec, document = load.gate(Path(budget), settings)
    given = [Path(each) if each else None for each in (baseline, measurements, rows)]
    asked = Asked(Path(artefact), spec, document, *given)
    measured = _order([find(Path(artefact)).model], spec.profile or USUAL, (), order, Path(budget).parent)
    return Document(Path(artefact).name, hold(asked, measured, progress or Progress()).to_json())


def compare(
    candidate: str | Path,
    baseline: str | Path,
    *,
    profile: str = USUAL,
    settings: Sequence[str] = (),
    progress: Progress | None = None,
    question: Mapping[str, Any] | None = None,
    **order: Any,
) -> Document:
    """Measures a candidate and a baseline in one job until the bounds decide.

    Args:
        candidate: Model file, or a run's folder.
        baseline: Model file or run's folder to compare with.
        profile: Name of a device profile, or its file.
        settings: `a.b=c` values of the profile, without its budget.
        progress: Where progress is reported; by default standard error.
        question: The other fields of `edgesft.gate.compare.Asked`: `figures`, `min_effect`, `seconds`, `max_drop`, ….
        order: The other fields of `edgesft.measure.bench.order.Order`.

    Raises:
        InputError: A model or a setting makes no sense.
    """
    from edgesft.gate.compare import Asked, check_settings
    from edgesft.gate.compare import compare as decide

    check_settings(settings)
    pair = [Path(candidate), Path(baseline)]
    asked = Asked(pair[0], pair[1], **(question or {}))
    found = decide(asked, _order(pair, profile, settings, order), progress or Progress())
    return Document(_named(pair), found.to_json())


def _order(
    models: Sequence[Path], profile: str, settings: Sequence[str], order: Mapping[str, Any], folder: Path = Path()
) -> Order:
    from edgesft.measure.bench.order import Order
    from edgesft.spec import load

    # What ships as typical of a device is no budget of this model.
    found = load.profile(profile, folder, settings, without=() if load.is_file(profile) else ("budget",))
    given = dict(order)
    return Order(models=models, profile=found, providers=given.pop("providers", found.providers[:1]), **given)


def _named(models: Sequence[str | Path]) -> str:
    return " ".join(Path(model).name for model in models)
