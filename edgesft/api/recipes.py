"""Writing, planning and running recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.api.results import Result, write
from edgesft.measure.devices import HERE, Device
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.progress import Progress
from edgesft.store.disk import guarded, require_writable
from edgesft.store.store import Store

if TYPE_CHECKING:
    from edgesft.pipeline.draft import Draft
    from edgesft.pipeline.tune import Tune

LOG = "log.txt"


def draft(
    *data: str, model: str | None = None, file: str | Path = "recipe.yaml", budget: Mapping[str, Any] | None = None,
    **wishes: Any,
) -> Draft:  # fmt: skip
    """A commented recipe for given data and a model, as `edgesft init` writes it. Writes no file.

    Args:
        data: File, folder, archive or `hub://` address of the rows. For several heads, `head=file` for each.
        model: Folder, hub id, `pkg://` address, or `module:function`; by default the task's usual one.
        file: Where the recipe will be saved: its paths are relative to that folder.
        budget: The budget as in a recipe, except that `max_drop` is a number, for the deciding metric.
        wishes: The other fields of `edgesft.pipeline.draft.Wishes`: `task`, `columns`, `validation`, `test`, `profile`.

    Returns:
        The recipe as `text`, and a summary of what was found (`told`).

    Raises:
        InputError: The data or the model cannot be read, or fit no task.
    """
    from edgesft.pipeline.draft import Wishes
    from edgesft.pipeline.draft import draft as write

    return write(Wishes(list(data), model, budget=budget or {}, **wishes), Path(file))


def plan(
    recipe: str | Path, settings: Sequence[str] = (), *, store: str | Path | None = None
) -> dict[str, list[dict[str, Any]]]:
    """The steps of a run on each profile of the recipe, with their time and disk, estimated from earlier runs.

    Args:
        recipe: Recipe file.
        settings: `a.b=c` values that override the file's.
        store: Folder of the store; by default `EDGESFT_STORE` or the platform's cache folder.

    Returns:
        Profile → its steps: `name`, `key`, `stored`, `seconds`, `bytes`, …

    Raises:
        InputError: Everything wrong with the recipe and what it names.
    """
    from edgesft.pipeline.forecast import forecast

    kept = Store(Path(store) if store else None)
    jobs = Job.each(check(Path(recipe), settings, kept), kept, Progress(quiet=True))
    return {job.profile.name: forecast(job) for job in jobs}


def run(
    recipe: str | Path,
    settings: Sequence[str] = (),
    *,
    output: str | Path | None = None,
    tune: Tune | None = None,
    store: str | Path | None = None,
    device: Device = HERE,
    progress: Progress | None = None,
) -> Result:
    """Runs a recipe: fine-tune, compress, export, measure, judge.

    Finished stages are taken from the store, and a killed run resumes.

    Args:
        recipe: Recipe file.
        settings: `a.b=c` values that override the file's.
        output: Folder for the results; by default `runs/<name>`.
        tune: Searches for settings of the finetune stage first, and takes them if they are better by more than chance.
        store: Folder of the store; by default `EDGESFT_STORE` or the platform's cache folder.
        device: Where models are measured and evaluated (`measure.devices.find`); by default this interpreter.
        progress: Where progress is reported; by default standard error.

    Raises:
        InputError: Everything wrong with the recipe and what it names; nothing was written.
        UnavailableError: This environment cannot do it; finished stages are kept.
    """
    from edgesft.pipeline.preflight import preflight
    from edgesft.pipeline.reading import warnings
    from edgesft.pipeline.run import run as run_job

    progress = progress or Progress()
    kept, tuning = Store(Path(store) if store else None), None
    if tune is not None:
        from edgesft.pipeline.tune import tune as try_settings

        tuning = try_settings(Path(recipe), tune, settings, kept, progress)
        progress.say(f"tuning: {tuning['reason']}")
        settings = [*settings, *tuning["arguments"]]
    checked = check(Path(recipe), settings, kept)
    elsewhere = [] if device is HERE else ["--device", device.label]
    command = ["edgesft", "run", *elsewhere, str(recipe), *settings]
    folder = Path(output) if output else Path("runs") / (checked.recipe.name or Path(recipe).stem)
    for warning in checked.warnings:
        progress.say(f"warning: {warning}")
    with guarded(folder, kept.root):
        jobs = Job.each(checked, kept, progress, device)
        for job in jobs:
            preflight(job)
        require_writable(folder)
        progress.log(folder / LOG)
        unread = warnings(jobs[0])
        for warning in unread:
            progress.say(f"warning: {warning}")
        found = {}
        for job in jobs:
            place = folder if len(jobs) == 1 else folder / job.profile.name
            outcome = run_job(job, (*checked.warnings, *unread))
            found[job.profile.name] = write(outcome, place, tuning, progress, kept, command)
    return Result(found)
