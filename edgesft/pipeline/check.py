"""Everything wrong with a recipe that can be known without torch: all problems at once, nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from edgesft.budget.metric import impossible
from edgesft.data import checks, splits
from edgesft.data.splits import Splits
from edgesft.errors import InputError, Problem, UnavailableError
from edgesft.pipeline.auto import fill_auto
from edgesft.pipeline.plan import order_problems
from edgesft.spec import load
from edgesft.spec.auto import AUTO
from edgesft.spec.budget import BudgetSpec
from edgesft.spec.document import Document
from edgesft.spec.model import ModelSpec
from edgesft.spec.problems import nearest
from edgesft.spec.profile import ProfileSpec
from edgesft.spec.recipe import RecipeSpec
from edgesft.spec.stages import PruneSpec
from edgesft.spec.training import REPORTERS, ResolvedTraining, TrainingSpec
from edgesft.store.store import Store
from edgesft.tasks import registry
from edgesft.tasks.base import TASK_SETTINGS, Task
from edgesft.tasks.models import source
from edgesft.tasks.models.onnx_file import OnnxFile


@dataclass(frozen=True)
class Checked:
    """A recipe that passed.

    Attributes:
        recipe: What to do.
        base: Folder that its paths are relative to.
        profiles: The devices, in the recipe's order.
        warnings: What the person should know and that stops nothing.
        rows: The labelled rows, which were read for that.
    """

    recipe: RecipeSpec
    base: Path
    profiles: tuple[ProfileSpec, ...]
    warnings: tuple[str, ...]
    rows: Splits | None = None


def check(path: Path, settings: Sequence[str] = (), store: Store | None = None, *, text: str | None = None) -> Checked:
    """Reads a recipe and looks at all it names: profiles, files, rows, model, task, the order of its stages.

    Args:
        path: Recipe file.
        settings: `a.b=c` values that replace what the file says.
        store: Where the rows lie that are to be on the disk; by default the usual one.
        text: What the file will hold, where it is not written yet.

    Raises:
        InputError: Every problem found.
    """
    recipe, problems, document = load.recipe(path, settings, text)
    if recipe is None:
        raise InputError(problems)
    base, warnings = path.parent, list[str]()
    lacking: list[UnavailableError] = []
    rows = None
    profiles, task = _alone(recipe, document, base, problems)
    if task:
        # What this environment lacks is said only where nothing is wrong with what the user gave.
        try:
            rows = _rows(recipe, document, task, base, store, problems, warnings)
        except UnavailableError as error:
            lacking.append(error)
        try:
            found = _model_problems(recipe, document, task, rows, base)
            problems += found
            if rows and not found:
                problems += _reading_problems(recipe, document, task, rows, base, warnings)
        except UnavailableError as error:
            lacking.append(error)
    lacking += _watchers(recipe)
    if problems:
        raise InputError(problems)
    if lacking:
        raise lacking[0]
    if recipe.budget == BudgetSpec():
        warnings.append("the budget is empty: it has no limits, so the verdict is always 'pass'")
    if task and rows:
        recipe = fill_auto(recipe, task, len(rows.train))
    return Checked(recipe, base, tuple(profiles), tuple(warnings), rows)


def look(path: Path, settings: Sequence[str] = ()) -> tuple[RecipeSpec, tuple[ProfileSpec, ...]]:
    """Reads a recipe and its profiles alone: the rows and the model that it names need not be there.

    Args:
        path: Recipe file.
        settings: `a.b=c` values that replace what the file says.

    Raises:
        InputError: Every problem found.
    """
    recipe, problems, document = load.recipe(path, settings)
    profiles = _alone(recipe, document, path.parent, problems)[0] if recipe else []
    if recipe is None or problems:
        raise InputError(problems)
    return recipe, tuple(profiles)


def _alone(
    recipe: RecipeSpec, document: Document, base: Path, problems: list[Problem]
) -> tuple[list[ProfileSpec], Task | None]:
    """What the recipe tells without its rows and its model."""
    profiles = _profiles(recipe, document, base, problems)
    problems += order_problems(recipe, document)
    task = _task(recipe, document, base, problems)
    if task:
        problems += _metric_problems(recipe, document, task)
        problems += _training_problems(recipe, document, task)
        problems += _width_problems(recipe, document, task)
    return profiles, task


def _profiles(recipe: RecipeSpec, document: Document, base: Path, problems: list[Problem]) -> list[ProfileSpec]:
    found = []
    for name in recipe.profiles():
        try:
            found.append(load.profile(name, base))
        except InputError as error:
            problems += _placed(error, document.where(("profile",)))
    where, names = document.where(("profile",)), [profile.name for profile in found]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.append(Problem(f"profiles must have names of their own. Got '{name}' twice", "rename one", where))
    for profile in found:
        for index, spec in enumerate(recipe.stages):
            asked = {name: str(getattr(spec, name, None)) for name in ("quantization", "precision")}
            for name, said in asked.items():
                if said.startswith("int8") and (lacking := _without_int8(profile)):
                    message = f"'{name}: {said}' must be allowed by the profile '{profile.name}'. Got {lacking}"
                    place = document.where(("stages", index, name))
                    problems.append(Problem(message, "leave it out, or auto", place))
    return found


def _without_int8(profile: ProfileSpec) -> str | None:
    """What a profile has instead of int8; None where it has that."""
    from edgesft.measure.providers import PROVIDERS  # takes longer to import than a recipe to read

    provider = PROVIDERS.get(profile.providers[0].name)
    if "int8" not in profile.precisions:
        return ", ".join(profile.precisions)
    return f"{provider.name}, which has no kernels for int8" if provider and not provider.int8 else None


def _task(recipe: RecipeSpec, document: Document, base: Path, problems: list[Problem]) -> Task | None:
    try:
        return registry.of(recipe, base)
    except InputError as error:
        problems += _placed(error, document.where(("task",)))
        return None


def _metric_problems(recipe: RecipeSpec, document: Document, task: Task) -> list[Problem]:
    """Budget lines on metrics that the task does not measure."""
    problems = []
    for key in ("max_drop", "min_metric"):
        for metric, limit in getattr(recipe.budget, key).items():
            if wrong := impossible(key, metric, limit):
                problems.append(Problem(f"'{key}.{metric}' {wrong}", where=document.where(("budget", key, metric))))
            if metric not in task.metrics:
                message = f"'{key}' must name a metric of {task.name}. Got '{metric}', which this task does not measure"
                problems.append(
                    Problem(message, nearest(metric, task.metrics), document.where(("budget", key, metric)))
                )
    return problems


def _training_problems(recipe: RecipeSpec, document: Document, task: Task) -> list[Problem]:
    """Training settings that mean nothing to the task, other than those that switch them off."""
    usual = ResolvedTraining()
    return [
        Problem(
            f"'{name}' must be left out for {task.name}, which does not use it. Got {value}",
            f"leave out {name}",
            document.where(("stages", index, name)),
        )
        for index, spec in enumerate(recipe.stages)
        if isinstance(spec, TrainingSpec)
        for name in TASK_SETTINGS
        if name not in task.training and (value := getattr(spec, name)) not in (None, AUTO, getattr(usual, name))
    ]


def _watchers(recipe: RecipeSpec) -> list[UnavailableError]:
    """Packages that are missing for watching a training."""
    asked = {name for spec in recipe.stages if isinstance(spec, TrainingSpec) for name in spec.report_to or ()}
    return [
        UnavailableError(f"'report_to: {name}' needs the package {REPORTERS[name]}", f"pip install 'edgesft[{name}]'")
        for name in sorted(asked)
        if find_spec(REPORTERS[name]) is None
    ]


def _width_problems(recipe: RecipeSpec, document: Document, task: Task) -> list[Problem]:
    """Pruning of what must keep its widths; `auto` leaves that out by itself."""
    hint = "a smaller model of your own; or leave it out"
    return [
        Problem(f"'prune' must be left out for {task.name}: {task.unprunable}", hint, document.where(("stages", index)))
        for index, spec in enumerate(recipe.stages)
        if task.unprunable and isinstance(spec, PruneSpec) and spec.latency != AUTO
    ]


def _rows(
    recipe: RecipeSpec,
    document: Document,
    task: Task,
    base: Path,
    store: Store | None,
    problems: list[Problem],
    warnings: list[str],
) -> Splits | None:
    where = document.where(("data",))
    try:
        rows = splits.load(recipe.data, task.schema, base, recipe.seed, store)
        splits.unknown(recipe.data, task.schema, base, store)
    except InputError as error:
        problems += _placed(error, where)
        return None
    found, told = checks.problems(rows, task.roles, recipe.data.allow_overlap)
    problems += _placed(found, where)
    wrong = task.check(rows.rows(), recipe.data.options())
    problems += _placed(wrong, where)
    warnings += [*told, *rows.warnings, *([] if wrong else task.warnings(rows.rows()))]
    return rows


def _reading_problems(
    recipe: RecipeSpec, document: Document, task: Task, rows: Splits, base: Path, warnings: list[str]
) -> list[Problem]:
    problems, told = of_files(recipe, task, rows, base)
    warnings += told
    return _placed(problems, document.where(("data",)))


def of_files(recipe: RecipeSpec, task: Task, rows: Splits, base: Path) -> tuple[list[Problem], list[str]]:
    """What is wrong with what files hold, and what to say of it, for a model that reads them as this one does.

    Args:
        recipe: Names the model.
        task: Whose input they are; where it is no files, there is nothing to say.
        rows: All rows.
        base: Folder that relative paths start from.
    """
    problems, warnings = list[Problem](), list[str]()
    if task.medium is None:
        return problems, warnings
    options = task.contract(rows.train, task.implied(source.resolve(recipe.model, base), recipe.data.options())).options
    for name, inspected in rows.inspected.items():
        found, told = task.medium.findings(name, inspected, options)
        problems += found
        warnings += told
    return problems, warnings


def _model_problems(
    recipe: RecipeSpec, document: Document, task: Task, rows: Splits | None, base: Path
) -> list[Problem]:
    """What keeps the model, and each teacher that is a model of its own, from doing the task."""
    where = document.where(("model",))
    problems = _source_problems(recipe, recipe.model, task, rows, base, where)
    if not problems and not any(spec.stage == "finetune" for spec in recipe.stages):
        problems = _label_problems(recipe, recipe.model, task, rows, base, where)
    if problems:
        return problems
    names = {spec.name or spec.stage for spec in recipe.stages}
    for index, spec in enumerate(recipe.stages):
        teacher = getattr(spec, "teacher", None)
        if teacher is None or teacher == "finetune" or teacher in names:
            continue
        where = document.where(("stages", index, "teacher"))
        found = _source_problems(recipe, teacher, task, rows, base, where)
        found = found or _label_problems(recipe, teacher, task, rows, base, where)
        if not found and not task.read_alike(
            source.resolve(recipe.model, base), source.resolve(teacher, base), recipe.data.options()
        ):
            message = f"'teacher' must read its input as '{recipe.model}' does. Got another tokenizer in '{teacher}'"
            found = [Problem(message, "a teacher of the same family", where)]
        problems += found
    return problems


def _source_problems(
    recipe: RecipeSpec, text: ModelSpec, task: Task, rows: Splits | None, base: Path, where: str
) -> list[Problem]:
    try:
        place = source.resolve(text, base)
        if isinstance(place, OnnxFile) and not task.takes_files:
            hint = "edgesft bench or edgesft check, which take any ONNX file"
            return [Problem(f"'model' must not be an ONNX file for the task {task.name}", hint, where)]
        contract = task.contract(rows.train if rows else [], task.implied(place, recipe.data.options()))
        return _placed(task.check_model(place, contract, trust_remote_code=recipe.trust_remote_code), where)
    except InputError as error:
        return _placed(error, where)


def _label_problems(
    recipe: RecipeSpec, text: ModelSpec, task: Task, rows: Splits | None, base: Path, where: str
) -> list[Problem]:
    """What keeps a model that nothing fine-tunes from answering with the data's labels."""
    if not rows:
        return []
    place = source.resolve(text, base)
    contract = task.contract(rows.train, task.implied(place, recipe.data.options()))
    return _placed(task.check_head(place, contract), where)


def _placed(problems: InputError | Sequence[Problem], where: str) -> list[Problem]:
    """Problems with a place in the recipe, where they have none of their own."""
    found = problems.problems if isinstance(problems, InputError) else problems
    return [Problem(problem.message, problem.hint, problem.where or where) for problem in found]
