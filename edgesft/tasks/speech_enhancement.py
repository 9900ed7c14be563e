"""Speech enhancement: from speech in noise the speech alone, as it comes, frame by frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data.media.frames import Frames
from edgesft.data.media.sounds import Recordings
from edgesft.data.rows import numbered
from edgesft.errors import Problem
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.augmentation import mixing
from edgesft.tasks.base import Batch, Example, Row, Run
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import quality
from edgesft.tasks.streaming import LABELS, SAMPLES, Cutting, Streaming

if TYPE_CHECKING:
    import torch


class SpeechEnhancement(Streaming):
    """Speech without the noise around it, by the user's own module, which processes one frame after another.

    A row has `clean`, the path of the wanted output, and either `noisy`, the path of the input, or `noise`, the path of
    a sound that is added to the clean one: from `offset` seconds on, `snr` decibels below it.

    The prediction of a row is not the sound but its quality: SI-SDR, its gain over the SI-SDR of the noisy sound, and
    STOI.
    """

    name: ClassVar[str] = "speech-enhancement"
    roles: tuple[str, ...] = ("clean",)
    optional: tuple[str, ...] = ("noisy", "noise", "offset", "snr")
    metrics: tuple[str, ...] = ("si_sdr", "si_sdr_gain", "stoi")
    training: frozenset[str] = frozenset(("snr",))
    medium = Recordings()
    heard: ClassVar[str] = "noisy"
    whole: ClassVar[bool] = True

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits; rows that have neither what goes in nor what it is mixed of; frames that do not add up."""
        found = []
        for name, rows in splits.items():
            if not rows:
                found.append(Problem(f"data.{name}: must hold at least one row, got none", "check the file"))
            for number, row in numbered(rows):
                if wrong := mixing.wrong(row):
                    found.append(Problem(f"data.{name}: {wrong} in row {number}", "columns: {snr: snr_db, …}"))
                    break
        if not self.frames.even:
            got = f"window {self.spec.window}, hop {self.spec.hop}, taper {self.spec.taper}"
            message = f"data.frames: tapers must add up to the same for every sample, got {got}"
            found.append(Problem(message, f"hop: {self.spec.window // 2}"))
        return found

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """Frames that overlap and are added up."""
        steps = {name: contract.options[name] for name in ("window", "hop", "taper")}
        features, gain = contract.options["answers"], Frames(contract.options).gain
        return {"kind": "frames", "output": contract.options["output"], **steps, "features": features, "gain": gain}

    def encode(self, rows: Sequence[Row], processor: Cutting, contract: Contract) -> list[Example]:
        """Noisy samples at the model's rate, and under `labels` the clean ones.

        Raises:
            InputError: A file cannot be read, or a pair is of two lengths.
        """
        mixer = mixing.Mixer(processor.rate)
        found = []
        for row in rows:
            noisy, clean = mixer.pair(row)
            found.append({SAMPLES: noisy, LABELS: clean})
        return found

    def collate(self, examples: Sequence[Example], processor: Cutting) -> Batch:
        """All frames of the noisy sounds, and the clean sounds, silence behind their ends."""
        longest = max(len(example[SAMPLES]) for example in examples)
        noisy, clean = (mixing.stacked([each[name] for each in examples], longest) for name in (SAMPLES, LABELS))
        frames = processor.frames
        return {processor.input: frames.cut(noisy, frames.count(longest, whole=True)), LABELS: clean}

    def disturb(
        self, examples: Sequence[Example], processor: Cutting, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """Pieces of the sounds, with the noise of others at another ratio where there is to be noise."""
        most = round(self.spec.seconds * processor.rate)
        pieces = [mixing.piece(example, most, rng) for example in examples]
        return mixing.remixed(pieces, settings.snr, rng) if settings.snr else pieces

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean SI-SDR over the rows, negative."""
        from edgesft.tasks.audio import waveform

        sound = waveform.joined(self.frames, self.logits(outputs).float(), labels.shape[1])
        return -waveform.si_sdr(sound, labels).mean()

    def logits(self, outputs: Any) -> torch.Tensor:
        """Answers, a frame each, shape [rows, frames, *frame]."""
        answers: torch.Tensor = outputs[self._output]
        return answers

    def divergence(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        """Mean SI-SDR of a student's sounds against its teacher's, negative."""
        from edgesft.tasks.audio import waveform

        count = ours.shape[1] * self.frames.hop - self.frames.behind
        mine, taught = (waveform.joined(self.frames, each.float(), count) for each in (ours, theirs))
        return -waveform.si_sdr(mine, taught).mean()

    def predict(self, run: Run, examples: Sequence[Example], processor: Cutting, *, batch_size: int = 1) -> np.ndarray:
        """What each row's answer is worth, float64 of shape [rows, metrics], in the order of `metrics`."""
        found = []
        size = processor.most or batch_size
        for start in range(0, len(examples), size):
            some = examples[start : start + size]
            for example, sound in zip(some, self.enhanced(run, some, processor), strict=True):
                clean = example[LABELS]
                reached = quality.si_sdr(sound, clean)
                gain = reached - quality.si_sdr(example[SAMPLES], clean)
                found.append((reached, gain, quality.stoi(sound, clean, processor.rate)))
        return np.asarray(found)

    def enhanced(self, run: Run, examples: Sequence[Example], processor: Cutting) -> list[np.ndarray]:
        """What the model makes of sounds, frame by frame, each float32 of the sound's own length."""
        lengths = [len(example[SAMPLES]) for example in examples]
        noisy = mixing.stacked([example[SAMPLES] for example in examples], max(lengths))
        count = processor.frames.count(max(lengths), whole=True)
        shape = (len(noisy), *processor.frames.answered)
        answers = [outputs[processor.output].reshape(shape) for _, outputs in processor.steps(run, noisy, count)]
        sounds = processor.frames.joined(np.stack(answers, axis=1), max(lengths))
        return [sound[:length] for sound, length in zip(sounds, lengths, strict=True)]

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """Unused, float64 of shape [rows]: the predictions are figures already."""
        return np.zeros(len(examples))

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """The mean of each figure over the rows."""
        return dict(zip(self.metrics, map(float, predictions.mean(axis=0)), strict=True))

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """What the noisy sounds had, the least gain, and how far answers lie behind."""
        options = contract.options
        gains, per_ms = predictions[:, 1], options["rate"] / 1000
        averages = {"si_sdr_of_noisy": float((predictions[:, 0] - gains).mean()), "least_gain": float(gains.min())}
        times = {"hop_ms": options["hop"] / per_ms, "algorithmic_delay_ms": options["window"] / per_ms}
        return {"rows": len(predictions), "averages": {**averages, **times}, "classes": []}
