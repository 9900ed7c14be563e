"""Text to text (translation, data to text) by an encoder-decoder that generates token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from edgesft.errors import InputError, Problem
from edgesft.tasks.base import Batch, Example, Graph, Row, Run
from edgesft.tasks.contract import Contract
from edgesft.tasks.decoder import cache, conversation
from edgesft.tasks.decoder.cache import LOGITS, TOKENS
from edgesft.tasks.decoder.sequences import BLANKS, alike, padded, worth
from edgesft.tasks.decoder.writer import Writer
from edgesft.tasks.metrics import ngrams
from edgesft.tasks.models import checkpoint
from edgesft.tasks.models.source import Source
from edgesft.tasks.models.source import folder as local_folder
from edgesft.tasks.text import IGNORED, LABELS
from edgesft.tasks.text_generation import SAMPLE_PAST, SAMPLE_TOKENS, TextGeneration

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn

    from edgesft.spec.recipe import RecipeSpec

ENCODER = "encoder"
"""Name of the encoder's graph."""

TARGETS, TRUTH = "targets", "references"
"""All reference texts of an input: key in a merged row, and key in an example."""

KNOWN = ("mt5", "t5", "umt5")
"""Model types of transformers with the layout of T5."""

SAMPLE_SOURCE = 6
"""Tokens of the encoder's sample input; see `text_generation` for the decoder's."""

ANSWERED = 512
"""Rows, evenly spaced, for which an answer is generated when a model is scored, at one inference per token. The
likelihood is taken on all rows."""

BATCH = 32
"""Rows that a teacher generates answers for at once."""

LOOKED = 1000
"""Training rows from which is found out whether words are separated by blanks."""


class TextToText(TextGeneration):
    """Text from another text, by an encoder-decoder of transformers (T5 and relatives).

    A row has `input` and `target`. For evaluation, rows with the same input become one row with several references. The
    predictions of a row are the sum of the log-probabilities of its target tokens, the number of these tokens, how many
    of them are the most probable one, the number of characters of the generated answer (-1 where none was generated),
    and these characters.
    """

    name: ClassVar[str] = "text-to-text"
    roles: tuple[str, ...] = ("input", "target")
    metrics: tuple[str, ...] = ("log_likelihood", "token_accuracy", *ngrams.METRICS)
    training: frozenset[str] = frozenset()
    kind: ClassVar[str] = "text2text-generation"
    heads: ClassVar[str] = "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES"
    suits: ClassVar[str] = f"an encoder-decoder: {', '.join(KNOWN)}"
    known: ClassVar[tuple[str, ...]] = KNOWN
    side_graphs: ClassVar[tuple[str, ...]] = (ENCODER,)

    def __init__(self) -> None:
        super().__init__(self.roles)

    @classmethod
    def of_recipe(cls, recipe: RecipeSpec, base: Path) -> Self:
        """The same for every recipe."""
        return cls()

    @classmethod
    def of_contract(cls, contract: Contract, columns: Mapping[str, str]) -> Self:
        """The same for every contract."""
        return cls()

    def text(self, row: Row) -> str:
        """What is read."""
        return str(row["input"])

    def texts(self, row: Row) -> Sequence[str]:
        """Input and target."""
        return str(row["input"]), str(row["target"])

    def merge_references(self, rows: Sequence[Row]) -> Sequence[Row]:
        """One row per input, with all its targets."""
        found: dict[str, dict[str, Any]] = {}
        for row in rows:
            found.setdefault(str(row["input"]), {**row, TARGETS: []})[TARGETS].append(str(row["target"]))
        return list(found.values())

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits, blank inputs and targets.

        Raises:
            UnavailableError: The library for chrF and BLEU is not installed.
        """
        if found := super().check(splits, options):
            return found
        ngrams.require()
        return []

    def implied(self, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """Adds the shape of the decoder's cache, the start token and the stop tokens.

        Raises:
            InputError: A file is damaged.
        """
        found = super().implied(source, options)
        if "cache" not in found:
            return found
        folder = local_folder(source)
        config, generation = (checkpoint.read_json(folder / name) for name in ("config.json", "generation_config.json"))
        said = {**config, **{name: value for name, value in generation.items() if value is not None}}
        start = said.get("decoder_start_token_id")
        # Positions are relative: what the decoder remembers has no end.
        return {**found, "positions": None, "start": said.get("pad_token_id", 0) if start is None else start}

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """No labels; lengths, cache, start and stop tokens, and how words are separated."""
        longest = int(options["max_length"])
        words = ngrams.words_of([str(row["target"]) for row in train[:LOOKED]])
        names = ("cache", "positions", "prefix", "start", "stop")
        told = {name: options[name] for name in names if name in options}
        return Contract(self.name, (), {"max_length": longest, "context": longest // 2, "words": words, **told})

    def prompt(self, said: Sequence[conversation.Message], processor: Writer) -> list[int]:
        """The tokens of the last message, which the encoder reads.

        Raises:
            InputError: There are more than `max_length`.
        """
        found: list[int] = processor(processor.prefix + str(said[-1]["content"]), verbose=False)["input_ids"]
        if (most := processor.max_length) < len(found):
            raise InputError(f"prompt must be at most {most} tokens, as in training, got {len(found)}", "a part of it")
        return found

    def row_prompt(self, row: Row, processor: Writer) -> tuple[Row, list[int]]:
        """The input and its tokens, not truncated."""
        told = {"input": str(row["input"])}
        try:
            return told, self.prompt([{"role": "user", "content": told["input"]}], processor)
        except InputError:
            return {}, []

    def encode(self, rows: Sequence[Row], processor: Writer, contract: Contract) -> list[Example]:
        """Token ids of the input, int64 of shape [tokens], and of all targets as labels, [targets, tokens], both
        truncated to `max_length` with the end token.
        """
        found = []
        for row in rows:
            texts = row.get(TARGETS) or [str(row["target"])]
            said = [[*processor(text, add_special_tokens=False, verbose=False)["input_ids"]] for text in texts]
            cut = [np.asarray([*ids, *processor.stop[:1]], np.int64)[: processor.max_length] for ids in said]
            labels = padded(cut, max(map(len, cut)), IGNORED)
            read = self._read(str(row["input"]), processor)
            found.append({TOKENS: read, LABELS: labels, TRUTH: np.asarray(texts)})
        return found

    def _read(self, text: str, processor: Writer) -> np.ndarray:
        encoded = processor(processor.prefix + text, truncation=True, max_length=processor.max_length)
        return np.asarray(encoded["input_ids"], np.int64)

    def length(self, example: Example) -> int:
        """Tokens of input and targets."""
        return len(example[TOKENS]) + example[LABELS].shape[-1]

    def collate(self, examples: Sequence[Example], processor: Writer) -> Batch:
        """One row per target, padded at the end: input, attention mask, decoder input and labels."""
        sources = [example[TOKENS] for example in examples for _ in example[LABELS]]
        wanted = _joined([example[LABELS] for example in examples])
        lengths = np.asarray([len(source) for source in sources])
        longest = int(lengths.max())
        return {
            TOKENS: padded(sources, longest, BLANKS[TOKENS]),
            "attention_mask": (np.arange(longest) < lengths[:, None]).astype(np.int64),
            "decoder_input_ids": _later(wanted, processor),
            LABELS: wanted,
        }

    def asked(self, outputs: Any, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores, shape [rows, tokens, vocabulary], and the target token at each position."""
        return outputs[LOGITS], labels

    def predict(self, run: Run, examples: Sequence[Example], processor: Writer, *, batch_size: int = 1) -> np.ndarray:
        """Likelihood of each row's targets and the generated answer, float64 of shape [rows, any]; see the class.

        Only rows of the same length are batched, so that nothing is padded and no graph needs a mask.
        """
        worths, said = np.zeros((len(examples), 3)), dict[int, str]()
        last = len(examples) - 1
        answered = {*np.linspace(0, last, min(last + 1, ANSWERED)).round().astype(int).tolist()}
        for rows in alike([example[TOKENS] for example in examples], batch_size):
            read = run({TOKENS: np.stack([examples[row][TOKENS] for row in rows])}, graph=ENCODER)
            worths[rows] = self._worth(run, read, [examples[row][LABELS] for row in rows], processor, batch_size)
            asked = [place for place, row in enumerate(rows) if row in answered]
            answers = self._said(run, _chosen(read, asked), processor) if asked else []
            for place, ids in zip(asked, answers, strict=True):
                said[rows[place]] = processor.decode(ids, skip_special_tokens=True)
        return np.concatenate([worths, ngrams.numbered([said.get(row) for row in range(last + 1)])], axis=1)

    def _worth(
        self, run: Run, read: Batch, labels: Sequence[np.ndarray], processor: Writer, batch_size: int
    ) -> np.ndarray:
        """What the targets of rows are worth that were read together, shape [rows, 3]."""
        found = np.zeros((len(labels), 3))
        pairs = [(place, target) for place, targets in enumerate(labels) for target in targets]
        for start in range(0, len(pairs), batch_size):
            part = pairs[start : start + batch_size]
            places, wanted = [place for place, _ in part], _joined([target[None] for _, target in part])
            feeds = {TOKENS: _later(wanted, processor), **cache.zeros(processor.cache, len(part), 0)}
            np.add.at(found, places, worth(run({**feeds, **_chosen(read, places)})[LOGITS], wanted))
        return found

    def _said(self, run: Run, read: Batch, processor: Writer) -> list[list[int]]:
        """What is likeliest, token by token, without what ends it, of rows that were read together."""
        count = len(next(iter(read.values())))
        found, going = [list[int]() for _ in range(count)], set(range(count))
        fed, past = np.full((count, 1), processor.start, np.int64), cache.zeros(processor.cache, count, 0)
        for _ in range(processor.max_length):
            outputs = run({TOKENS: fed, **past, **read})
            fed, past = outputs[LOGITS].argmax(-1), cache.after(outputs, processor.cache)
            going -= {row for row in going if fed[row, 0] in processor.stop}
            if not going:
                break
            for row in going:
                found[row].append(int(fed[row, 0]))
        return found

    def relabel(
        self, teacher: nn.Module, examples: Sequence[Example], processor: Writer, told: Callable[[int], None]
    ) -> list[Example]:
        """The teacher's greedy answer to each row's input as its target."""
        from edgesft.tasks.decoder.graphs import said

        found: list[Example] = [{} for _ in examples]
        for rows in alike([example[TOKENS] for example in examples], BATCH):
            sources = np.stack([examples[row][TOKENS] for row in rows])
            answers = said(teacher, sources, processor.start, processor.max_length, processor.stop)
            for row, ids in zip(rows, answers, strict=True):
                found[row] = {TOKENS: examples[row][TOKENS], LABELS: np.asarray([ids], np.int64)}
            told(len(rows))
        return found

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """The reference texts of each row, a tuple."""
        found = np.empty(len(examples), object)
        for index, example in enumerate(examples):
            found[index] = tuple(map(str, example[TRUTH]))
        return found

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """The metrics of text generation; and chrF, BLEU and ROUGE-L of the generated answers."""
        words = contract.options["words"]
        each = [
            ngrams.counted(ngrams.worded(row[3:].tobytes()), truth, words)
            for row, truth in zip(predictions, references, strict=True)
            if row[3] >= 0
        ]
        return {**super().score(predictions[:, :3], references, contract), **ngrams.scores(each, words)}

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Perplexity, the number of tokens, and the number of rows with a generated answer."""
        told = super().evaluate(predictions, references, contract)
        return {**told, "averages": {**told["averages"], "answers": int((predictions[:, 3] >= 0).sum())}}

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """The input's tokens, after the prefix that all inputs begin with."""
        options = contract.options
        told = {"prefix": options["prefix"]} if options.get("prefix") else {}
        return {"kind": "text", "columns": ["input"], "max_length": options["max_length"], **told}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """Token by token from the start token, with the encoder's keys and values."""
        told = super().decoding(contract)
        del told["keep"]
        return {**told, "reader": {"graph": ENCODER, "tokens": TOKENS}, "begin": contract.options["start"]}

    def links(self, contract: Contract) -> dict[str, dict[str, dict[str, str]]]:
        """The encoder's keys and values, which feed the decoder."""
        return {"model": {ENCODER: {name: name for name in cache.crossed(contract.options["cache"])}}}

    def modules(self, model: nn.Module) -> dict[str, nn.Module]:
        """The encoder and the decoder."""
        from edgesft.tasks.decoder.graphs import Crossed, Reader

        shape = cache.shape_of(model.config.to_dict())  # type: ignore[union-attr, operator]
        return {ENCODER: Reader(model, shape), "model": Crossed(model, shape)}

    def graphs(self, model: nn.Module, processor: Writer, examples: Sequence[Example]) -> list[Graph]:
        """Two graphs: `encoder`, and the decoder as `model`; batch and lengths are dynamic.

        Raises:
            InputError: The shape of the model's cache differs from the contract's.
        """
        import torch

        cache.require(model.config.to_dict(), processor.cache)  # type: ignore[union-attr, operator]
        shape, modules = processor.cache, self.modules(model)
        ids = [np.resize(example[TOKENS], SAMPLE_SOURCE) for example in (examples[0], examples[-1])]
        read = {TOKENS: torch.from_numpy(np.stack(ids))}
        fed = np.stack([each[:SAMPLE_TOKENS] for each in ids])
        feeds = {TOKENS: fed, **cache.unread(shape, 2, SAMPLE_SOURCE), **cache.zeros(shape, 2, SAMPLE_PAST)}
        inputs = {name: torch.from_numpy(array.copy()) for name, array in feeds.items()}
        tokens = {TOKENS: {0: "batch", 1: "sequence"}}
        free = {name: {0: "batch", 2: "source"} for name in cache.crossed(shape)}
        free |= {name: {0: "batch", 2: "past"} for name in cache.states(shape)}
        said = (LOGITS, *cache.states(shape).values())
        return [
            Graph(ENCODER, modules[ENCODER], read, tokens, cache.crossed(shape)),
            Graph("model", modules["model"], inputs, {**tokens, **free}, said, prefix="model."),
        ]

    def requests(self, examples: Sequence[Example], processor: Writer) -> list[Batch]:
        """The decoding step of one token at the contract's context: a token of each row, with a cache of zeros."""
        past = cache.zeros(processor.cache, 1, processor.context)
        return [{TOKENS: example[LABELS][:1, :1], **past, **_unread(example, processor)} for example in examples]

    def stateful_requests(self, examples: Sequence[Example], processor: Writer, run: Run) -> list[Batch]:
        """The decoding step after each row's first target, with its cache and the encoder's keys and values."""
        found = []
        for example in examples:
            read = run({TOKENS: example[TOKENS][None]}, graph=ENCODER)
            said = _joined([example[LABELS][:1]])
            outputs = run({TOKENS: _later(said, processor), **cache.zeros(processor.cache, 1, 0), **read})
            found.append({TOKENS: said[:, -1:], **cache.after(outputs, processor.cache), **read})
        return found

    def prefill_requests(self, examples: Sequence[Example], processor: Writer) -> dict[str, list[Batch]]:
        """The encoder's request, and the decoding step of the first token."""
        first = {TOKENS: np.full((1, 1), processor.start, np.int64), **cache.zeros(processor.cache, 1, 0)}
        return {
            ENCODER: [{TOKENS: example[TOKENS][None]} for example in examples],
            "model": [{**first, **_unread(example, processor)} for example in examples],
        }


def _unread(example: Example, processor: Writer) -> Batch:
    return cache.unread(processor.cache, 1, len(example[TOKENS]))


def _chosen(read: Batch, places: Sequence[int]) -> Batch:
    return {name: array[list(places)] for name, array in read.items()}


def _joined(labels: Sequence[np.ndarray]) -> np.ndarray:
    """Targets below each other, no wider than the longest, int64 of shape [targets, tokens]."""
    rows = [target[target != IGNORED] for targets in labels for target in targets]
    return padded(rows, max(map(len, rows)), IGNORED)


def _later(wanted: np.ndarray, processor: Writer) -> np.ndarray:
    """What a decoder is fed to say what is wanted: what begins an answer, then all but the last token."""
    started = np.insert(wanted[:, :-1], 0, processor.start, axis=1)
    return np.where(started == IGNORED, BLANKS[TOKENS], started)
