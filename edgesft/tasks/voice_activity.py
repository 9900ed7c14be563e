"""Voice activity: of each frame of sound, whether somebody speaks in it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data.media import audio, medium
from edgesft.data.media.sounds import Streams
from edgesft.data.rows import numbered
from edgesft.errors import Problem
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.augmentation import mixing
from edgesft.tasks.base import Batch, Example, Row, Run
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import classification
from edgesft.tasks.streaming import LABELS, SAMPLES, Cutting, Streaming

if TYPE_CHECKING:
    import torch

BEYOND = -1
"""In place of a label behind a sound's end."""

THRESHOLD = "threshold"
"""Option of the contract: the probability from which somebody speaks."""

USUAL = 0.5
"""The threshold where no rows have told a better one."""


class VoiceActivity(Streaming):
    """Whether somebody speaks, by a model that returns a probability for one frame after another.

    A row has `audio`, a path, and `speech`, the parts with speech: a list, or its JSON, of pairs of seconds; `[]` if
    nobody speaks. The label of a frame is speech if half of its last `hop` samples, which are new in it, are speech.
    """

    name: ClassVar[str] = "voice-activity"
    roles: tuple[str, ...] = ("audio", "speech")
    metrics: tuple[str, ...] = ("auroc",)
    labels: ClassVar[tuple[str, ...]] = ("speech",)
    medium = Streams()
    heard: ClassVar[str] = "audio"
    whole: ClassVar[bool] = False

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits; speech that is no list of pairs; splits in which nobody speaks."""
        found = []
        for name, rows in splits.items():
            if not rows:
                found.append(Problem(f"data.{name}: must hold at least one row, got none", "check the file"))
                continue
            spoken = [_spoken(row["speech"]) for row in rows]
            if None in spoken:
                number, row = next(itertools.islice(numbered(rows), spoken.index(None), None))
                got = row["speech"]
                message = f"data.{name}: speech must be pairs of seconds, from and to, got {got!r} in row {number}"
                found.append(Problem(message, "[[0.5, 1.2], [3, 3.4]], or [] where nobody speaks"))
            elif not any(spoken):
                found.append(Problem(f"data.{name}: somebody must speak in one of {len(rows)} rows, got nobody"))
        return found

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """The probability, and from which one on it is speech."""
        threshold = contract.options.get(THRESHOLD, USUAL)
        return {"kind": "probability", "output": contract.options["output"], "threshold": threshold}

    def encode(self, rows: Sequence[Row], processor: Cutting, contract: Contract) -> list[Example]:
        """Samples at the model's rate, and for each frame 1 where somebody speaks.

        Raises:
            InputError: A file cannot be read.
        """
        found = []
        for row in rows:
            samples = _samples(row["audio"], processor.rate)
            example = {SAMPLES: samples}
            if "speech" in row:
                example[LABELS] = _frames(_spoken(row["speech"]) or [], len(samples), processor)
            found.append(example)
        return found

    def collate(self, examples: Sequence[Example], processor: Cutting) -> Batch:
        """All frames of the sounds, and their labels, `BEYOND` behind the ends."""
        longest = max(len(example[SAMPLES]) for example in examples)
        count = processor.frames.count(longest, whole=self.whole)
        sounds = mixing.stacked([example[SAMPLES] for example in examples], longest)
        return {processor.input: processor.frames.cut(sounds, count), LABELS: self.references(examples)}

    def disturb(
        self, examples: Sequence[Example], processor: Cutting, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """Pieces of the sounds, of whole frames."""
        hop, most = processor.frames.hop, round(self.spec.seconds * processor.rate / processor.frames.hop)
        found = []
        for example in examples:
            start = int(rng.integers(max(0, len(example[LABELS]) - most), endpoint=True))
            part = example[SAMPLES][start * hop : (start + most) * hop]
            found.append({**example, SAMPLES: part, LABELS: example[LABELS][start : start + most]})
        return found

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean binary cross entropy of the probabilities of all frames."""
        from torch.nn.functional import binary_cross_entropy

        inside = labels != BEYOND
        found = self.logits(outputs).float().reshape(labels.shape)[inside]
        return binary_cross_entropy(found.clamp(1e-6, 1 - 1e-6), labels[inside].float())

    def logits(self, outputs: Any) -> torch.Tensor:
        """Probabilities, one a frame."""
        answers: torch.Tensor = outputs[self._output]
        return answers

    def divergence(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        """Mean binary cross entropy of a student's probabilities against its teacher's."""
        from torch.nn.functional import binary_cross_entropy

        return binary_cross_entropy(ours.float().clamp(1e-6, 1 - 1e-6), theirs.float())

    def predict(self, run: Run, examples: Sequence[Example], processor: Cutting, *, batch_size: int = 1) -> np.ndarray:
        """The probability of each frame, float32 of shape [rows, frames], 0 behind a sound's end."""
        most = max(processor.frames.count(len(example[SAMPLES]), whole=self.whole) for example in examples)
        found, size = np.zeros((len(examples), most), np.float32), processor.most or batch_size
        for start in range(0, len(examples), size):
            lengths = [len(example[SAMPLES]) for example in examples[start : start + size]]
            sounds = mixing.stacked([each[SAMPLES] for each in examples[start : start + size]], max(lengths))
            count = processor.frames.count(max(lengths), whole=self.whole)
            for number, (_, outputs) in enumerate(processor.steps(run, sounds, count)):
                found[start : start + len(sounds), number] = outputs[processor.output].reshape(len(sounds))
            for row, length in enumerate(lengths, start):
                found[row, processor.frames.count(length, whole=self.whole) :] = 0
        return found

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """1 where somebody speaks, 0 where not, int64 of shape [rows, frames], `BEYOND` behind a sound's end."""
        most = max(len(example[LABELS]) for example in examples)
        found = np.full((len(examples), most), BEYOND, np.int64)
        for row, example in zip(found, examples, strict=True):
            row[: len(example[LABELS])] = example[LABELS]
        return found

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """How often a frame with speech has a higher probability than one without, over the frames of all rows."""
        inside = references != BEYOND
        found = classification.auc(_answered(predictions, references)[inside], references[inside] == 1)
        return {"auroc": 0.5 if found is None else found}

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """What the threshold misses and takes for speech, None of where there is none of it; and how far answers lie
        behind.
        """
        threshold, hop = contract.options.get(THRESHOLD, USUAL), contract.options["hop"]
        silent, spoken = _parted(predictions, references)
        missed = float((spoken < threshold).mean()) if len(spoken) else None
        false = float((silent >= threshold).mean()) if len(silent) else None
        averages = {"threshold": threshold, "missed": missed, "false_alarms": false}
        averages |= {"hop_ms": hop * 1000 / contract.options["rate"], "spoken": len(spoken) / (references >= 0).sum()}
        return {"rows": len(predictions), "averages": averages, "classes": []}

    def calibrate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """The threshold at which the share of speech that is missed and that of the rest taken for it are least."""
        silent, spoken = (np.sort(each) for each in _parted(predictions, references))
        candidates = np.unique(np.round(spoken, 3))
        below = np.searchsorted(spoken, candidates) / max(1, len(spoken))
        above = 1 - np.searchsorted(silent, candidates) / max(1, len(silent))
        return {THRESHOLD: float(candidates[(below + above).argmin()])} if len(candidates) else {}


def _spoken(value: Any) -> list[tuple[float, float]] | None:
    """Pairs of seconds; None where it is none."""
    try:
        pairs = json.loads(value) if isinstance(value, str) else value
        found = [(float(start), float(end)) for start, end in pairs]
    except (TypeError, ValueError):
        return None
    return found if all(0 <= start < end < np.inf for start, end in found) else None


def _samples(value: Any, rate: int) -> np.ndarray:
    """A sound at a rate, float32, channels averaged; an array is at the rate."""
    source = medium.source(value)
    if isinstance(source, np.ndarray):
        return source.astype(np.float32)
    try:
        found, own = audio.decode(source)
    except Exception as error:  # Readers raise whatever a damaged file leads them to.
        raise medium.refused(value, error) from error
    return audio.resampled(found.mean(axis=1), own, rate).astype(np.float32)


def _frames(spoken: Sequence[tuple[float, float]], samples: int, processor: Cutting) -> np.ndarray:
    """1 for each frame half of whose new samples are speech, int64."""
    hop = processor.frames.hop
    heard = np.zeros(processor.frames.count(samples, whole=False) * hop, bool)
    for start, end in spoken:
        heard[round(start * processor.rate) : round(end * processor.rate)] = True
    return (heard.reshape(-1, hop).mean(1) >= 0.5).astype(np.int64)


def _answered(predictions: np.ndarray, references: np.ndarray) -> np.ndarray:
    """The probabilities; what is no number is as wrong as can be."""
    return np.where(np.isnan(predictions), references != 1, predictions)


def _parted(predictions: np.ndarray, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of frames without speech, and of those with it."""
    predictions = _answered(predictions, references)
    return predictions[references == 0], predictions[references == 1]
