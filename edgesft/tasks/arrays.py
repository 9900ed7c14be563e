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
from edgesft.tasks.classes import check_scores, entropy, known, named, scored
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
CROSS_ENTROPY = "cross_entropy"
NUMBER_LOSSES = ("mse", "l1", "huber")
LOSSES = (CROSS_ENTROPY, *NUMBER_LOSSES)
OF_CLASSES, OF_NUMBERS = "accuracy", "r2"
WHOLE, FRACTIONS = "int64", "float32"
"""Types of inputs."""


class NoProcessor:
    """Arrays are fed as they are."""

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes nothing."""


class Arrays(Task):
    """A class or numbers from arrays of fixed shapes, by the user's own module.

    Rows have a column for each input, an array or a list of numbers, and `label`. With a loss or a metric of numbers
    (`mse`, `l1`, `huber`, `r2`), a label is a number or a list of numbers, the target of a regression. Else a label
    that is a name or a whole number is a class; one with a decimal point, or a list of numbers, is a target.
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
        by_class = loss == CROSS_ENTROPY or (loss == "auto" and metric != OF_NUMBERS)
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

    @classmethod
    def of_contract(cls, contract: Contract, columns: Mapping[str, str]) -> Self:
        """With the contract's inputs and metric; of the loss, which only training needs, whether it is of classes."""
        options = contract.options
        loss = CROSS_ENTROPY if contract.labels else NUMBER_LOSSES[0]
        return cls(tuple(options["inputs"]), loss, options["metric"], Path(options.get("path", "")))

    @cached_property
    def _own_loss(self) -> Any:
        return factory.function(self._loss, self._path, "model.loss")

    def text(self, row: Row) -> str:
        """What equal arrays alone have."""
        return ", ".join(f"{name} {identity(np.asarray(row[name]))}" for name in self.inputs)

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Losses and metrics that there are not; empty splits; arrays of several shapes or of no numbers; labels."""
        found = self._declared()
        found += [Problem(f"data.{name}: must hold at least one row, got none") for name in splits if not splits[name]]
        train = splits.get("train") or [row for rows in splits.values() for row in rows]
        classes = self._of_classes(train)
        if wrong := self._misfit(splits, self.inputs) or self._fraction(splits, train):
            return [*found, wrong]
        if not classes and self._metric == OF_CLASSES:
            message = "model.metric: must be r2 or your own function for labels that are numbers, got accuracy"
            found.append(Problem(message, f"model.metric={OF_NUMBERS}; or whole numbers or names for classes"))
        if found or classes:
            return found or checks.labelled(splits, "label")
        wrong = self._misfit(splits, ("label",))
        return [wrong] if wrong else []

    @staticmethod
    def _misfit(splits: Mapping[str, Sequence[Row]], columns: Sequence[str]) -> Problem | None:
        """The first array that is none, or of another shape than those before."""
        shapes: dict[str, tuple[int, ...]] = {}
        for split, rows in splits.items():
            for number, row in numbered(rows):
                for name in columns:
                    if wrong := _wrong(row[name], shapes.get(name)):
                        return Problem(f"data.{split}: {name} must be {wrong} in row {number}")
                    shapes.setdefault(name, np.shape(row[name]))
        return None

    def _fraction(self, splits: Mapping[str, Sequence[Row]], train: Sequence[Row]) -> Problem | None:
        """The first array of fractions among inputs that are whole numbers in train."""
        types = self._types(train)
        for split, rows in splits.items():
            for number, row in numbered(rows):
                for name, dtype in types.items():
                    if not _fits(row[name], dtype):
                        message = f"data.{split}: {name} must be whole numbers like those of train, got others in row "
                        return Problem(f"{message}{number}", "write the numbers of train with a decimal point")
        return None

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
        if self._loss == CROSS_ENTROPY and self._metric == OF_NUMBERS:
            message = f"model.metric: must be {OF_CLASSES} or your own function with {CROSS_ENTROPY}, got {OF_NUMBERS}"
            found.append(Problem(message, f"model.metric={OF_CLASSES}; or model.loss={NUMBER_LOSSES[0]} for numbers"))
        return found

    def _of_classes(self, rows: Sequence[Row]) -> bool:
        if self._loss in NUMBER_LOSSES or self._metric == OF_NUMBERS:
            return False
        return all(isinstance(row["label"], str | int | np.integer) for row in rows)

    def classes(self, row: Row) -> list[str]:
        """The label, unless the loss or the metric says that it is a number."""
        return super().classes(row) if self._of_classes([]) else []

    def _types(self, rows: Sequence[Row]) -> dict[str, str]:
        """Of each input how models take it: float32 where any row has fractions, else int64."""
        types = dict.fromkeys(self.inputs, WHOLE)
        for row in rows:
            for name in self.inputs:
                if np.asarray(row[name]).dtype.kind not in "iub":
                    types[name] = FRACTIONS
        return types if rows else {}

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Labels where they are classes; shapes and types of the inputs; how answers are scored."""
        classes = self._of_classes(train)
        labels = named({checks.label_name(row["label"]) for row in train}, options) if classes and train else ()
        types = self._types(train)
        told = {name: {"shape": list(np.shape(train[0][name])), "dtype": dtype} for name, dtype in types.items()}
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
        """Arrays, of the contract's types; labels are the class's index or float32 numbers.

        Raises:
            InputError: An array has fractions where the contract has whole numbers.
        """
        index_of = {label: index for index, label in enumerate(contract.labels)}
        types = {name: told["dtype"] for name, told in contract.options["inputs"].items()}
        examples = []
        for row in rows:
            example = {name: _array(name, row[name], dtype) for name, dtype in types.items() if name in row}
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
        if self._loss == CROSS_ENTROPY or (self._loss == "auto" and not labels.is_floating_point()):
            return entropy(logits, labels, class_weights, label_smoothing)
        kinds: dict[str, Callable[..., torch.Tensor]] = {"l1": functional.l1_loss, "huber": functional.huber_loss}
        return kinds.get(self._loss, functional.mse_loss)(logits.reshape(labels.shape), labels)

    def logits(self, outputs: Any) -> torch.Tensor:
        """The model's scores, shape [rows, …]."""
        scores: torch.Tensor = outputs[LOGITS]
        return scores

    def check_outputs(self, outputs: Any, contract: Contract) -> list[Problem]:
        """Other than a score for each label, where classes are learned by cross entropy."""
        by_class = contract.labels and self._loss in ("auto", CROSS_ENTROPY)
        return check_scores(self.logits(outputs).shape, contract.labels) if by_class else []

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
            found = {name: float((classification.highest(predictions, references) == references).mean())}
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


def _array(name: str, value: Any, dtype: str) -> np.ndarray:
    """As models take it."""
    if not _fits(value, dtype):
        raise InputError(f"{name}: must be whole numbers, as the model was trained on, got others")
    return np.asarray(value).astype(dtype)


def _fits(value: Any, dtype: str) -> bool:
    """Whether nothing is lost of an array as a type: whole numbers have no fractions."""
    array = np.asarray(value)
    return dtype != WHOLE or array.dtype.kind in "iub" or bool((array == np.trunc(array)).all())


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
