"""Text to speech: the mel bands of a voice that says a text, all at once; a search makes the sound of them.

The user's model takes `tokens`, int64 [rows, symbols], each row between two edges (1) and filled up with 0; `tempo`,
float32 [rows], how many times as fast as usual; and `speaker`, int64 [rows], where rows have speakers. It gives `mel`,
[rows, frames, bands], natural logarithms of power, and `frames`, int64 [rows]. While it learns it is also given `mel`
and `frames` of the sound, and no tempo; then its `mel` has the sound's own frames, and it gives `durations` and
`log_durations`, [rows, symbols], the frames that each symbol lasts in the sound and the logarithms that it says itself;
and perhaps `average`, [rows, frames, bands], what its symbols sound like. `edgesft.tasks.alignment` has what finds
durations and unrolls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from edgesft.data import checks
from edgesft.data.hashing import identity
from edgesft.data.media.sounds import Readings
from edgesft.data.rows import numbered
from edgesft.errors import InputError, Problem
from edgesft.spec.media import SpeechSpec
from edgesft.tasks.audio import script
from edgesft.tasks.audio.script import EDGE, FIRST, Script
from edgesft.tasks.base import Batch, Example, Graph, Row, Run, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.media import meaningless
from edgesft.tasks.metrics import cepstrum
from edgesft.tasks.models import factory
from edgesft.tasks.models.factory import Factory
from edgesft.tasks.models.source import Source

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgesft.spec.recipe import RecipeSpec

TOKENS, TEMPO, SPEAKER = "tokens", "tempo", "speaker"
MEL, FRAMES = "mel", "frames"
LABELS = "labels"

OUTPUTS = (MEL, FRAMES)

NS = 1_000_000_000

SHOWN = 3
"""Rows that a message names."""


class TextToSpeech(Task):
    """Speech from text, by the user's own acoustic model, which predicts mel bands. Griffin-Lim turns them into sound.

    A row has `audio`, a path; `text`, what is said in it; and optionally `speaker`, a name. Rows are identified by
    their sounds: two recordings of one text are two rows.

    The prediction of a row has three figures: the negative mel-cepstral distortion in decibels against its recording,
    the shorter of the two durations as a share of the longer, and the duration in seconds.
    """

    name: ClassVar[str] = "text-to-speech"
    roles: tuple[str, ...] = ("audio", "text")
    optional: tuple[str, ...] = (SPEAKER,)
    metrics: tuple[str, ...] = ("neg_mcd", "length")
    max_grad_norm: ClassVar[float] = 5.0
    patience: ClassVar[float] = 3.0
    learning_rates: ClassVar[tuple[float, ...]] = (1e-3, 2e-3)
    medium = Readings()

    def __init__(self, speech: SpeechSpec | None = None) -> None:
        """Takes how texts are read and sounds predicted."""
        self.spec = speech or SpeechSpec()
        self._said = self.spec.model_dump(mode="json")

    @classmethod
    def of_recipe(cls, recipe: RecipeSpec, base: Path) -> Self:
        """With what the recipe says of speech."""
        return cls(recipe.data.speech)

    @classmethod
    def of_contract(cls, contract: Contract, columns: Mapping[str, str]) -> Self:
        """With what the contract says of speech."""
        return cls(SpeechSpec(**{name: contract.options[name] for name in SpeechSpec.model_fields}))

    def text(self, row: Row) -> str:
        """What its file's content alone has: many recordings say the same."""
        return identity(row["audio"])

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits, blank and long texts, speakers that some rows lack or train does not have, unseen symbols."""
        found, heard = list[Problem](), {_speaker(row) for row in _learned(splits)}
        for name, rows in splits.items():
            if not rows:
                found.append(Problem(f"data.{name}: must hold at least one row, got none", "check the file"))
            found += checks.texts(name, rows, "text")
            if lacking := [number for number, row in numbered(rows) if not _speaker(row) and heard != {None}]:
                message = f"data.{name}: speaker must be named in all rows or in none, but is not in "
                found.append(Problem(message + checks.row_numbers(lacking), "complete or remove them"))
            elif strangers := {str(_speaker(row)) for row in rows} - {*map(str, heard)}:
                message = f"data.{name}: has speakers that train lacks: {script.quoted(strangers)}"
                found.append(Problem(message, "add training rows of theirs, or remove their rows"))
        return found or self._unsayable(splits)

    def _unsayable(self, splits: Mapping[str, Sequence[Row]]) -> list[Problem]:
        """Texts that are too long, or have symbols that are to be refused."""
        found, known = list[Problem](), set(self._symbols(_learned(splits)))
        for name, rows in splits.items():
            of = [(number, script.units(row["text"], self._said)) for number, row in numbered(rows)]
            if long := [number for number, units in of if len(units) > self.spec.longest]:
                message = (
                    f"data.{name}: text must be of at most {self.spec.longest} {self.spec.units}, but is longer in "
                )
                found.append(Problem(message + checks.row_numbers(long), "a row for each sentence"))
            if self.spec.unseen == "skip" and (none := [number for number, units in of if known.isdisjoint(units)]):
                message = f"data.{name}: text must have a symbol that a text of train has, but has none in "
                found.append(Problem(message + checks.row_numbers(none), "remove those rows"))
        if self.spec.unseen == "refuse":
            for name, (symbols, count) in self._unseen(splits).items():
                message = f"data.{name}: {count} texts have symbols that no text of train has: {script.quoted(symbols)}"
                hint = "add training rows with them, remove those rows, or data.speech.unseen=skip to leave them out"
                found.append(Problem(message, hint))
        return found

    def warnings(self, splits: Mapping[str, Sequence[Row]]) -> list[str]:
        """Symbols that are left out."""
        return [
            f"data.{name}: {count} texts have symbols that no text of train has, which are left out: "
            f"{script.quoted(symbols)}"
            for name, (symbols, count) in self._unseen(splits).items()
        ]

    def _unseen(self, splits: Mapping[str, Sequence[Row]]) -> dict[str, tuple[set[str], int]]:
        """By split symbols that train lacks, and how many texts have some."""
        known, found = set(self._symbols(_learned(splits))), dict[str, tuple[set[str], int]]()
        for name, rows in splits.items():
            strange = [new for row in rows if (new := set(script.units(row["text"], self._said)) - known)]
            if strange:
                found[name] = set().union(*strange), len(strange)
        return found

    def _symbols(self, rows: Sequence[Row]) -> list[str]:
        return sorted({symbol for row in rows for symbol in script.units(row["text"], self._said)})

    def read_alike(self, one: Source, other: Source, options: Mapping[str, Any]) -> bool:
        """The recipe alone says how texts are read."""
        return True

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """How texts are read, which symbols and speakers there are, and how bands become a sound."""
        speakers = sorted({name for row in train if (name := _speaker(row))})
        return Contract(self.name, (), {**self._said, "symbols": self._symbols(train), "speakers": speakers})

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """A model that is not a factory's; missing modules or weights."""
        if not isinstance(source, Factory):
            message = f"model: must be {{factory: module:function}} for the task {self.name}, got a name"
            return [Problem(message, factory.WHERE)]
        return [*source.problems(), *meaningless(source)]

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """Nothing: a factory's model is not checked."""
        return []

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """The factory's model with its weights.

        Raises:
            InputError: It is none, or does not take the contract's symbols and speakers or give its bands.
        """
        from edgesft.tasks.audio import acoustic
        from edgesft.tasks.models import own

        if not isinstance(source, Factory):
            raise InputError(self.check_model(source, contract))
        model, options = own.load(source, acoustic.Acoustic), contract.options
        acoustic.require(model, len(options["symbols"]) + FIRST, len(options["speakers"]), options["mels"])
        return model

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The factory's model."""
        from edgesft.tasks.audio import acoustic
        from edgesft.tasks.models import own

        return acoustic.Acoustic(own.OwnConfig(config["factory"], config["path"], config["arguments"]))

    def load_processor(self, source: Source, contract: Contract) -> Script:
        """What reads texts and sounds as the contract says."""
        return Script(contract.options)

    def encode(self, rows: Sequence[Row], processor: Script, contract: Contract) -> list[Example]:
        """Symbols of texts, the speaker where there are some, and as `labels` the bands of the sounds.

        Raises:
            InputError: A file cannot be read; sounds that have fewer frames than their texts have symbols.
        """
        found, short = list[Example](), list[str]()
        for number, row in numbered(rows):
            example = {TOKENS: processor.tokens(row["text"])[0]}
            if processor.speakers:
                example[SPEAKER] = np.asarray(processor.speaker(_speaker(row)), np.int64)
            if "audio" in row:
                example[LABELS] = processor.mel(row["audio"])
                if len(example[LABELS]) < len(example[TOKENS]):
                    short.append(f"{row['text'][:40]!r} in row {number}")
            found.append(example)
        if short:
            message = (
                f"audio: must last {processor.seconds(1):g} s for each symbol of its text and both of its ends, but "
            )
            raise InputError(f"{message}{len(short)} do not: {', '.join(short[:SHOWN])}", "remove those rows")
        return found

    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        """Padded symbols and bands; the bands are labels, and what durations are found in."""
        batch = _asked(examples)
        if LABELS in examples[0]:
            mels = [example[LABELS] for example in examples]
            longest = max(map(len, mels))
            batch[MEL] = np.stack([np.pad(mel, ((0, longest - len(mel)), (0, 0))) for mel in mels])
            batch[FRAMES] = np.asarray([len(mel) for mel in mels], np.int64)
            batch[LABELS] = batch[MEL]
        return batch

    def length(self, example: Example) -> int:
        """Frames."""
        return len(example.get(LABELS, example[TOKENS]))

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Of frames and durations (`acoustic.criterion`)."""
        from edgesft.tasks.audio import acoustic

        return acoustic.criterion(outputs, labels)

    def logits(self, outputs: Any) -> torch.Tensor:
        """Bands, shape [rows, frames, bands]."""
        mel: torch.Tensor = outputs[MEL]
        return mel

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """Bands and logarithms of durations (`acoustic.told`)."""
        from edgesft.tasks.audio import acoustic

        return acoustic.told(outputs, batch[TOKENS])

    def divergence(self, ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
        """Of both (`acoustic.divergence`)."""
        from edgesft.tasks.audio import acoustic

        return acoustic.divergence(ours, theirs)

    def predict(self, run: Run, examples: Sequence[Example], processor: Script, *, batch_size: int = 1) -> np.ndarray:
        """What each row's sound is worth, float64 of shape [rows, 3]; the first two in the order of `metrics`."""
        found = []
        for start in range(0, len(examples), batch_size):
            some = examples[start : start + batch_size]
            outputs = run({**_asked(some), TEMPO: np.ones(len(some), np.float32)})
            for example, mel, count in zip(some, outputs[MEL], outputs[FRAMES], strict=True):
                said, heard = mel[:count], example[LABELS]
                lengths = sorted((len(said), len(heard)))
                apart = cepstrum.distortion(said, heard)
                found.append((-apart, lengths[0] / lengths[1], processor.seconds(len(said))))
        return np.asarray(found)

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """Unused, float64 of shape [rows]: the predictions are figures already."""
        return np.zeros(len(examples))

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """The mean of each figure over the rows."""
        return dict(zip(self.metrics, map(float, predictions[:, :2].mean(axis=0)), strict=True))

    def agree(self, predictions: np.ndarray, others: np.ndarray) -> None:
        """None: what a row's sound is worth names no one of several things."""

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """The distortion as it is usually told, that of the worst row, and how long sounds are."""
        apart, seconds = -predictions[:, 0], predictions[:, 2]
        averages = {"mcd": float(apart.mean()), "greatest_mcd": float(apart.max()), "seconds": float(seconds.mean())}
        return {"rows": len(predictions), "averages": averages, "classes": []}

    def period_ns(self, contract: Contract, predictions: np.ndarray) -> int:
        """How long what a request asks for sounds, on average."""
        return round(float(predictions[:, 2].mean()) * NS)

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """A text's symbols."""
        told = {name: contract.options[name] for name in ("units", "lower", "unseen", "longest", "symbols", "speakers")}
        columns = ["text", *([SPEAKER] if contract.options["speakers"] else [])]
        return {"kind": "symbols", "columns": columns, "tokens": TOKENS, **told, "edge": EDGE, "first": FIRST}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """A sound that has the bands."""
        steps = {name: contract.options[name] for name in ("rate", "frame", "hop", "mels", "low", "high", "iterations")}
        return {"kind": "mel", "output": MEL, "frames": FRAMES, **steps}

    def longest(self, contract: Contract) -> dict[str, int]:
        """None: how many frames there are follows from what the model says.

        Raises:
            InputError: Always: it is asked for where shapes must be fixed.
        """
        raise InputError("profile: must leave shapes free for text-to-speech, got static_shapes", "a profile of a CPU")

    def graphs(self, model: nn.Module, processor: Script, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`; rows and symbols vary, and frames as the model says."""
        import torch

        from edgesft.tasks.models.own import Own

        module = model.model if isinstance(model, Own) else model
        by_length = sorted(examples, key=lambda example: len(example[TOKENS]))
        sample = {**_asked([by_length[0], by_length[-1]]), TEMPO: np.ones(2, np.float32)}
        inputs = {name: torch.from_numpy(array) for name, array in sample.items()}
        dynamic = {name: {0: "batch"} for name in inputs} | {TOKENS: {0: "batch", 1: "symbols"}}
        return [Graph("model", module, inputs, dynamic, OUTPUTS)]

    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        """Each text at its usual tempo."""
        return [{**_asked([example]), TEMPO: np.ones(1, np.float32)} for example in examples]


def _learned(splits: Mapping[str, Sequence[Row]]) -> Sequence[Row]:
    """The rows of train; where a model answers rows of others, these, for its contract tells what it knows."""
    return splits.get("train", next(iter(splits.values()), ()))


def _asked(examples: Sequence[Example]) -> Batch:
    """Padded symbols, and speakers where there are some."""
    longest = max(len(example[TOKENS]) for example in examples)
    found = {TOKENS: np.stack([np.pad(each[TOKENS], (0, longest - len(each[TOKENS]))) for each in examples])}
    if SPEAKER in examples[0]:
        found[SPEAKER] = np.stack([each[SPEAKER] for each in examples])
    return found


def _speaker(row: Row) -> str | None:
    """Who speaks in a row; None where nobody is named."""
    name = row.get(SPEAKER)
    return None if name is None else str(name).strip() or None
