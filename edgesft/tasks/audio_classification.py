"""Audio classification: one label for one sound."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data.media.audio import Reader
from edgesft.data.media.sounds import Sounds
from edgesft.errors import Problem
from edgesft.spec.media import AudioSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.augmentation import distortion
from edgesft.tasks.base import Batch, Example, Graph
from edgesft.tasks.classes import LABELS
from edgesft.tasks.contract import Contract
from edgesft.tasks.media import INPUT, MediaClasses
from edgesft.tasks.models import checkpoint, extractor, preprocessor
from edgesft.tasks.models.onnx_file import OnnxFile
from edgesft.tasks.models.source import Source

if TYPE_CHECKING:
    from torch import nn

    from edgesft.tasks.audio.logmel import LogMel

SAMPLED = frozenset(
    (
        "wav2vec2",
        "hubert",
        "wavlm",
        "unispeech",
        "unispeech-sat",
        "sew",
        "sew-d",
        "data2vec-audio",
        "wav2vec2-conformer",
    )
)
"""Model types that read samples."""

SAMPLES = 2
"""Axes of what a model that reads samples takes: rows and samples."""

OUTSIDE = "none"
"""`in_graph` where the device makes the features."""

INSIDE = ("in_graph", "frames", "mean", "std")
"""Settings of features that no device makes."""


class Listening:
    """How sounds are read, by the contract; kept are samples."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.input: str = options[INPUT]
        self.spec = AudioSpec(**{name: options[name] for name in AudioSpec.model_fields if name in options})
        self.reader = Reader(self.spec.model_dump())
        self._training = Reader({**self.spec.model_dump(), "in_graph": "none"})

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the file by which transformers would read sounds alike, where it can: it knows no bands like ours."""
        if said := extractor.to_json(self.spec):
            (Path(folder) / preprocessor.FILE).write_text(json.dumps(said, indent=1, sort_keys=True) + "\n", "utf-8")

    def kept(self, value: Any) -> np.ndarray:
        """float32 of shape [samples]."""
        return self.reader.samples(value)

    def fed(self, kept: np.ndarray) -> np.ndarray:
        """float32, features of the shape that models take, or [rows, samples]; what was fed already stays."""
        return self._training.feed(kept) if kept.ndim == SAMPLES else kept

    def sent(self, kept: np.ndarray) -> np.ndarray:
        """What the device sends: the same, or samples where the model's file makes features of them."""
        return self.reader.feed(kept) if kept.ndim == SAMPLES else kept


class AudioClassification(MediaClasses):
    """One label for one sound, by a transformers model or the user's own module.

    A row has `audio`, a path, and `label`. The same code (`edgesft.data.media.audio`) preprocesses sounds in training
    and on the device, as the contract's options say. The user's module gets log-mel bands of shape [rows, 1, frames,
    bands], or the samples. Audio spectrogram transformers get Kaldi's features of shape [rows, frames, bands], which
    the model's file computes.
    """

    name: ClassVar[str] = "audio-classification"
    roles: tuple[str, ...] = ("audio", "label")
    training: frozenset[str] = frozenset(("shift", "snr", "mixup", "masking", "class_weights"))
    kind: ClassVar[str] = "audio-classification"
    heads: ClassVar[str] = "MODEL_FOR_AUDIO_CLASSIFICATION_MAPPING_NAMES"
    input: ClassVar[str] = "input_values"
    advice: ClassVar[str] = "a wav2vec2, hubert, wavlm or audio spectrogram transformer"
    medium = Sounds()
    spec = AudioSpec

    def own_options(self, folder: Path, config: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """As its `preprocessor_config.json` says: samples, or Kaldi's features of them."""
        return extractor.read(checkpoint.read_json(folder / preprocessor.FILE), config)

    def implied(self, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """The same, but that a file of ours that makes features of samples itself takes samples."""
        found, role = super().implied(source, options), self.medium.role
        inside = found[role].get("in_graph", OUTSIDE) != OUTSIDE and "in_graph" not in options.get(role, {})
        if not inside or not isinstance(source, OnnxFile):
            return found
        axes = [len(shape) for shape in source.inputs.values()]
        return {**found, role: _sent(found[role])} if axes == [SAMPLES] else found

    def misfits(self, config: Mapping[str, Any], contract: Contract) -> list[Problem]:
        """Features of its own, or others than its own."""
        model_type, options = config.get("model_type"), contract.options
        if model_type == extractor.SPECTROGRAMS:
            own = extractor.read({}, config)
            return [
                Problem(f"data.audio.{name}: must be {own[name]} for this model, got {options[name]}", "leave it out")
                for name in extractor.FIXED
                if options[name] != own[name]
            ]
        found = []
        if model_type not in SAMPLED:
            message = f"model: must read samples or Kaldi's features, got model_type {model_type!r}, which does not"
            found.append(Problem(message, self.advice))
        if options["features"] != "none":
            message = (
                "data.audio.features: must be none for a transformers model that reads samples, "
                f"got {options['features']}"
            )
            found.append(Problem(message, "leave it out"))
        return found

    def unlike(self, source: OnnxFile, contract: Contract) -> list[Problem]:
        """Features that the file is to make: nothing is built into it."""
        if contract.options.get("in_graph", OUTSIDE) == OUTSIDE:
            return []
        message = (
            f"data.audio.in_graph: must be {OUTSIDE} for an existing ONNX file, got {contract.options['in_graph']}"
        )
        return [Problem(message, "features: none where the file itself takes samples")]

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """A sound's samples or bands, as they were read in training."""
        steps = {name: contract.options[name] for name in AudioSpec.model_fields if name in contract.options}
        return {"kind": "audio", "columns": ["audio"], **_sent(steps)}

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """The model, which also takes samples where its file is to make features of them."""
        return _also_samples(super().load_model(source, contract, trust_remote_code=trust_remote_code), contract)

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The same of the architecture alone."""
        return _also_samples(super().build_model(config, contract), contract)

    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """The model, where its file is to make features with what makes them before it."""
        graphs = super().graphs(model, processor, examples)
        if processor.spec.in_graph == OUTSIDE:
            return graphs
        from edgesft.tasks.audio.logmel import Fronted, LogMel

        front, name = LogMel(processor.spec.model_dump()), processor.input
        return [replace(graph, module=Fronted(front, graph.module, name), prefix="model.") for graph in graphs]

    def load_processor(self, source: Any, contract: Contract) -> Listening:
        """What reads sounds as the contract says."""
        return Listening(contract.options)

    def disturb(
        self, examples: Sequence[Example], processor: Listening, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """Samples moved in time, and in noise."""
        name = processor.input
        samples = np.stack([example[name] for example in examples])
        if samples.ndim != SAMPLES:
            return examples
        if isinstance(settings.shift, tuple) and settings.shift:
            samples = distortion.delayed(samples, settings.shift[-1], rng)
        if settings.snr:
            samples = distortion.drowned(samples, settings.snr, rng)
        return [{**example, name: each} for example, each in zip(examples, samples, strict=True)]

    def augment(
        self,
        batch: Batch,
        processor: Listening,
        settings: ResolvedTraining,
        rng: np.random.Generator,
        neighbours: np.ndarray | None = None,
    ) -> Batch:
        """Sounds with some of another one in them, and without some of their times and bands."""
        found = dict(batch)
        if isinstance(settings.mixup, float) and settings.mixup:
            found = distortion.mixed(found, settings.mixup, rng, LABELS)
        if settings.masking and found[processor.input].ndim > SAMPLES:
            found[processor.input] = distortion.masked(found[processor.input], settings.masking, rng)
        return found


def _sent(options: Mapping[str, Any]) -> dict[str, Any]:
    """How a device reads sounds: as samples, where the model's file makes the features."""
    found = {name: value for name, value in options.items() if name not in INSIDE}
    inside = options.get("in_graph", OUTSIDE) != OUTSIDE
    return {**found, "features": "none", "normalise": False} if inside else found


def _also_samples(model: nn.Module, contract: Contract) -> nn.Module:
    """The model itself: what is sent as samples becomes features before it sees them."""
    if contract.options.get("in_graph", OUTSIDE) != OUTSIDE:
        from edgesft.tasks.audio.logmel import LogMel

        model.register_forward_pre_hook(Before(LogMel(contract.options), contract.options[INPUT]), with_kwargs=True)
    return model


@dataclass(frozen=True)
class Before:
    """A hook that makes features of samples."""

    front: LogMel
    name: str

    def __call__(self, module: nn.Module, args: tuple[Any, ...], inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """What the model is called with."""
        from edgesft.tasks.audio.logmel import made

        return args, made(self.front, self.name, inputs)
