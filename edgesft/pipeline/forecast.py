"""What a run will do, step by step, with the content key of each, supposing that every stage pays."""

from __future__ import annotations

from typing import Any

from edgesft.pipeline.job import Job
from edgesft.pipeline.models import Maker, resolve_teacher
from edgesft.pipeline.plan import plan
from edgesft.stages.registry import KINDS


def forecast(job: Job) -> list[dict[str, Any]]:
    """The steps in order: name, forms, key, whether the store has it, and its settings."""
    maker = Maker(job)
    current = original = maker.start_key()
    keys: dict[str, str] = {}
    form, found = "torch", list[dict[str, Any]]()
    for step in plan(job.recipe):
        kind = KINDS[step.spec.stage]
        key = None
        if kind.gives:
            name = getattr(step.spec, "teacher", None)
            teacher = name and (resolve_teacher(name, keys, original) or maker.teacher_key(name))
            key = maker.step_key(step, current, teacher, maker.export_key(original))
            current = keys[step.name] = key
        if step.role == "origin":
            original = current
        settings = step.spec.model_dump(
            mode="json", exclude_none=True, exclude_defaults=True, exclude={"stage", "name"}
        )
        found.append(
            {
                "name": step.name,
                "takes": form,
                "gives": kind.gives,
                "key": key,
                "stored": key is not None and job.store.folder(key) is not None,
                "inserted": step.inserted,
                "settings": " ".join(f"{name}={value}" for name, value in settings.items()),
            }
        )
        form = kind.gives or form
    return found
