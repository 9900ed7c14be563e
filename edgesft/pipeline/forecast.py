"""The steps of a run with their content keys, assuming that every stage pays; and their time and disk, estimated from
earlier runs.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from edgesft.pipeline import costs
from edgesft.pipeline.costs import Expected, Known
from edgesft.pipeline.job import Job
from edgesft.pipeline.models import Maker, resolve_teacher
from edgesft.pipeline.plan import Step, begin, plan
from edgesft.stages.registry import KINDS

Told = dict[str, Any]


def forecast(job: Job) -> list[Told]:
    """The steps in order: name, forms, key, whether the store has it, its settings, and what it will take.

    `seconds`, `bytes` and `basis` are None where nothing is known, and 0 where nothing is left to do.
    """
    maker, known = Maker(job), Known(job)
    steps = plan(job.recipe)
    current = original = maker.start_key()
    form, found, keys = str(begin(job.recipe)), list[Told](), dict[str, str]()
    # As the run has it: what is fine-tuned is held against nothing, and what needs no export has none.
    reference = None if any(step.role == "origin" for step in steps) else _exported(maker, current, form)
    for step in steps:
        kind = KINDS[step.spec.stage]
        key = None
        if kind.gives:
            name = getattr(step.spec, "teacher", None)
            teacher = name and (resolve_teacher(name, keys, original) or maker.teacher_key(name))
            key = maker.step_key(step, current, teacher, reference)
            current = keys[step.name] = key
        if step.role == "origin":
            original, reference = current, _exported(maker, current, str(kind.gives))
        settings = step.spec.model_dump(
            mode="json", exclude_none=True, exclude_defaults=True, exclude={"stage", "name"}
        )
        stored = key is not None and job.store.folder(key) is not None
        found.append(
            {
                "name": step.name,
                "takes": form,
                "gives": kind.gives,
                "key": key,
                "stored": stored,
                "inserted": step.inserted,
                "settings": " ".join(f"{name}={value}" for name, value in settings.items()),
                **(_nothing() if stored else _expected(job, step, steps, known)),
            }
        )
        form = kind.gives or form
    return found


def total(steps: Sequence[Mapping[str, Any]]) -> Told:
    """What the steps take together: `seconds` and `bytes` of those of which it is known, and the names of the others.

    What was measured already is not known here, so that a run of which much is in the store may take less.
    """
    known = [step for step in steps if step["seconds"] is not None]
    return {
        "seconds": sum(step["seconds"] for step in known),
        "bytes": sum(step["bytes"] for step in known),
        "unknown": [step["name"] for step in steps if step["seconds"] is None],
    }


def room(job: Job) -> int:
    """Bytes that are free where the store is."""
    place = next(folder for folder in (job.store.root, *job.store.root.parents) if folder.exists())
    return shutil.disk_usage(place).free


def _exported(maker: Maker, key: str, form: str) -> str:
    """The key of an artefact's export."""
    return key if form == "onnx" else maker.export_key(key)


def _nothing() -> Told:
    return {"seconds": 0.0, "bytes": 0, "basis": None}


def _expected(job: Job, step: Step, steps: Sequence[Step], known: Known) -> Told:
    """What a step takes with what is measured of it: its export, its answers, its latency against what it was."""
    parts: list[Expected | None] = []
    rows = len([each for each in steps if KINDS[each.spec.stage].gives and not each.inserted])
    if step.role == "measure":
        parts.append(known.expected(costs.LATENCY, rows * job.full.seconds))
        if job.splits.test:
            parts.append(known.expected(costs.EVALUATION, rows * len(job.task.merge_references(job.splits.test))))
    else:
        parts.append(known.expected(step.spec.stage, costs.amount(job, step)))
        if not step.inserted:
            parts.append(known.expected(costs.EVALUATION, len(job.task.merge_references(job.splits.validation))))
        if step.training is not None:
            parts.append(known.expected("export", len(job.splits.validation)))
        if step.role == "speed":
            parts.append(known.expected(costs.LATENCY, 2 * job.quick.seconds))
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        return {"seconds": None, "bytes": None, "basis": None}
    return {
        "seconds": sum(part.seconds for part in whole),
        "bytes": sum(part.bytes for part in whole),
        "basis": whole[0].basis,
    }
