"""The task interface: everything that the chain knows about the purpose of a model.

Data flows from rows (dicts read from a file) to `encode` (examples: arrays without a batch axis), `collate` (a padded
batch), `loss` in training or `predict` on any runtime, and `score`. The `contract` (labels, lengths) travels with the
model. The same `encode`, `collate` and `predict` serve torch, ONNX Runtime and the device.

Streaming audio: the graph has state tensors as inputs and outputs (`fed_back`). `predict` loops over the frames and
feeds the state back; `requests` gives one frame with its state.

Generation: one graph takes a key-value cache of any length and the tokens that follow. `requests` gives one token
with a cache of a stated length (decode), `prefill_requests` whole prompts (prefill). An encoder for the prompt is a
graph of its own (`side_graphs`), which runs once per answer.

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
from edgesft.tasks.metrics.unanswered import unanswered
from edgesft.tasks.models import source as source_module
from edgesft.tasks.models.factory import Factory
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


TASK_SETTINGS = ("class_weights", "sampling", "packing", "negatives", *NOISE)
"""Training settings that only some tasks support."""


@dataclass(frozen=True)
class Graph:
    """One ONNX graph of a model.

    Attributes:
        name: File stem; `model` for the main graph.
        module: What is exported.
        inputs: Sample inputs by name, in the order of the graph's inputs, batch 2.
        dynamic: Input name → {axis: axis name}; axes of one name are equal.
        outputs: Names of the outputs.
        prefix: Start of the names of modules that a wrapper added. Its module `front` computes features, and stays in
            float.
        operators: The module's own operators → functions that write them in ONNX (torch's `custom_translation_table`).
        chosen: Output that holds indices along the last axis of another output → that other output. Where two scores
            are equal, either index may be chosen.
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
"""Start of the names of nodes that compute features from the input: their weights are constants, not the model's."""


class Task(ABC):
    """What a model is for. Stateless: what varies lies in the contract and the processor."""

    name: ClassVar[str]
    roles: tuple[str, ...]
    """Columns that the rows must have."""
    optional: tuple[str, ...] = ()
    """Columns that are read where there are such."""
    metrics: tuple[str, ...]
    """Names that `score` returns; the first one decides. Higher is better for all. They are shares in [0, 1] except
    those that `edgesft.budget.metric` lists."""
    learning_rates: ClassVar[tuple[float, ...]] = (1e-4, 3e-4)
    """Usual peak learning rates of AdamW, rising. The default is for small pretrained transformers, which need higher
    rates than large ones."""
    max_grad_norm: ClassVar[float] = 1.0
    """Norm that gradients are clipped to where the recipe says `stages: auto`."""
    patience: ClassVar[float] = 1.0
    """How long a student has to train until it improves no more, as a multiple of what a small text encoder needs."""
    unprunable: ClassVar[str] = ""
    """Why the models of this task cannot be pruned; empty where they can."""
    costly_metrics: Mapping[str, str] = MappingProxyType({})
    """Metrics that take many inferences per row → digest of what else they depend on. `examine` computes them, for the
    models in the report only; no stage is judged by them."""
    by_row: ClassVar[bool] = False
    """Whether `predict` gives each row its `distributions`, independently of the other rows."""
    words: ClassVar[bool] = True
    """Whether inputs are words, so that those of two rows may be nearly the same."""
    by_user: ClassVar[bool] = False
    """Whether a row of a file is one interaction of a user; `data.histories` makes one row per user of them."""
    autoregressive: ClassVar[bool] = False
    """Whether an answer takes one request per token, after those of `prefill_requests`."""
    side_graphs: ClassVar[tuple[str, ...]] = ()
    """Graphs besides `model`, each in a file of its own, which run once at the start of an answer."""
    training: frozenset[str] = frozenset()
    """The `TASK_SETTINGS` that this task supports."""
    takes_files: ClassVar[bool] = False
    """Whether the model may be an ONNX file that another tool wrote."""
    medium: ClassVar[Medium | None] = None
    """What kind of files the first role holds, where its values are files."""

    @classmethod
    def of_recipe(cls, recipe: RecipeSpec, base: Path) -> Self:
        """The task as a recipe declares it, whose relative paths start from `base`."""
        return cls()

    @classmethod
    def of_contract(cls, contract: Contract, columns: Mapping[str, str]) -> Self:
        """The task as a run declared it, of which its contract and the `data.columns` of its recipe are left.

        Raises:
            KeyError: The contract lacks an option.
        """
        return cls()

    @property
    def schema(self) -> RowSchema:
        """What is read of each row."""
        return RowSchema(self.roles, self.optional, self.medium, self.by_user)

    @abstractmethod
    def text(self, row: Row) -> str:
        """A row's input as text, for finding duplicates and for statistics of the data; if it is not words (`words`), a
        text that only equal inputs share.
        """

    def texts(self, row: Row) -> Sequence[str]:
        """The texts of a row that are each truncated to the longest input."""
        return (self.text(row),)

    def merge_references(self, rows: Sequence[Row]) -> Sequence[Row]:
        """Rows for evaluation: those with the same input are merged into one with several references."""
        return rows

    def classes(self, row: Row) -> list[str]:
        """The labels of a row, for statistics of the data."""
        return [stratum(row)] if "label" in row else []

    @abstractmethod
    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Everything wrong with the rows of `train`, `validation` and, where given, `test`.

        Args:
            splits: Rows by split.
            options: The recipe's, as `contract` gets them; None where there is no recipe.
        """

    def warnings(self, splits: Mapping[str, Sequence[Row]]) -> list[str]:
        """What a person should know about rows that passed `check`."""
        return []

    def implied(self, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe's options, completed by the model's own preprocessing files.

        Raises:
            InputError: These files are damaged, or ask for what is not supported.
        """
        return {**options, **(source.options if isinstance(source, OnnxFile) else {})}

    def declared(self, source: Factory) -> dict[str, Any]:
        """What a recipe must say of the module that a factory makes, beside the factory; by default nothing.

        Raises:
            InputError: The factory fails, or its module lacks what the task wants.
        """
        return {}

    def read_alike(self, one: Source, other: Source, options: Mapping[str, Any]) -> bool:
        """Whether two models preprocess their input in the same way."""
        return source_module.read_alike(one, other)

    @abstractmethod
    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """The contract that follows from the training rows and the options that `implied` completed."""

    @abstractmethod
    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """Why this model cannot do this task, judged by its configuration."""

    @abstractmethod
    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """Why a model that is not fine-tuned cannot answer as the contract says."""

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
        """Dynamic axis of the graphs → the largest size in a request, as far as the contract tells."""
        return {}

    def limit(self, source: Source) -> int | None:
        """Most tokens that a model reads at once; None where nothing says so."""
        return None

    def length(self, example: Example) -> int:
        """Size of an example in any unit: examples of similar size are batched together."""
        return max(np.size(value) for name, value in example.items() if name != "labels")

    def tokens(self, examples: Sequence[Example]) -> set[int] | None:
        """Ids of the tokens in the examples; None where there are no tokens, or the model also reads others."""
        return None

    def group(self, example: Example) -> int:
        """Which head an example trains, where a model has several; the setting `sampling` weighs them."""
        return 0

    def disturb(
        self, examples: Sequence[Example], processor: Any, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """Training examples with the noise that is added before batching, such as random crops."""
        return examples

    def augment(
        self,
        batch: Batch,
        processor: Any,
        settings: ResolvedTraining,
        rng: np.random.Generator,
        neighbours: np.ndarray | None = None,
    ) -> Batch:
        """A training batch with the task's random changes (data augmentation), as the settings ask for.

        Args:
            batch: As `collate` makes it.
            processor: What it was encoded with.
            settings: Which changes, and how strong.
            rng: Source of randomness.
            neighbours: For each token id, ids of similar tokens, shape [ids, any]; where the settings ask for them.

        Returns:
            The batch; unchanged for tasks without augmentation.
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
        """The tensor of scores, from which pruning traces the model."""

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """What a student learns from a teacher's outputs: scores before softmax, shape [..., choices]."""
        return self.logits(outputs)

    def divergence(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor | None:
        """Distance of a student's `distributions` from its teacher's, a scalar; None for scores before softmax, for
        which the Kullback-Leibler divergence is used.
        """
        return None

    @abstractmethod
    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Predictions, one per row in the order of the rows, by calling `run`."""

    def examine(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Predictions from which `score` also computes the `costly_metrics`, by calling `run` as often as needed."""
        return self.predict(run, examples, processor, batch_size=batch_size)

    @abstractmethod
    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """The right answers that `score` compares predictions with, one per row; dtype object where they are ragged."""

    @abstractmethod
    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """The `metrics` over the rows; `costly_metrics` only for predictions of `examine`. To score some of the rows,
        index both arrays alike.
        """

    def agree(self, predictions: np.ndarray, others: np.ndarray) -> np.ndarray | None:
        """Whether each row has the same answer in both, bool of shape [rows]; None where that means nothing.

        Of scores of classes the highest one is the answer; where one is NaN, there is none.
        """
        if predictions.dtype.kind != "f" or predictions.ndim != 2 or predictions.shape[1] < 2:
            return None
        found: np.ndarray = predictions.argmax(1) == others.argmax(1)
        return found & ~unanswered(predictions) & ~unanswered(others)

    def relabel(
        self, teacher: nn.Module, examples: Sequence[Example], processor: Any, told: Callable[[int], None]
    ) -> list[Example]:
        """The examples with the teacher's generated answers as targets (sequence-level distillation).

        Args:
            teacher: Generates the answers.
            examples: Whose answers are replaced.
            processor: What they were encoded with.
            told: Called with the number of examples that were just done.

        Raises:
            InputError: Answers of this task are not generated token by token.
        """
        raise InputError(f"distill.sequences: must be left out for {self.name}, whose answers are no sequences")

    def inferences(self, contract: Contract) -> int | None:
        """How many requests one answer takes, where that is fixed; else None."""
        return None

    def period_ns(self, contract: Contract, predictions: np.ndarray) -> int | None:
        """Nanoseconds of sound that one request covers; None for tasks without sound.

        Args:
            contract: Of the model.
            predictions: The model's, on the rows of the requests.
        """
        return None

    def check_outputs(self, outputs: Any, contract: Contract) -> list[Problem]:
        """Why what a model gives of some rows does not fit the contract; by default it does."""
        return []

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Further figures of the predictions for the report, as JSON values; empty where there are none."""
        return {}

    def calibrate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Options of the contract that are set from predictions on validation rows, such as thresholds."""
        return {}

    def unknown(self, predictions: np.ndarray, others: np.ndarray, contract: Contract) -> dict[str, Any]:
        """How well the predictions separate the task's rows from out-of-scope ones, as JSON values for the report."""
        return {}

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """How device code preprocesses a raw row into inputs, as JSON values.

        Returns:
            `kind`, which the format of bundles describes, and what that kind needs; `columns` are those of the row.
        """
        return {"kind": "arrays", "columns": []}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """How device code postprocesses outputs into an answer, as JSON values.

        Returns:
            `kind`, which the format of bundles describes, and what that kind needs. Where an output has a score a
            label, `output`, `axis` and `classes` say which, along which axis, and how many.
        """
        return {"kind": "none"}

    @abstractmethod
    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """The graphs to export, with sample inputs from real rows."""

    def names(self, contract: Contract) -> tuple[Sequence[str], Sequence[str]]:
        """Names that inputs may have, and names of all outputs; an ONNX file of another tool is renamed to these."""
        raise InputError(f"model: must not be an ONNX file for the task {self.name}", "the model that it was made of")

    @abstractmethod
    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        """What the device sends: one request (batch 1, no labels) per example; states, if any, are zeros."""

    def stateful_requests(self, examples: Sequence[Example], processor: Any, run: Run) -> list[Batch]:
        """The same requests with the states (or caches) that the model has by then, from running it."""
        return self.requests(examples, processor)

    def prefill_requests(self, examples: Sequence[Example], processor: Any) -> dict[str, list[Batch]]:
        """What an autoregressive task sends before the first token: graph → one request per example."""
        return {}

    def row_prompt(self, row: Row, processor: Any) -> tuple[Row, list[int]]:
        """The prompt of a row of an autoregressive task, as JSON values and as tokens; both empty where the row has no
        prompt.
        """
        return {}, []

    def files(self, model: Path) -> dict[str, Path]:
        """Graph → its file, given the file of `model`; in the order in which they run."""
        return {**{name: model.with_name(f"{name}.onnx") for name in self.side_graphs}, "model": model}

    def modules(self, model: nn.Module) -> dict[str, nn.Module]:
        """Graph → the torch module that computes it."""
        return {"model": model}

    def links(self, contract: Contract) -> dict[str, dict[str, dict[str, str]]]:
        """Connections between graphs: consumer → producer → input → output; empty where there is only one graph."""
        return {}

    def fed_back(self, contract: Contract) -> dict[str, str]:
        """Input → the output that becomes its value at the next inference; empty for models without state."""
        return {}
