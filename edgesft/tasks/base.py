"""The task interface: all that the chain knows about what a model is for.

The way of the data: rows (dicts from a file) → `contract` (what travels with the model: labels, lengths) → `encode`
(examples: arrays without a batch axis) → `collate` (a padded batch) → `loss` in training, `predict` on any runtime →
`score`. The same `encode`, `collate` and `predict` serve torch, ONNX Runtime and the device.

Streaming audio fits so: the graph has state tensors as inputs and outputs (`fed_back`); `predict` loops over frames
feeding the state back; `requests` gives one frame with its state.

Generation fits so: one graph takes a cache of any length and the tokens that follow; `requests` gives one token behind
a cache of a stated length, `openings` whole prompts. Where what is asked is read by a graph of its own, that lies
`beside`, and runs once an answer.

Importing a task imports neither torch nor transformers: only what loads or trains does, inside the functions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from edgesft.data.carve import stratum
from edgesft.data.media.medium import Medium
from edgesft.data.schema import RowSchema
from edgesft.errors import InputError, Problem
from edgesft.spec.training import NOISE, ResolvedTraining
from edgesft.tasks.contract import Contract
from edgesft.tasks.models import source as source_module
from edgesft.tasks.models.onnx_file import OnnxFile
from edgesft.tasks.models.source import Source

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgesft.spec.recipe import RecipeSpec

Row = Mapping[str, Any]
"""One labelled row as read from a file, its columns renamed to the task's roles."""

Example = dict[str, np.ndarray]
"""One encoded row without a batch axis: the model's inputs and, under `labels`, what it should answer."""

Batch = dict[str, np.ndarray]
"""Several examples, padded and stacked, with a leading batch axis."""

Run = Callable[..., dict[str, np.ndarray]]
"""`run(feeds, graph="model") -> outputs by name`: one call of a model on torch or on a runtime."""


PARTICULAR = ("class_weights", "sampling", "packing", "negatives", *NOISE)
"""Training settings that mean something to some tasks alone."""


@dataclass(frozen=True)
class Graph:
    """One ONNX graph of a model.

    Attributes:
        name: File stem; `model` for the main graph.
        module: What is exported.
        inputs: Sample inputs by name, in the order of the graph's inputs, batch 2.
        dynamic: Input name → {axis: axis name}; axes of one name are equal.
        outputs: Names of the outputs.
        prefix: Start of the names of modules that a wrapper added. What is in its module `front` makes features, and
            stays in float.
        operators: The module's own operators → functions that write them in ONNX (torch's `custom_translation_table`).
        chosen: Output of places along the last axis of another → that other one: of two that score alike either may be
            chosen.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, torch.Tensor]
    dynamic: Mapping[str, Mapping[int, str]]
    outputs: tuple[str, ...]
    prefix: str = ""
    operators: Mapping[Any, Any] = field(default_factory=dict)
    chosen: Mapping[str, str] = field(default_factory=dict)


FRONT = "front."
"""Start of the names of nodes that make features of what is fed: their weights are no model's."""


class Task(ABC):
    """A kind of job. Stateless: what varies is in the contract and the processor."""

    name: ClassVar[str]
    roles: tuple[str, ...]
    """Columns that the rows must have."""
    optional: tuple[str, ...] = ()
    """Columns that are read where there are such."""
    metrics: tuple[str, ...]
    """Names that `score` returns; the first one decides. All are better when higher; `edgesft.budget.metric` has what
    is no share."""
    learning_rates: ClassVar[tuple[float, ...]] = (1e-4, 3e-4)
    """Usual peaks of AdamW, rising: those of small pretrained transformers, which want more than large ones."""
    max_grad_norm: ClassVar[float] = 1.0
    """Norm that gradients are clipped to where `stages: auto` says so."""
    patience: ClassVar[float] = 1.0
    """How many times as long as a small encoder of text a student has to train until it is as good as it gets."""
    unpruned: ClassVar[str] = ""
    """Why no width of its models may change; empty where they may."""
    costly: Mapping[str, str] = MappingProxyType({})
    """Of the metrics, those that take many inferences a row, each with the digest of what it is taken by: `examine` has
    them, of models that are reported alone, and no stage is decided by them."""
    by_row: ClassVar[bool] = False
    """Whether `predict` gives each row what `distributions` has of it, whatever other rows there are."""
    by_user: ClassVar[bool] = False
    """Whether a file's rows are what users did, one thing each, of which `data.histories` makes a row a user."""
    stepwise: ClassVar[bool] = False
    """Whether an answer takes many requests, a token each, after those that `openings` gives."""
    beside: ClassVar[tuple[str, ...]] = ()
    """Graphs beside `model`, each a file of its own: what runs once, where an answer begins."""
    training: frozenset[str] = frozenset()
    """Training settings of `PARTICULAR` that mean something here."""
    takes_files: ClassVar[bool] = False
    """Whether its model may be an ONNX file that others made."""
    medium: ClassVar[Medium | None] = None
    """What the first role is, where its values are files."""

    @classmethod
    def of_recipe(cls, recipe: RecipeSpec, base: Path) -> Self:
        """The task as a recipe declares it, whose relative paths start from `base`."""
        return cls()

    @property
    def schema(self) -> RowSchema:
        """What is read of each row."""
        return RowSchema(self.roles, self.optional, self.medium, self.by_user)

    @abstractmethod
    def text(self, row: Row) -> str:
        """A row's input in words: what is compared and counted where rows are looked at."""

    def texts(self, row: Row) -> Sequence[str]:
        """Those of a row, each of which is cut at the longest input."""
        return (self.text(row),)

    def gathered(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows as answers are held against them, where several may say what is right of one input."""
        return rows

    def classes(self, row: Row) -> list[str]:
        """The labels that a row has: what is counted where rows are looked at."""
        return [stratum(row)] if "label" in row else []

    @abstractmethod
    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Everything wrong with the rows of `train`, `validation` and, where given, `test`.

        Args:
            splits: Rows by split.
            options: The recipe's, as `contract` gets them; None where there is no recipe.
        """

    def warnings(self, splits: Mapping[str, Sequence[Row]]) -> list[str]:
        """What a person should know of rows that `check` finds nothing wrong with."""
        return []

    def implied(self, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe's options with what a model's own files say of how it reads its input.

        Raises:
            InputError: They are damaged, or say what cannot be done.
        """
        return {**options, **(source.options if isinstance(source, OnnxFile) else {})}

    def read_alike(self, one: Source, other: Source, options: Mapping[str, Any]) -> bool:
        """Whether two models read their input alike."""
        return source_module.read_alike(one, other)

    @abstractmethod
    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """The contract that the training rows and the options imply, as `implied` has these."""

    @abstractmethod
    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """What keeps this model from doing this task, judged by its configuration."""

    @abstractmethod
    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """What keeps a model that nothing fine-tunes from answering as the contract says."""

    @abstractmethod
    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """A pretrained model with a head for the contract; weights are read without unpickling code.

        Raises:
            InputError: The checkpoint is missing, corrupt or needs remote code that was not allowed.
        """

    @abstractmethod
    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The same architecture from its configuration alone, weights uninitialised."""

    @abstractmethod
    def load_processor(self, source: Source, contract: Contract) -> Any:
        """What `encode` needs (a tokenizer, an image processor); has `save_pretrained(folder)`."""

    @abstractmethod
    def encode(self, rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
        """Rows → examples, labels included."""

    @abstractmethod
    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        """Examples → one padded batch, labels included where the examples have them."""

    def longest(self, contract: Contract) -> Mapping[str, int]:
        """Free axis of the graphs → the largest size that requests may have, as far as the contract tells."""
        return {}

    def length(self, example: Example) -> int:
        """How much there is of an example, in any unit: batches are made of like ones."""
        return max(np.size(value) for name, value in example.items() if name != "labels")

    def tokens(self, examples: Sequence[Example]) -> set[int] | None:
        """Ids of the tokens that examples have; None where there are none, or the model reads others besides."""
        return None

    def group(self, example: Example) -> int:
        """Which of several jobs an example is for: training draws from each as the setting `sampling` says."""
        return 0

    def disturb(
        self, examples: Sequence[Example], processor: Any, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """Training examples as they are before a batch is made of them: pieces, and noise as the settings have it."""
        return examples

    def augment(
        self,
        batch: Batch,
        processor: Any,
        settings: ResolvedTraining,
        rng: np.random.Generator,
        neighbours: np.ndarray | None = None,
    ) -> Batch:
        """A training batch with noise of the task's kind, as the settings have it.

        Args:
            batch: As `collate` makes it.
            processor: What it was encoded with.
            settings: Which noise, and how much.
            rng: Where the chance comes from.
            neighbours: Tokens that the model reads alike, shape [ids, any]; where the settings ask for them.

        Returns:
            The batch as it is, for tasks whose rows are not to be changed once they are batches.
        """
        return batch

    @abstractmethod
    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Scalar loss of the model's outputs against the labels; `class_weights` has one a class where it is given."""

    @abstractmethod
    def logits(self, outputs: Any) -> torch.Tensor:
        """The tensor of scores that pruning follows through the model."""

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """What a student learns of a teacher's outputs on a batch: scores before softmax, shape [..., choices]."""
        return self.logits(outputs)

    def divergence(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor | None:
        """How far a student's `distributions` are from its teacher's, a scalar; None where softmax makes
        probabilities of them, of which the Kullback-Leibler divergence is taken.
        """
        return None

    @abstractmethod
    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Predictions, one a row, in the rows' order, by calling `run`."""

    def examine(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Predictions of which `score` also has the metrics of `costly`, by calling `run` as often as these take."""
        return self.predict(run, examples, processor, batch_size=batch_size)

    @abstractmethod
    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """What `score` holds predictions against, one a row; of dtype object where rows are ragged."""

    @abstractmethod
    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """Each of `metrics` over rows, those of `costly` where `examine` made the predictions; both arrays may be
        indexed alike, to score some of the rows.
        """

    def agree(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray | None:
        """Whether each row has the same answer in both, bool of shape [rows]; None where that means nothing.

        Of scores of classes the highest one is the answer.
        """
        if predictions.dtype.kind != "f" or predictions.ndim != 2 or predictions.shape[1] < 2:
            return None
        found: np.ndarray = predictions.argmax(1) == others.argmax(1)
        return found

    def retold(
        self, teacher: nn.Module, examples: Sequence[Example], processor: Any, told: Callable[[int], None]
    ) -> list[Example]:
        """The examples with what a teacher says in place of their answers; `told` hears how many more are done.

        Raises:
            InputError: Answers of this task are not said token by token.
        """
        raise InputError(f"distill.sequences: must be left out for {self.name}, whose answers are no sequences")

    def inferences(self, contract: Contract) -> int | None:
        """How many requests one answer takes, where that is a number of its own; else None."""
        return None

    def period_ns(self, contract: Contract, predictions: np.ndarray) -> int | None:
        """Nanoseconds of sound that a request stands for; None where it stands for none.

        Args:
            contract: Of the model.
            predictions: Its own, on the rows that requests are made of.
        """
        return None

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """What else the predictions tell, as JSON values for the report; empty where the task tells no more."""
        return {}

    def calibrate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Further options of the contract that predictions on validation rows imply, such as thresholds."""
        return {}

    def unknown(self, predictions: np.ndarray, others: np.ndarray, contract: Contract) -> dict[str, Any]:
        """How well predictions tell rows of the task's kind from others, as JSON values for the report."""
        return {}

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """How device code makes the inputs of a raw row, as JSON values.

        Returns:
            `kind`, which the format of bundles describes, and what that kind needs; `columns` are those of the row.
        """
        return {"kind": "arrays", "columns": []}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """How device code makes an answer of the outputs, as JSON values.

        Returns:
            `kind`, which the format of bundles describes, and what that kind needs. Where an output has a score a
            label, `output`, `axis` and `classes` say which, along which axis, and how many.
        """
        return {"kind": "none"}

    @abstractmethod
    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """What to export, with sample inputs made of real rows."""

    def names(self, contract: Contract) -> tuple[Sequence[str], Sequence[str]]:
        """What inputs may be called, and all outputs: a file of others gets these names."""
        raise InputError(f"model: must not be an ONNX file for the task {self.name}", "the model that it was made of")

    @abstractmethod
    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        """What the device sends, one request (batch 1, labels left out) an example; states, if any, are zeros."""

    def reached(self, examples: Sequence[Example], processor: Any, run: Run) -> list[Batch]:
        """The same requests with the states that a model has reached before them."""
        return self.requests(examples, processor)

    def openings(self, examples: Sequence[Example], processor: Any) -> dict[str, list[Batch]]:
        """What the device sends first, where an answer takes many requests: graph → a request an example."""
        return {}

    def question(self, row: Row, processor: Any) -> tuple[Row, list[int]]:
        """What of a row is asked where an answer takes many requests: as JSON values, and its tokens; both empty where
        it cannot be asked by itself.
        """
        return {}, []

    def files(self, model: Path) -> dict[str, Path]:
        """Graph → its file, from that of `model`; in the order in which they run."""
        return {**{name: model.with_name(f"{name}.onnx") for name in self.beside}, "model": model}

    def modules(self, model: nn.Module) -> dict[str, nn.Module]:
        """Graph → what computes it on torch."""
        return {"model": model}

    def links(self, contract: Contract) -> dict[str, dict[str, dict[str, str]]]:
        """What graphs hand each other: taker → giver → input → output; empty where there is but one."""
        return {}

    def fed_back(self, contract: Contract) -> dict[str, str]:
        """Input → the output that becomes its value at the next inference; empty where the model keeps nothing."""
        return {}
