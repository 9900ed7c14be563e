"""Speech on ONNX Runtime: a text in, a sound out, and what each part of that took."""

from __future__ import annotations

import time
import wave
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.errors import InputError
from edgesft.measure import run_folder
from edgesft.tasks.audio.script import Script
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_to_speech import FRAMES, MEL, OUTPUTS, SPEAKER, TEMPO, TOKENS, TextToSpeech

if TYPE_CHECKING:
    import onnxruntime

CPU = "CPUExecutionProvider"

SLOWEST, FASTEST = 0.25, 4.0
"""Tempos that are still speech."""

FULL = 32767
"""Full scale of 16 bits."""


@dataclass(frozen=True)
class Spoken:
    """A sound that says a text.

    Attributes:
        samples: float32 of shape [samples].
        rate: Samples a second.
        skipped: Symbols of the text that were left out, for no training row had them.
        model_ns: What the model took.
        vocoder_ns: What making a sound of its bands took.
    """

    samples: np.ndarray
    rate: int
    skipped: int
    model_ns: int
    vocoder_ns: int

    @property
    def seconds(self) -> float:
        """How long it sounds."""
        return len(self.samples) / self.rate

    @property
    def model_factor(self) -> float:
        """What the model took as a share of that."""
        return self.model_ns / 1e9 / self.seconds

    @property
    def real_time_factor(self) -> float:
        """What the whole took as a share of that."""
        return (self.model_ns + self.vocoder_ns) / 1e9 / self.seconds

    def save(self, path: str | Path) -> None:
        """Writes a WAV file of 16 bits; what is louder than full scale is cut."""
        levels = np.rint(np.clip(self.samples, -1, 1) * FULL).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate)
            file.writeframes(levels.tobytes())

    def to_json(self) -> dict[str, Any]:
        """JSON form, without the samples."""
        times = {"model_ns": self.model_ns, "vocoder_ns": self.vocoder_ns}
        factors = {"model_factor": self.model_factor, "real_time_factor": self.real_time_factor}
        return {"seconds": self.seconds, "rate": self.rate, "skipped": self.skipped, **times, **factors}


@dataclass(frozen=True)
class Voice:
    """A run's model.

    Attributes:
        folder: That the run left.
        contract: Of its model.
        threads: That it runs on.
    """

    folder: Path
    contract: Contract
    threads: int = 1

    @classmethod
    def of(cls, folder: Path, threads: int = 1) -> Voice:
        """The model of a folder.

        Raises:
            InputError: It holds none, or one that says nothing.
        """
        return cls(folder, run_folder.open_run(folder, TextToSpeech)[0], threads)

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who may speak; empty where there is but one voice."""
        return tuple(self._script.speakers)

    @cached_property
    def _script(self) -> Script:
        return Script(self.contract.options)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self.threads
        settings.log_severity_level = 3
        return onnxruntime.InferenceSession(str(self.folder / run_folder.MODEL), settings, providers=[CPU])

    def say(self, text: str, speaker: str | None = None, tempo: float = 1.0) -> Spoken:
        """Says a text.

        Args:
            text: What to say.
            speaker: Who says it; None where there is but one voice.
            tempo: How many times as fast as usual, 0.25 to 4.

        Raises:
            InputError: The text is blank or has symbols that are refused, there is no such speaker, or the tempo is
                none.
        """
        if not SLOWEST <= tempo <= FASTEST:
            raise InputError(f"tempo must be from {SLOWEST:g} to {FASTEST:g}, got {tempo:g}")
        script, session = self._script, self._session
        (tokens, skipped), number = script.tokens(text), script.speaker(speaker)
        feeds = {TOKENS: tokens[np.newaxis], TEMPO: np.asarray([tempo], np.float32)}
        if number is not None:
            feeds[SPEAKER] = np.asarray([number], np.int64)
        began = time.perf_counter_ns()
        outputs = dict(zip(OUTPUTS, session.run(list(OUTPUTS), feeds), strict=True))
        said = time.perf_counter_ns()
        samples = script.vocoder.sound(outputs[MEL][0, : outputs[FRAMES][0]])
        return Spoken(samples, script.rate, skipped, said - began, time.perf_counter_ns() - said)
