"""From a recipe's stages to the steps of a run: exports inserted, names unique, impossible orders found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgesft.errors import Problem
from edgesft.spec.document import Document
from edgesft.spec.model import OnnxSpec
from edgesft.spec.recipe import RecipeSpec
from edgesft.spec.stages import (
    BenchmarkSpec,
    DistillSpec,
    ExportSpec,
    FinetuneSpec,
    OptimizeSpec,
    PruneSpec,
    QuantizeSpec,
    StageSpec,
)
from edgesft.spec.training import ResolvedTraining, TrainingSpec
from edgesft.stages.artefact import Form
from edgesft.stages.registry import KINDS, Role

START = "model"
"""Name of the row of the model as given, where nothing fine-tunes it."""


@dataclass(frozen=True)
class Step:
    """One stage of a run.

    Attributes:
        name: Unique in the run.
        spec: What the recipe says of it.
        training: Its training settings with nothing left open, where it trains.
        inserted: Whether the planner added it.
    """

    name: str
    spec: StageSpec
    training: ResolvedTraining | None = None
    inserted: bool = False

    @property
    def role(self) -> Role:
        """How it is judged; a distillation into fewer layers is there for speed."""
        if isinstance(self.spec, DistillSpec) and self.spec.layers is not None:
            return "speed"
        return KINDS[self.spec.stage].role

    @property
    def measured(self) -> bool:
        """Whether what it makes depends on latencies measured on this machine, or on the allowance."""
        spec, training = self.spec, self.training
        if training is not None and "auto" in (training.quantization, training.flip, training.shift, training.mixup):
            return True
        if isinstance(spec, PruneSpec):
            return spec.parameters is None or spec.vocabulary == "auto"
        return isinstance(spec, OptimizeSpec) or (isinstance(spec, QuantizeSpec) and spec.scheme == "auto")


def begin(recipe: RecipeSpec) -> Form:
    """The form of the model that a recipe starts from."""
    return "onnx" if isinstance(recipe.model, OnnxSpec) else "torch"


def plan(recipe: RecipeSpec) -> list[Step]:
    """The steps of a run, in order, ending in a benchmark; `order_problems` says whether they can work."""
    export = export_settings(recipe)
    names = _names(recipe.stages)
    steps: list[Step] = []
    form = begin(recipe)
    for spec, name in zip(recipe.stages, names, strict=True):
        kind = KINDS[spec.stage]
        if isinstance(spec, ExportSpec) and form == "onnx":
            continue  # Its settings already governed the export that an earlier stage needed.
        if form not in kind.takes and form == "torch":
            steps.append(Step(f"export for {name}", export, inserted=True))
        steps.append(Step(name, spec, training(spec, recipe)))
        form = kind.gives or form
    if not any(isinstance(step.spec, BenchmarkSpec) for step in steps):
        steps.append(Step("benchmark", BenchmarkSpec(stage="benchmark"), inserted=True))
    return steps


def bargains(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Steps in the groups that are judged together: a speed stage with the recoveries that follow it."""
    group: list[Step] = []
    for step in steps:
        if group and not (step.role == "recovery" and group[0].role == "speed"):
            yield group
            group = []
        group.append(step)
    if group:
        yield group


def export_settings(recipe: RecipeSpec) -> ExportSpec:
    """How every export of the run is made: as the recipe's export stage says, else by the defaults."""
    return next((spec for spec in recipe.stages if isinstance(spec, ExportSpec)), ExportSpec(stage="export"))


def training(spec: StageSpec, recipe: RecipeSpec) -> ResolvedTraining | None:
    """The stage's own settings, then those of the recipe's finetune stage, then the defaults."""
    if not isinstance(spec, TrainingSpec):
        return None
    finetune = next((stage for stage in recipe.stages if isinstance(stage, FinetuneSpec)), None)
    inherited = finetune.training() if finetune else {}
    # A head learns on a frozen body; what was cut does not grow back that way.
    if spec is not finetune:
        inherited.pop("unfreeze", None)
    return ResolvedTraining.model_validate({**inherited, **spec.training()})


def order_problems(recipe: RecipeSpec, document: Document) -> list[Problem]:
    """Stages that cannot work where they stand, by the forms they take, and teachers that are not there yet."""
    problems: list[Problem] = []
    form, names, maker = begin(recipe), _names(recipe.stages), START
    for index, (spec, name) in enumerate(zip(recipe.stages, names, strict=True)):
        where, kind = document.where(("stages", index)), KINDS[spec.stage]
        if form not in kind.takes and not (form == "torch" or isinstance(spec, ExportSpec)):
            takes = " or ".join(kind.takes)
            message = f"'{name}' must start from a {takes} model. Got {form} from '{maker}' before it"
            hint = f"move '{name}' before '{maker}'" if maker != START else "leave it out: an ONNX file is not trained"
            problems.append(Problem(message, hint, where))
        if isinstance(spec, QuantizeSpec) and any(isinstance(s, QuantizeSpec) for s in recipe.stages[:index]):
            problems.append(Problem(f"'{name}' must be the only quantize stage", "keep one of them", where))
        if isinstance(spec, BenchmarkSpec) and index != len(recipe.stages) - 1:
            problems.append(Problem(f"'{name}' must be the last stage: it measures every row", None, where))
        if isinstance(spec, FinetuneSpec) and index and recipe.stages[index - 1].stage != "finetune":
            problems.append(
                Problem(f"'{name}' must come before the stages that compress the model", "move it first", where)
            )
        if names.count(name) > 1:
            problems.append(Problem(f"the name '{name}' must be used once", "give each a `name:` of its own", where))
        if name == START:
            problems.append(Problem(f"the name '{START}' is the pretrained model's", "choose another", where))
        teacher = getattr(spec, "teacher", None)
        if teacher is not None and teacher in names[index:]:
            message = f"'teacher' must be a stage that comes before. Got '{teacher}'"
            problems.append(Problem(message, "name an earlier stage, a folder or pkg://", where))
        if kind.gives and not isinstance(spec, ExportSpec):
            form, maker = kind.gives, name
        elif kind.gives:
            form = kind.gives
    return problems


def _names(stages: Sequence[StageSpec]) -> list[str]:
    """Names as given; kinds that repeat without a name are numbered: prune, prune-2."""
    names: list[str] = []
    seen: dict[str, int] = {}
    for spec in stages:
        if spec.name:
            names.append(spec.name)
            continue
        seen[spec.stage] = seen.get(spec.stage, 0) + 1
        names.append(spec.stage if seen[spec.stage] == 1 else f"{spec.stage}-{seen[spec.stage]}")
    return names
