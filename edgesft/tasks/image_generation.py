"""Image generation: pictures like those of the training rows, by diffusion or a variational autoencoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from edgesft.data import checks
from edgesft.data.files import missing, place
from edgesft.data.media import medium
from edgesft.errors import InputError, Problem
from edgesft.spec.generation import GenerationSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.base import Batch, Example, Graph, Row, Run
from edgesft.tasks.classes import known
from edgesft.tasks.contract import Contract
from edgesft.tasks.generators.autoencoding import Coding
from edgesft.tasks.generators.diffusion import Noising
from edgesft.tasks.generators.generator import GENERATION, LABEL, SEED, SHAPE, Generator
from edgesft.tasks.metrics import frechet
from edgesft.tasks.metrics.frechet import Features
from edgesft.tasks.models import factory
from edgesft.tasks.models.factory import Factory
from edgesft.tasks.models.source import Source
from edgesft.tasks.pictures import Pictures, PictureTask

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgesft.spec.recipe import RecipeSpec

METHODS: Mapping[str, type[Generator]] = {"diffusion": Noising, "autoencoder": Coding}

FRECHET = "frechet"
"""Metric: the negative Fréchet distance, so that higher is better."""

CENTRED = {"mean": 0.5, "std": 0.5}
"""Pixels from -1 to 1, between which noise of mean 0 lies as well: Ho et al. 2020, section 3.3."""


class ImageGeneration(PictureTask):
    """Pictures like those of the rows, by a model of the user's own.

    A row has `image`, a path, and `label` where the model is conditioned on the class. The prediction of a row is the
    squared error of the model's output for it; for the models in the report also the features of a generated picture,
    and those of the row's picture.
    """

    name: ClassVar[str] = "image-generation"
    roles: tuple[str, ...] = ("image",)
    optional: tuple[str, ...] = (LABEL,)
    metrics: tuple[str, ...] = (Noising.metric,)

    def __init__(
        self,
        generation: GenerationSpec | None = None,
        inputs: Sequence[str] | None = None,
        features: Features | None = None,
    ) -> None:
        """Takes what the recipe declares.

        Args:
            generation: How pictures are generated.
            inputs: Names of the model's inputs; by default the method's, without a class.
            features: Net whose features are compared for the Fréchet distance; None for no such metric.
        """
        self.generation, self._features = generation or GenerationSpec(), features
        self._method = METHODS[self.generation.method]
        self._inputs = tuple(inputs or self._method.inputs[0])
        if LABEL in self._inputs:
            self.roles, self.optional = (*type(self).roles, LABEL), ()
        self.costly_metrics = {FRECHET: features.digest} if features else {}
        self.metrics = (self._method.metric, *self.costly_metrics)

    @classmethod
    def of_recipe(cls, recipe: RecipeSpec, base: Path) -> Self:
        """With the recipe's `data.generation`, and the names of the model's inputs."""
        spec = recipe.data.generation or GenerationSpec()
        features = Features(place(spec.features, base)) if spec.features else None
        return cls(spec, getattr(recipe.model, "inputs", None), features)

    @classmethod
    def of_contract(cls, contract: Contract, columns: Mapping[str, str]) -> Self:
        """With the contract's method, and a class where it has some; without the net of features."""
        spec = GenerationSpec(**contract.options[GENERATION])
        choices = [names for names in METHODS[spec.method].inputs if (LABEL in names) == bool(contract.labels)]
        if not choices:
            raise ValueError(f"{len(contract.labels)} labels with method {spec.method}")
        return cls(spec, choices[0])

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Splits with less than two pictures; wrong labels, for a model with classes; a missing net of features."""
        found = [
            Problem(f"data.{name}: must hold at least two pictures, got {len(rows)}", "check the file or the share")
            for name, rows in splits.items()
            if len(rows) < frechet.FEWEST
        ]
        if self._features and (problem := missing(self._features.path, "data.generation.features")):
            found.append(problem)
        return found + (checks.labelled(splits, LABEL) if LABEL in self.roles else [])

    def implied(self, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe's options, with pixels from -1 to 1 where it says nothing else."""
        return {**options, "image": {**CENTRED, **options.get("image", {})}}

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Classes that the model is told; how pictures are read and made, and their shape."""
        labels = checks.ordered({checks.label_name(row[LABEL]) for row in train}) if LABEL in self.roles else ()
        made = self.generation.model_dump(mode="json", exclude={"features"})
        said = {**self.settled(options.get("image", {})), GENERATION: made}
        shape = _shape(train[0], Pictures({**said, "input": ""})) if train else []
        return Contract(self.name, tuple(labels), {**said, SHAPE: shape})

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """A model that is not a factory's; missing modules or weights; inputs of another method."""
        if not isinstance(source, Factory):
            message = f"model: must be {{factory: module:function}} for the task {self.name}, got a name"
            return [Problem(message, factory.WHERE)]
        found = list(source.problems())
        if tuple(source.inputs) not in self._method.inputs:
            able = " or ".join(f"[{', '.join(names)}]" for names in self._method.inputs)
            message = f"model.inputs: must be {able} for {self.generation.method}, got [{', '.join(source.inputs)}]"
            found.append(Problem(message, "data.generation.method says how pictures are made"))
        return found

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """Nothing: a factory's model is not checked."""
        return []

    def misfits(self, config: Mapping[str, Any], contract: Contract) -> list[Problem]:
        """Nothing: models of transformers are not supported."""
        return []

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """The factory's model with its weights, as it is trained and exported."""
        from edgesft.tasks.generators import modules
        from edgesft.tasks.models import own

        if not isinstance(source, Factory):
            raise InputError(self.check_model(source, contract))
        return own.load(source, partial(modules.made, options=contract.options))

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The factory's model."""
        from edgesft.tasks.generators import modules
        from edgesft.tasks.models import own

        made = own.OwnConfig(config["factory"], config["path"], config["arguments"])
        return modules.made(made, contract.options)

    def load_processor(self, source: Any, contract: Contract) -> Generator:
        """How pictures are read and made, as the contract says."""
        return METHODS[contract.options[GENERATION]["method"]](contract.options)

    def encode(self, rows: Sequence[Row], processor: Generator, contract: Contract) -> list[Example]:
        """Pixels as bytes, the seed of the row's random numbers, and the class for a conditional model."""
        index_of = {label: index for index, label in enumerate(contract.labels)}
        return [
            processor.example(kept, known(checks.label_name(row[LABEL]), index_of) if index_of else None)
            for row, kept in zip(rows, self.read(rows, processor), strict=True)
        ]

    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        """What the model learns from."""
        return processor.batch(examples)

    def disturb(
        self, examples: Sequence[Example], processor: Generator, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """The same pictures with new random numbers at every step."""
        seeds = rng.integers(2**63, size=len(examples))
        return [{**example, SEED: seed} for example, seed in zip(examples, seeds, strict=True)]

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean squared error; of an autoencoder the evidence lower bound, in units of that."""
        from torch.nn import functional

        from edgesft.tasks.generators import modules

        error = functional.mse_loss(self.logits(outputs).float(), labels)
        return error + modules.divergence(outputs, self.generation.deviation) / labels[0].numel()

    def logits(self, outputs: Any) -> torch.Tensor:
        """The model's output that is trained, of the shape of pictures."""
        said: torch.Tensor = outputs[self._method.answer]
        return said

    def divergence(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        """Mean squared error against the teacher's answers."""
        from torch.nn import functional

        return functional.mse_loss(ours.float(), theirs.float())

    def predict(
        self, run: Run, examples: Sequence[Example], processor: Generator, *, batch_size: int = 1
    ) -> np.ndarray:
        """The squared error of each row, with the random numbers of its seed: float64, [rows, 1]."""
        parts = []
        for start in range(0, len(examples), batch_size):
            batch = processor.batch(examples[start : start + batch_size])
            parts.append(processor.error(run(processor.asked(batch)), batch))
        return np.concatenate(parts)[:, np.newaxis]

    def examine(
        self, run: Run, examples: Sequence[Example], processor: Generator, *, batch_size: int = 1
    ) -> np.ndarray:
        """The same, and the features of a generated picture and of the row's own: [rows, 1 + 2 · features]."""
        error = self.predict(run, examples, processor, batch_size=batch_size)
        if self._features is None:
            return error
        made, real = [], []
        for start in range(0, len(examples), batch_size):
            some = examples[start : start + batch_size]
            starts = processor.starts([example[SEED] for example in some])
            made.append(processor.made(run, starts, processor.told(some).get(LABEL)))
            real.append(processor.pictures(some))
        return np.hstack([error, *(self._features.of(np.concatenate(each)) for each in (made, real))])

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """Unused, float64 of shape [rows]: the predictions hold all that is scored."""
        return np.zeros(len(examples))

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """The inverse of the mean squared error in decibels; of generated pictures also the negative Fréchet distance
        from the rows' own.
        """
        error = max(float(predictions[:, 0].mean()), np.finfo(np.float64).tiny)
        found = {self._method.metric: float(-10 * np.log10(error))}
        if predictions.shape[1] > 1:
            found[FRECHET] = -frechet.distance(*np.split(predictions[:, 1:], 2, axis=1))
        return found

    def agree(self, predictions: np.ndarray, others: np.ndarray) -> None:
        """None: predictions are errors, not choices."""

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """The mean squared error; the distance, of how many pictures, and by what net."""
        averages = {"squared_error": float(predictions[:, 0].mean())}
        told = {"rows": len(predictions), "averages": averages, "classes": []}
        if predictions.shape[1] == 1:
            return told
        averages["frechet_distance"] = -self.score(predictions, references, contract)[FRECHET]
        return {**told, "features_sha256": self.costly_metrics[FRECHET]}

    def inferences(self, contract: Contract) -> int:
        """Inferences per picture."""
        return self.load_processor(None, contract).inferences

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """No input to prepare: generation starts from random numbers."""
        return {"kind": "arrays", "columns": []}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """How random numbers become a picture."""
        told = {LABEL: LABEL} if contract.labels else {}
        return {**self.load_processor(None, contract).decoding(), **told}

    def longest(self, contract: Contract) -> dict[str, int]:
        """Nothing besides the batch.

        Raises:
            InputError: An autoencoder's graph takes pictures or latents, as many of each as there are.
        """
        if self.generation.method == "autoencoder":
            message = f"profile: must leave shapes free for {self.name} by an autoencoder, got static_shapes"
            raise InputError(message, "a profile of a CPU")
        return {}

    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`, of one inference."""
        import torch

        sent = processor.sample([examples[0], examples[-1]])
        inputs = {name: torch.from_numpy(value) for name, value in sent.items()}
        dynamic = {name: {0: processor.free.get(name, "batch")} for name in inputs}
        return [Graph("model", model, inputs, dynamic, processor.outputs, prefix="model.")]

    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        """One inference of a picture that is made, for each example."""
        return [processor.requests(example) for example in examples]

    def stateful_requests(self, examples: Sequence[Example], processor: Any, run: Run) -> list[Batch]:
        """One inference of each example's own picture, which goes through all of the model."""
        return [processor.sample([example]) for example in examples]


def _shape(row: Row, pictures: Pictures) -> list[int]:
    return list(pictures.kept(medium.source(row["image"])).shape)
