"""Arrays: a model of the user's own that takes arrays of fixed shapes, and gives a class or numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from edgesft.data import checks
from edgesft.data.files import place
from edgesft.data.hashing import identity
from edgesft.data.rows import numbered
from edgesft.errors import InputError, Problem
from edgesft.spec.model import FactorySpec, OnnxSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.augmentation import distortion
from edgesft.tasks.base import Batch, Example, Graph, Row, Run, Task
from edgesft.tasks.classes import known, named, scored
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import calibration, classification, evaluation
from edgesft.tasks.models import factory, onnx_file
from edgesft.tasks.models.factory import Factory
from edgesft.tasks.models.onnx_file import OnnxFile
from edgesft.tasks.models.source import Source

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgesft.spec.recipe import RecipeSpec

LABELS, LOGITS = "labels", "logits"

NOISE = ("mixup", "flip", "shift")
LOSSES = ("cross_entropy", "mse", "l1", "huber")
OF_CLASSES, OF_NUMBERS = "accuracy", "r2"


class NoProcessor:
    """Arrays are fed as they are."""

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes nothing."""


class Arrays(Task):
    """A class or numbers from arrays of fixed shapes, by the user's own module.

    Rows have a column for each input, an array or a list of numbers, and `label`. A label that is a name or a whole
    number is a class. A label that is a number with a decimal point, or a list of numbers, is the target of a
    regression.
    """

    name: ClassVar[str] = "arrays"
    max_grad_norm: ClassVar[float] = 100.0  # those of convolutional nets are larger than 1 all along
    patience: ClassVar[float] = 3.0
    by_row: ClassVar[bool] = True
    words: ClassVar[bool] = False
    takes_files: ClassVar[bool] = True
    learning_rates: ClassVar[tuple[float, ...]] = (3e-4, 1e-3, 3e-3)

    def __init__(
        self, inputs: Sequence[str] = ("x",), loss: str = "auto", metric: str = OF_CLASSES, path: Path | None = None
    ) -> None:
        """Takes what the recipe's `model` declares.

        Args:
            inputs: Names of the inputs.
            loss: One of `LOSSES`, `auto` or `module:function`.
            metric: `accuracy`, `r2` or `module:function`.
            path: Folder that their modules are imported from.
        """
        self.inputs, self._loss, self._metric, self._path = tuple(inputs), loss, metric, path or Path()
        self.roles = (*self.inputs, "label")
        self.metrics = (metric.partition(":")[2] or metric,)
        by_class = loss == "cross_entropy" or (loss == "auto" and metric != "r2")
        self.training = frozenset((*NOISE, "class_weights") if by_class else NOISE)

    @classmethod
    def of_recipe(cls, recipe: RecipeSpec, base: Path) -> Self:
        """With the inputs, loss and metric of the recipe's model."""
        model = recipe.model
        if isinstance(model, OnnxSpec):
            return cls(onnx_file.resolve(model, base).feeds, "auto", model.metric, base.absolute())
        if not isinstance(model, FactorySpec):
            return cls()
        path = place(model.path, base) if model.path else base
        return cls(model.inputs, model.loss, model.metric, path.absolute())

    @cached_property
    def _own_loss(self) -> Any:
        return factory.function(self._loss, self._path, "model.loss")

    def text(self, row: Row) -> str:
        """What equal arrays alone have."""
        return ", ".join(f"{name} {identity(np.asarray(row[name]))}" for name in self.inputs)

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Losses and metrics that there are not; empty splits; arrays of several shapes or of no numbers; labels."""
        found = [*self._declared()]
        shapes: dict[str, tuple[int, ...]] = {}
        for split, rows in splits.items():
            if not rows:
                found.append(Problem(f"data.{split}: must hold at least one row, got none"))
            for number, row in numbered(rows):
                for name in self.inputs:
                    problem = _wrong(row[name], shapes.get(name))
                    if problem:
                        found.append(Problem(f"data.{split}: {name} must be {problem} in row {number}"))
                        return found
                    shapes.setdefault(name, np.shape(row[name]))
        classes = self._of_classes([row for rows in splits.values() for row in rows])
        if not classes and self._metric == OF_CLASSES:
            message = "model.metric: must be r2 or your own function for labels that are numbers, got accuracy"
            found.append(Problem(message, f"model.metric={OF_NUMBERS}; or whole numbers or names for classes"))
        return found or (checks.labelled(splits, "label") if classes else [])

    def _declared(self) -> list[Problem]:
        found: list[Problem] = []
        for field, value, names in (
            ("model.loss", self._loss, ("auto", *LOSSES)),
            ("model.metric", self._metric, (OF_CLASSES, OF_NUMBERS)),
        ):
            if ":" in value:
                try:
                    factory.module_file(value, self._path, field)
                except InputError as error:
                    found += error.problems
            elif value not in names:
                message = f"{field}: must be {', '.join(names)} or module:function, got {value!r}"
                found.append(Problem(message))
        return found

    def _of_classes(self, rows: Sequence[Row]) -> bool:
        return all(isinstance(row["label"], str | int | np.integer) for row in rows)

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Labels where they are classes; shapes and types of the inputs; how answers are scored."""
        classes = self._of_classes(train)
        labels = named({checks.label_name(row["label"]) for row in train}, options) if classes and train else ()
        arrays = {name: _array(train[0][name]) for name in self.inputs} if train else {}
        told = {name: {"shape": list(each.shape), "dtype": str(each.dtype)} for name, each in arrays.items()}
        options = {"inputs": told, "metric": self._metric}
        # Where a function lies is told only where there is one: it is a path of this machine.
        return Contract(self.name, labels, {**options, **({"path": str(self._path)} if ":" in self._metric else {})})

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """A model that is not a factory's; missing modules or weights."""
        if isinstance(source, OnnxFile):
            return source.problems() or source.misfits(*self.names(contract))
        if not isinstance(source, Factory):
            message = "model: must be {factory: module:function} or {onnx: file} for the task arrays, got a name"
            return [Problem(message, factory.WHERE)]
        return source.problems()

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """Of a file of others classes that nobody named; what a factory gives is the user's to know."""
        if isinstance(source, OnnxFile) and contract.labels:
            return source.head_problems(contract.labels, LOGITS)
        return []

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """The factory's model with its weights."""
        from edgesft.tasks.models import own

        if not isinstance(source, Factory):
            raise InputError(self.check_model(source, contract))
        return own.load(source)

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The factory's model."""
        from edgesft.tasks.models import own

        return own.OwnModel(own.OwnConfig(config["factory"], config["path"], config["arguments"]))

    def load_processor(self, source: Source, contract: Contract) -> NoProcessor:
        """Nothing to be done to arrays."""
        return NoProcessor()

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """Arrays are fed as they are, with a batch axis before."""
        return {"kind": "arrays", "columns": list(contract.options["inputs"]), "arrays": contract.options["inputs"]}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """The class with the highest score, or the scores themselves."""
        if not contract.labels:
            return {"kind": "numbers", "output": LOGITS}
        heat = contract.options.get(calibration.TEMPERATURE, 1.0)
        return {**scored(contract, "classes", 1), "activation": "softmax", "temperature": heat}

    def encode(self, rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
        """Arrays, float32 or int64; labels are the class's index or float32 numbers."""
        index_of = {label: index for index, label in enumerate(contract.labels)}
        examples = []
        for row in rows:
            example = {name: _array(row[name]) for name in self.inputs if name in row}
            if "label" in row:
                label = row["label"]
                example[LABELS] = (
                    np.asarray(known(checks.label_name(label), index_of), np.int64)
                    if contract.labels
                    else np.asarray(label, np.float32)
                )
            examples.append(example)
        return examples

    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        """Stacked arrays."""
        return {name: np.stack([example[name] for example in examples]) for name in examples[0]}

    def length(self, example: Example) -> int:
        """1: all have one shape, and batches are never split, for the statistics of batch normalisations."""
        return 1

    def augment(
        self,
        batch: Batch,
        processor: Any,
        settings: ResolvedTraining,
        rng: np.random.Generator,
        neighbours: np.ndarray | None = None,
    ) -> Batch:
        """Arrays mirrored, moved, and of fractions with some of another row's mixed in."""
        batch = {name: values if name == LABELS else _moved(values, settings, rng) for name, values in batch.items()}
        if not isinstance(settings.mixup, float) or not settings.mixup:
            return batch
        return distortion.mixed(batch, settings.mixup, rng, LABELS)

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The declared loss; a function of one's own gets the scores and the labels."""
        from torch.nn import functional

        logits = self.logits(outputs).float()
        if ":" in self._loss:
            found: torch.Tensor = self._own_loss(logits, labels)
            return found
        if self._loss == "cross_entropy" or (self._loss == "auto" and not labels.is_floating_point()):
            return functional.cross_entropy(logits, labels, weight=class_weights, label_smoothing=label_smoothing)
        kinds: dict[str, Callable[..., torch.Tensor]] = {"l1": functional.l1_loss, "huber": functional.huber_loss}
        return kinds.get(self._loss, functional.mse_loss)(logits.reshape(labels.shape), labels)

    def logits(self, outputs: Any) -> torch.Tensor:
        """The model's scores, shape [rows, …]."""
        scores: torch.Tensor = outputs[LOGITS]
        return scores

    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Scores, float32 of shape [rows, …]."""
        parts = []
        for start in range(0, len(examples), batch_size):
            batch = self.collate(examples[start : start + batch_size], processor)
            batch.pop(LABELS, None)
            parts.append(np.asarray(run(batch)[LOGITS], np.float32))
        return np.concatenate(parts)

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """The labels, one a row."""
        return np.stack([example[LABELS] for example in examples])

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """The declared metric."""
        name = contract.options["metric"]
        if ":" in name:
            measure = factory.function(name, Path(contract.options["path"]), "model.metric")
            found = {name.partition(":")[2]: float(measure(predictions, references))}
        elif name == OF_CLASSES:
            found = {name: float((predictions.argmax(axis=1) == references).mean())}
        else:
            found = {name: classification.r2(predictions.reshape(references.shape), references)}
        return found

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Of classes, all that a classification tells."""
        if not contract.labels:
            return {}
        heat = contract.options.get(calibration.TEMPERATURE)
        return evaluation.classification_report(predictions, references, contract.labels, heat)

    def calibrate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Of classes, the temperature, and the score from which a row is of a known class."""
        return calibration.calibrate(predictions, references) if contract.labels else {}

    def unknown(self, predictions: np.ndarray, others: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Of classes, how well rows of others are told."""
        if not contract.labels:
            return {}
        return calibration.open_world(predictions, others, contract.options[calibration.ACCEPT])

    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`, with a dynamic batch: the user's module itself, whose `forward` names its inputs."""
        import torch

        from edgesft.tasks.models.own import OwnModel

        module = model.model if isinstance(model, OwnModel) else model
        batch = self.collate([examples[0], examples[-1]], processor)
        inputs = {name: torch.from_numpy(batch[name]) for name in self.inputs}
        return [Graph("model", module, inputs, {name: {0: "batch"} for name in inputs}, (LOGITS,))]

    def names(self, contract: Contract) -> tuple[Sequence[str], Sequence[str]]:
        """The rows' columns, and the scores."""
        return self.inputs, (LOGITS,)

    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        """The inputs of each example with a batch axis of 1."""
        return [{name: example[name][np.newaxis] for name in self.inputs} for example in examples]


def _array(value: Any) -> np.ndarray:
    """As models take it: int64 or float32."""
    array = np.asarray(value)
    return array.astype(np.int64 if array.dtype.kind in "iub" else np.float32)


def _moved(values: np.ndarray, settings: ResolvedTraining, rng: np.random.Generator) -> np.ndarray:
    """Each row mirrored or not, and moved by some of its length along its last axes."""
    if isinstance(settings.flip, float) and settings.flip and values.ndim > 1:
        values = distortion.mirrored(values, settings.flip, rng)
    return distortion.moved(values, tuple(settings.shift or ()), rng)  # type: ignore[arg-type]


def _wrong(value: Any, shape: tuple[int, ...] | None) -> str | None:
    """What an input must be and is not."""
    try:
        array = np.asarray(value)
    except ValueError:
        return "an array, got lists of several lengths"
    if array.dtype.kind not in "iubf":
        return f"numbers, got {array.dtype}"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "finite numbers, got others"
    if shape is not None and array.shape != shape:
        return f"of the shape of the rows before, {list(shape)}, got {list(array.shape)}"
    return None
