"""Text generation: the continuation of a text, the answer to a prompt, or the next turn of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from edgesft.data.rows import numbered
from edgesft.errors import InputError, Problem
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.base import Batch, Example, Graph, Row, Run
from edgesft.tasks.contract import Contract
from edgesft.tasks.decoder import cache, conversation
from edgesft.tasks.decoder.cache import KEPT, LOGITS, TOKENS
from edgesft.tasks.decoder.sequences import BLANKS, POSITIONS, entropy, first_answer, last_answer, packed, padded, worth
from edgesft.tasks.decoder.writer import Writer, template
from edgesft.tasks.models import checkpoint, pretrained
from edgesft.tasks.models.source import Source
from edgesft.tasks.models.source import folder as local_folder
from edgesft.tasks.text import IGNORED, LABELS, TextTask

if TYPE_CHECKING:
    import torch
    from torch import nn

    from edgesft.spec.recipe import RecipeSpec

FORMS = (("prompt", "answer"), ("messages",), ("text",))
"""The three kinds of rows, by their columns; the first is the default."""

BESIDE = ("context", "system")
"""Optional columns of a prompt: a passage that it is about, and a system message."""

DECODERS = ("gpt2", "llama", "mistral", "qwen2", "qwen3")
"""Model types of transformers whose layers cache the keys and values of every token."""

SAMPLE_TOKENS, SAMPLE_PAST = 4, 5
"""Sizes of the sample inputs: torch.export takes an axis of 1 for fixed, and axes of equal size for the same axis."""


class TextGeneration(TextTask):
    """Text from a decoder of transformers (Llama, GPT-2 and relatives) with a key-value cache.

    A row has `prompt` and `answer` (optionally `context` and `system`), or `messages`, a list of {role, content}, or
    `text`. Of a `text` every token is learned, of the others only the answers. `data.columns` chooses the kind by
    naming one of its columns.

    The predictions of a row are the sum of the log-probabilities of its target tokens, the number of these tokens, and
    how many of them are the most probable one.
    """

    name: ClassVar[str] = "text-generation"
    roles: tuple[str, ...] = FORMS[0]
    metrics: tuple[str, ...] = ("log_likelihood", "token_accuracy")
    training: frozenset[str] = frozenset(("packing",))
    kind: ClassVar[str] = "text-generation"
    heads: ClassVar[str] = "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES"
    suits: ClassVar[str] = f"a decoder: {', '.join(DECODERS)}"
    known: ClassVar[tuple[str, ...]] = DECODERS
    unprunable: ClassVar[str] = "its cache keeps the shape that the model came with"
    by_token: ClassVar[bool] = True
    autoregressive: ClassVar[bool] = True
    patience: ClassVar[float] = 2.0

    def __init__(self, roles: Sequence[str] = FORMS[0]) -> None:
        self.roles = tuple(roles)
        self.optional = BESIDE if self.roles == FORMS[0] else ()

    @classmethod
    def of_recipe(cls, recipe: RecipeSpec, base: Path) -> Self:
        """The task for the kind of rows whose column `data.columns` names."""
        return cls(_form(recipe.data.columns))

    @classmethod
    def of_contract(cls, contract: Contract, columns: Mapping[str, str]) -> Self:
        """The same."""
        return cls(_form(columns))

    def text(self, row: Row) -> str:
        """The text, or all messages of the conversation."""
        if "text" in row:
            return str(row["text"])
        return "\n".join(str(each["content"]) for each in conversation.messages(row))

    def check(self, splits: Mapping[str, Sequence[Row]], options: Mapping[str, Any] | None = None) -> list[Problem]:
        """Empty splits, blank prompts and answers, conversations without an answer."""
        found = []
        for name, rows in splits.items():
            if not rows:
                found.append(Problem(f"data.{name}: must hold at least one row, got none", "check the file"))
            problems = [(number, wrong) for number, row in numbered(rows) if (wrong := conversation.wrong(row))]
            if problems:
                number, first = problems[0]
                more = f", and {len(problems) - 1} more such rows" if len(problems) > 1 else ""
                found.append(Problem(f"data.{name}: row {number} {first.message}{more}", first.hint))
        return found

    def implied(self, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """Adds the shape of the model's cache, its longest input, the stop tokens and the chat template.

        Raises:
            InputError: A file is damaged, or there is no template where the tokenizer's is asked for.
        """
        folder = local_folder(source)
        config = checkpoint.read_config(folder)
        if isinstance(config, Problem) or config.get("model_type") not in self.known:
            return dict(options)
        generation = checkpoint.read_json(folder / "generation_config.json")
        end = generation.get("eos_token_id", config.get("eos_token_id"))
        return {
            **options,
            "cache": cache.shape_of(config),
            "positions": checkpoint.longest_input(folder, config),
            "stop": end if isinstance(end, list) else [] if end is None else [end],
            "template": template(folder, options.get("template")),
        }

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """No labels; lengths, cache, template, stop tokens, and the context length at which a token is timed."""
        longest = int(options["max_length"])
        known = {name: options[name] for name in ("cache", "positions", "stop", "template") if name in options}
        return Contract(self.name, (), {"max_length": longest, "context": longest // 2, **known})

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """As for any checkpoint; besides, the model must be a decoder."""
        found = super().check_model(source, contract, trust_remote_code=trust_remote_code)
        if not found and "cache" not in contract.options:
            kind = (
                read.get("model_type") if isinstance(read := checkpoint.read_config(local_folder(source)), dict) else ""
            )
            found.append(Problem(f"model: must be a decoder that keeps a cache, got model_type {kind!r}", self.suits))
        return found

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """Nothing: every decoder has a head."""
        return []

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """A pretrained decoder."""
        from edgesft.tasks.decoder.graphs import cacheless

        return cacheless(super().load_model(source, contract, trust_remote_code=trust_remote_code))

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The architecture of a transformers configuration, weights uninitialised."""
        from edgesft.tasks.decoder.graphs import cacheless

        return cacheless(super().build_model(config, contract))

    def load_processor(self, source: Source, contract: Contract) -> Writer:
        """The tokenizer with the contract's template."""
        folder = local_folder(source)
        with pretrained.quiet(), pretrained.readable_errors(folder):
            from transformers import AutoTokenizer

            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = [TOKENS]
        return Writer(tokenizer, contract.options)

    def prompt(self, said: Sequence[conversation.Message], processor: Writer) -> list[int]:
        """Tokens of a conversation, up to where the next answer begins."""
        return conversation.tokens({"messages": list(said)}, processor, ())[0]

    def row_prompt(self, row: Row, processor: Writer) -> tuple[Row, list[int]]:
        """A prompt with its context, or the messages before the first answer; nothing for a plain text."""
        if "text" in row:
            return {}, []
        if "messages" in row:
            before = takewhile(lambda each: each["role"] != conversation.ASSISTANT, row["messages"])
            told: Row = {"messages": [{name: str(each[name]) for name in ("role", "content")} for each in before]}
        else:
            told = {name: str(row[name]) for name in ("prompt", *BESIDE) if row.get(name)}
        return told, self.prompt(conversation.messages(told), processor) if any(told.values()) else []

    def encode(self, rows: Sequence[Row], processor: Writer, contract: Contract) -> list[Example]:
        """Token ids, int64 of shape [tokens], truncated to `max_length`; labels are `IGNORED` outside of answers."""
        found = []
        for row in rows:
            ids, learned = conversation.tokens(row, processor, processor.stop)
            tokens = np.asarray(ids, np.int64)[: processor.max_length]
            labels = np.where(learned[: len(tokens)], tokens, IGNORED)
            labels[:1] = IGNORED  # Nothing comes before it that it could follow from.
            found.append({TOKENS: tokens, LABELS: labels})
        return found

    def disturb(
        self, examples: Sequence[Example], processor: Writer, settings: ResolvedTraining, rng: np.random.Generator
    ) -> Sequence[Example]:
        """Several rows packed into one, where the settings ask for it."""
        return packed(examples, processor.max_length) if settings.packing else examples

    def collate(self, examples: Sequence[Example], processor: Writer) -> Batch:
        """Padded at the end: arrays of shape [rows, tokens]. In packed rows, positions restart with each original row,
        by which transformers keeps attention within it; other batches have an attention mask.
        """
        lengths = np.asarray([len(each[TOKENS]) for each in examples])
        longest = int(lengths.max())
        batch = {name: padded([each[name] for each in examples], longest, blank) for name, blank in BLANKS.items()}
        if POSITIONS in examples[0]:
            return {**batch, POSITIONS: padded([each[POSITIONS] for each in examples], longest, 0)}
        return {**batch, "attention_mask": (np.arange(longest) < lengths[:, None]).astype(np.int64)}

    def tokens(self, examples: Sequence[Example]) -> set[int] | None:
        """None: the model may generate any token."""
        return None

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean cross entropy over the target tokens."""
        return entropy(*self.asked(outputs, labels), label_smoothing)

    def asked(self, outputs: Any, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores, shape [rows, tokens, vocabulary], and the target token at each position."""
        return outputs[LOGITS][:, :-1], labels[:, 1:]

    def logits(self, outputs: Any) -> torch.Tensor:
        """Not supported: pruning would change the shape of the cache.

        Raises:
            InputError: Always.
        """
        raise InputError(f"stages: must not prune for {self.name}: {self.unprunable}", "quantize, distill")

    def distributions(self, outputs: Any, batch: Mapping[str, Any]) -> torch.Tensor:
        """Scores at the target tokens, shape [tokens, vocabulary]."""
        scores, wanted = self.asked(outputs, batch[LABELS])
        return scores[wanted != IGNORED]

    def predict(self, run: Run, examples: Sequence[Example], processor: Writer, *, batch_size: int = 1) -> np.ndarray:
        """Log-probability, number of target tokens and number of right ones of each row, float64 of shape [rows, 3].

        Each row is one inference over all its tokens; the parity checks of the export prove that single steps agree.
        """
        found = np.zeros((len(examples), 3))
        order = sorted(range(len(examples)), key=lambda index: len(examples[index][TOKENS]))
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            batch = self.collate([examples[index] for index in rows], processor)
            wanted = batch[LABELS][:, 1:]
            places = np.flatnonzero((wanted != IGNORED).any(0))
            if not places.size:
                continue
            feeds = {TOKENS: batch[TOKENS], KEPT: places, **cache.zeros(processor.cache, len(rows), 0)}
            found[rows] = worth(run(feeds)[LOGITS], wanted[:, places])
        return found

    def relabel(
        self, teacher: nn.Module, examples: Sequence[Example], processor: Writer, told: Callable[[int], None]
    ) -> list[Example]:
        """Each row up to its last answer, followed by the teacher's greedy answer as the target."""
        from edgesft.tasks.decoder.graphs import continued

        found = []
        for example in examples:
            begin = last_answer(example)
            ids = continued(teacher, example[TOKENS][:begin].tolist(), processor.max_length, processor.stop)
            tokens = np.asarray(ids, np.int64)
            found.append({TOKENS: tokens, LABELS: np.where(np.arange(len(tokens)) < begin, IGNORED, tokens)})
            told(1)
        return found

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """Zeros, float64 of shape [rows]: the predictions hold all that is scored."""
        return np.zeros(len(examples))

    def score(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, float]:
        """Mean log-probability of the target tokens in nats, and the share of them that is the most probable one."""
        total, tokens, right = predictions.sum(0)
        return {"log_likelihood": total / max(tokens, 1), "token_accuracy": right / max(tokens, 1)}

    def agree(self, predictions: np.ndarray, others: np.ndarray) -> None:
        """None: predictions are likelihoods, not choices."""

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Perplexity, and the number of tokens."""
        reached = self.score(predictions, references, contract)["log_likelihood"]
        averages = {"perplexity": float(np.exp(-reached)), "tokens": int(predictions[:, 1].sum())}
        return {"rows": len(predictions), "averages": averages, "classes": []}

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """The conversation's tokens by the template, up to where the answer begins."""
        told = {name: contract.options[name] for name in ("max_length", "template")}
        return {"kind": "conversation", "columns": list(self.roles[:1]), **told}

    def decoding(self, contract: Contract) -> dict[str, Any]:
        """Token by token, with a key-value cache."""
        options = contract.options
        return {
            "kind": "generation",
            "output": LOGITS,
            "tokens": TOKENS,
            "keep": KEPT,
            "stop": list(options["stop"]),
            "positions": options["positions"],
            "cache": cache.states(options["cache"]),
        }

    def longest(self, contract: Contract) -> dict[str, int]:
        """Not supported: one graph takes prompts and single tokens, so that its shapes cannot be fixed.

        Raises:
            InputError: Always.
        """
        raise InputError(f"profile: must leave shapes free for {self.name}, got static_shapes", "a profile of a CPU")

    def graphs(self, model: nn.Module, processor: Writer, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`, for prompts and single tokens; batch, tokens, cache and `logits_to_keep` are dynamic.

        Raises:
            InputError: The shape of the model's cache differs from the contract's.
        """
        import torch

        from edgesft.tasks.decoder.graphs import Cached

        cache.require(model.config.to_dict(), processor.cache)  # type: ignore[union-attr, operator]
        ids = [np.resize(example[TOKENS], SAMPLE_TOKENS) for example in (examples[0], examples[-1])]
        feeds = {TOKENS: np.stack(ids), KEPT: np.asarray([0, 2, 3]), **cache.zeros(processor.cache, 2, SAMPLE_PAST)}
        inputs = {name: torch.from_numpy(array.copy()) for name, array in feeds.items()}
        dynamic = {name: {0: "batch", 2: "past"} for name in cache.states(processor.cache)}
        free = {TOKENS: {0: "batch", 1: "sequence"}, KEPT: {0: "kept"}, **dynamic}
        outputs = (LOGITS, *cache.states(processor.cache).values())
        return [Graph("model", Cached(model, processor.cache), inputs, free, outputs, prefix="model.")]

    def requests(self, examples: Sequence[Example], processor: Writer) -> list[Batch]:
        """The decoding step of one token at the contract's context: each row's last token, with a cache of zeros."""
        kept = {KEPT: np.zeros(1, np.int64), **cache.zeros(processor.cache, 1, processor.context)}
        return [{TOKENS: example[TOKENS][np.newaxis, -1:], **kept} for example in examples]

    def stateful_requests(self, examples: Sequence[Example], processor: Writer, run: Run) -> list[Batch]:
        """The decoding step of each row's last token, with the cache of all tokens before it."""
        found = []
        for example in examples:
            feeds = {**self._opening(example[TOKENS][:-1]), **cache.zeros(processor.cache, 1, 0)}
            kept = {KEPT: np.zeros(1, np.int64), **cache.after(run(feeds), processor.cache)}
            found.append({TOKENS: example[TOKENS][np.newaxis, -1:], **kept})
        return found

    def prefill_requests(self, examples: Sequence[Example], processor: Writer) -> dict[str, list[Batch]]:
        """Prompts up to where the first answer begins; their inference gives its first token."""
        empty = cache.zeros(processor.cache, 1, 0)
        prompts = (example[TOKENS][: first_answer(example)] for example in examples)
        return {"model": [{**self._opening(prompt), **empty} for prompt in prompts]}

    def _opening(self, tokens: np.ndarray) -> Batch:
        return {TOKENS: tokens[np.newaxis], KEPT: np.asarray([len(tokens) - 1])}


def _form(columns: Collection[str]) -> tuple[str, ...]:
    """The kind of rows one of whose columns is named."""
    return next((form for form in FORMS if not {*form}.isdisjoint(columns)), FORMS[0])
