"""Shared base of tasks on pictures and sounds: rows whose input is a file, models with one input array."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
from pydantic import ValidationError

from edgesft.data.hashing import identity
from edgesft.data.media import medium
from edgesft.errors import InputError, Problem
from edgesft.spec.base import Spec
from edgesft.tasks.base import Batch, Example, Graph, Row, Run, Task
from edgesft.tasks.classes import LABELS, Classes, check_scores
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import classification
from edgesft.tasks.models import checkpoint, factory, preprocessor, pretrained
from edgesft.tasks.models.factory import Factory
from edgesft.tasks.models.onnx_file import OnnxFile
from edgesft.tasks.models.source import Source
from edgesft.tasks.models.source import folder as local_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

INPUT = "input"
"""Option of the contract: the name of the model's one input."""

TOP = 5

CONTRACT = "contract.json"


class Reading(Protocol):
    """A processor: reads files as the contract says."""

    input: str
    """Name of the model's input."""

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the preprocessing file that other libraries read, if there is one."""

    def kept(self, value: Any) -> np.ndarray:
        """The array that is stored of a row's input, without a batch axis."""

    def fed(self, kept: np.ndarray) -> np.ndarray:
        """The model's input in training, from stored arrays with a batch axis."""

    def sent(self, kept: np.ndarray) -> np.ndarray:
        """The model's input on the device, from stored arrays with a batch axis."""


class MediaTask(Task, ABC):
    """A task whose input is a picture or a sound, for models of transformers or the user's own."""

    words: ClassVar[bool] = False
    max_grad_norm: ClassVar[float] = 100.0  # those of convolutional nets are larger than 1 all along
    patience: ClassVar[float] = 3.0
    learning_rates: ClassVar[tuple[float, ...]] = (3e-4, 1e-3, 3e-3)
    kind: ClassVar[str]
    """Optimum's name of the task that has the model's head."""
    heads: ClassVar[str]
    """Transformers' mapping from model type to the class with that head."""
    head: ClassVar[frozenset[str]] = frozenset(("classifier", "head", "fc", "score", "projector"))
    """First parts of the names of the last layer in transformers' classes with that head."""
    input: ClassVar[str]
    """Name of the input of transformers' classes."""
    advice: ClassVar[str]
    """Examples of models, for messages."""
    medium: ClassVar[medium.Medium]
    spec: ClassVar[type[Spec]]
    """The schema of the recipe's options for reading files."""
    fixed: ClassVar[Mapping[str, Any]] = {}
    """Further options of the contract, which a recipe cannot set."""
    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    """Of the graph."""

    def text(self, row: Row) -> str:
        """The digest of the file: equal for equal content."""
        return identity(row[self.medium.role])

    @abstractmethod
    def own_options(self, folder: Path, config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """The reading options that the files of a transformers model imply.

        Args:
            folder: The checkpoint.
            config: Its `config.json`.
            given: What the recipe says of it.

        Raises:
            InputError: They say what cannot be done.
        """

    def settled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the contract with all defaults filled in.

        Raises:
            InputError: There are no such options.
        """
        try:
            return {**self.spec(**given).model_dump(mode="json"), **self.fixed}
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in (self.medium.role, *first["loc"]))
            raise InputError(f"data.{name}: {first['msg']}, got {first['input']!r}") from error

    @abstractmethod
    def misfits(self, config: Mapping[str, Any], contract: Contract) -> list[Problem]:
        """Why a model of transformers cannot take inputs that are made by the contract's options."""

    def implied(self, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe's options, completed from the contract next to the model or from its preprocessing files."""
        role = self.medium.role
        given = dict(options.get(role, {}))
        if isinstance(source, Factory):
            return {**options, INPUT: source.inputs[0], role: given}
        folder = local_folder(source)
        own = self._shipped(folder)
        if own is None:
            own = self._declared(source, folder, given)
        rest = source.options if isinstance(source, OnnxFile) else {}
        return {**options, **rest, INPUT: own.pop(INPUT, self.input), role: {**own, **given}}

    def _declared(self, source: Source, folder: Path, given: Mapping[str, Any]) -> dict[str, Any]:
        """The reading options that a model's own files imply."""
        if isinstance(source, OnnxFile):
            said = {**self.shaped(source), **source.config}
            return self.own_options(folder, said, given) if said or (folder / preprocessor.FILE).is_file() else {}
        config = checkpoint.read_config(folder)
        return {} if isinstance(config, Problem) else self.own_options(folder, config, given)

    def shaped(self, source: OnnxFile) -> dict[str, Any]:
        """The reading options that the input shape of an ONNX file implies, in the form of a configuration."""
        return {}

    def _shipped(self, folder: Path) -> dict[str, Any] | None:
        """The options of the contract next to the model, where edgesft made it."""
        said = checkpoint.read_json(folder / CONTRACT)
        if said.get("task") != self.name:
            return None
        return {name: value for name, value in said["options"].items() if name in (INPUT, *self.spec.model_fields)}

    def read_alike(self, one: Source, other: Source, options: Mapping[str, Any]) -> bool:
        """Whether both models imply the same reading options."""
        ours, theirs = (self.contract([], self.implied(each, options)) for each in (one, other))
        return ours == theirs

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """Damaged or missing files, remote code, no head of this kind, another size of the input."""
        if isinstance(source, Factory):
            return [*source.problems(), *meaningless(source)]
        if isinstance(source, OnnxFile):
            return source.problems() or source.misfits(*self.names(contract)) or self.unlike(source, contract)
        folder = local_folder(source)
        config = checkpoint.read_config(folder)
        if isinstance(config, Problem):
            return [config]
        if remote := checkpoint.remote_code_problem(config, trusted=trust_remote_code):
            return [remote]
        model_type = config.get("model_type")
        if model_type not in checkpoint.heads(self.heads):
            head = self.kind.replace("-", " ")
            message = f"model: must have an {head} head in transformers, got model_type {model_type!r}"
            return [Problem(message, f"{self.advice}; or a model of your own: {factory.WHERE}")]
        return [*checkpoint.weight_problems(folder), *self.misfits(config, contract)]

    def unlike(self, source: OnnxFile, contract: Contract) -> list[Problem]:
        """Why a given ONNX file cannot take inputs that are made by the contract's options."""
        return []

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """A checkpoint without this task's head, or with one for other labels; a factory's model is not checked."""
        if isinstance(source, Factory):
            return []
        if isinstance(source, OnnxFile):
            return source.head_problems(contract.labels, self.outputs[0])
        return checkpoint.label_problems(local_folder(source), contract.labels, self.head)

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """A pretrained model with a head for the contract's labels, or what the factory makes."""
        if isinstance(source, Factory):
            from edgesft.tasks.models import own

            return own.load(source)
        auto = pretrained.auto_class(self.kind)
        return pretrained.load(auto, local_folder(source), contract.labels, trust_remote_code=trust_remote_code)

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The architecture of a transformers configuration, weights uninitialised; or what the factory makes."""
        if "factory" in config:
            from edgesft.tasks.models import own

            return own.OwnModel(own.OwnConfig(config["factory"], config["path"], config["arguments"]))
        return pretrained.build(pretrained.auto_class(self.kind), config, contract.labels)

    def read(self, rows: Sequence[Row], processor: Reading) -> list[np.ndarray]:
        """Reads each row's file; returns the stored arrays.

        Raises:
            InputError: A file cannot be read, or gives an array of another shape than those before.
        """
        found: list[np.ndarray] = []
        for row in rows:
            value = row[self.medium.role]
            try:
                kept = processor.kept(medium.source(value))
            except Exception as error:  # Readers raise whatever a damaged file leads them to.
                raise medium.refused(value, error) from error
            if found and kept.shape != found[0].shape:
                raise InputError(
                    f"{self.medium.several}: must give arrays of one shape, "
                    f"got {list(found[0].shape)} and {list(kept.shape)}",
                    f"data.{self.medium.role} says how they are read",
                )
            found.append(kept)
        return found

    def collate(self, examples: Sequence[Example], processor: Reading) -> Batch:
        """Stacked arrays as models take them."""
        batch = {name: np.stack([example[name] for example in examples]) for name in examples[0]}
        batch[processor.input] = processor.fed(batch[processor.input])
        return batch

    def length(self, example: Example) -> int:
        """1: all have one shape, and batches are never split, for the statistics of batch normalisations."""
        return 1

    def graphs(self, model: nn.Module, processor: Reading, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`, with a dynamic batch."""
        import torch

        from edgesft.tasks.models.own import OwnModel

        module = model.model if isinstance(model, OwnModel) else model
        sent = self._sent([examples[0], examples[-1]], processor)
        inputs = {name: torch.from_numpy(value) for name, value in sent.items()}
        return [Graph("model", module, inputs, {processor.input: {0: "batch"}}, self.outputs)]

    def names(self, contract: Contract) -> tuple[Sequence[str], Sequence[str]]:
        """The one input, and the head's outputs."""
        return (contract.options[INPUT],), self.outputs

    def requests(self, examples: Sequence[Example], processor: Reading) -> list[Batch]:
        """The input of each example with a batch axis of 1."""
        return [self._sent([example], processor) for example in examples]

    @staticmethod
    def _sent(examples: Sequence[Example], processor: Reading) -> Batch:
        return {processor.input: processor.sent(np.stack([example[processor.input] for example in examples]))}


class MediaClasses(MediaTask, Classes):
    """One label per picture or sound."""

    metrics: tuple[str, ...] = (*Classes.metrics, "top5")
    takes_files: ClassVar[bool] = True

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits; bad, single or unseen labels. The files were checked when the rows were read."""
        return self.check_labels(splits)

    def check_labels(self, splits: Mapping[str, Sequence[Row]], train: str = "train") -> list[Problem]:
        """The same."""
        empty = [
            Problem(f"data.{name}: must hold at least one row, got none", "check the file or the share")
            for name, rows in splits.items()
            if not rows
        ]
        found = super().check_labels(splits, train)
        hint = "a folder for each class, all of them in the folder that data.train names; or a column of labels"
        return empty + [
            Problem(each.message, hint, each.where) if "at least two labels" in each.message else each for each in found
        ]

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Labels and reading options."""
        labels, said = self.labels(train, options)
        given = options.get(self.medium.role, {})
        return Contract(self.name, labels, {INPUT: options.get(INPUT, self.input), **self.settled(given), **said})

    def encode(self, rows: Sequence[Row], processor: Reading, contract: Contract) -> list[Example]:
        """The stored array of each file (`read`), and the index of its label if it has one."""
        label = self.labeller(contract)
        examples: list[Example] = []
        for row, kept in zip(rows, self.read(rows, processor), strict=True):
            example = {processor.input: kept}
            if "label" in row:
                example[LABELS] = label(row)
            examples.append(example)
        return examples

    def logits(self, outputs: Any) -> torch.Tensor:
        """Class scores before softmax, shape [rows, classes]."""
        scores: torch.Tensor = outputs["logits"]
        return scores

    def check_outputs(self, outputs: Any, contract: Contract) -> list[Problem]:
        """Other than a score for each label."""
        return check_scores(self.logits(outputs).shape, contract.labels)

    def predict(self, run: Run, examples: Sequence[Example], processor: Reading, *, batch_size: int = 1) -> np.ndarray:
        """Logits, float32 of shape [rows, classes]."""
        parts = []
        for start in range(0, len(examples), batch_size):
            sent = self._sent(examples[start : start + batch_size], processor)
            parts.append(np.asarray(run(sent)["logits"], np.float32))
        return np.concatenate(parts)

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """Accuracy, F1, precision and recall of the highest logit; with more than five classes, of the five highest.

        Raises:
            InputError: There is not a score for each label.
        """
        if problems := check_scores(predictions.shape, contract.labels):
            raise InputError(problems)
        found = super().score(predictions, references, contract)
        if len(contract.labels) > TOP:
            found["top5"] = classification.top(predictions, references, TOP)
        return found


def meaningless(source: Factory) -> list[Problem]:
    """Settings of a factory's model that have no meaning for the task."""
    found = []
    if len(source.inputs) != 1:
        found.append(Problem(f"model.inputs: must be the name of the one input, got {', '.join(source.inputs)}"))
    for name, usual in (("loss", "auto"), ("metric", "accuracy")):
        if (value := getattr(source, name)) != usual:
            found.append(
                Problem(f"model.{name}: must be left out but for the task arrays, got {value!r}", "leave it out")
            )
    return found
