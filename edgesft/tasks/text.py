"""Shared base of tasks on text: transformers' encoders, tokenizers, batches of tokens."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.errors import InputError, Problem
from edgesft.spec.training import NOISE, ResolvedTraining
from edgesft.tasks.augmentation import tokens
from edgesft.tasks.base import Batch, Example, Graph, Run, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.models import checkpoint, pretrained
from edgesft.tasks.models.onnx_file import OnnxFile
from edgesft.tasks.models.source import Source
from edgesft.tasks.models.source import folder as local_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Order of the exported graph's inputs; a model has those that its tokenizer gives."""
LABELS = "labels"

IGNORED = -100
"""Label of a token that does not count, by the convention of torch's cross entropy."""


class TextTask(Task):
    """A task for a text encoder. A subclass adds rows, labels, loss and metrics."""

    kind: ClassVar[str]
    """Optimum's name of the task that has the model's head."""
    heads: ClassVar[str]
    """Transformers' mapping from model type to the class with that head."""
    suits: ClassVar[str] = "an encoder, such as a bert, roberta, distilbert, electra or deberta-v2"
    """Examples of models with that head, for messages."""
    outputs: ClassVar[tuple[str, ...]] = ("logits",)
    """Of the exported graph."""
    head: ClassVar[frozenset[str]] = frozenset(
        ("classifier", "score", "classification_head", "logits_proj", "sequence_summary")
    )
    """First parts of the names of the last layer in transformers' classes with that head."""
    training: frozenset[str] = frozenset(name for name in NOISE if name.startswith("token_"))
    by_token: ClassVar[bool] = False
    """Whether outputs and labels are per token."""

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """Damaged or missing files, remote code, no head of this kind, inputs longer than the model takes."""
        folder = local_folder(source)
        config = source.config if isinstance(source, OnnxFile) else checkpoint.read_config(folder)
        if isinstance(config, Problem):
            return [config]
        found = checkpoint.tokenizer_problems(folder, config)
        if isinstance(source, OnnxFile):
            found += source.problems() or source.misfits(*self.names(contract))
        else:
            found += self._own_problems(folder, config, trusted=trust_remote_code)
        limit, asked = checkpoint.longest_input(folder, config), contract.options["max_length"]
        if isinstance(limit, Problem):
            found.append(limit)
        elif limit is not None and asked > limit:
            found.append(
                Problem(
                    f"data.max_length: must be at most {limit}, the longest input of this model, got {asked}",
                    f"data.max_length={limit}",
                )
            )
        return found

    def _own_problems(self, folder: Path, config: Mapping[str, Any], *, trusted: bool) -> list[Problem]:
        """Problems of a checkpoint's weights or model type."""
        found = checkpoint.weight_problems(folder)
        model_type = config.get("model_type")
        if remote := checkpoint.remote_code_problem(config, trusted=trusted):
            found.append(remote)
        elif model_type not in checkpoint.heads(self.heads):
            head = self.kind.replace("text-classification", "sequence-classification")
            message = f"model: must have a {head} head in transformers, got model_type {model_type!r}"
            found.append(Problem(message, self.suits))
        return found

    def limit(self, source: Source) -> int | None:
        """By the model's positions and its tokenizer."""
        folder = local_folder(source)
        config = source.config if isinstance(source, OnnxFile) else checkpoint.read_config(folder)
        found = None if isinstance(config, Problem) else checkpoint.longest_input(folder, config)
        return found if isinstance(found, int) else None

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """A checkpoint without this task's head, or with one for other labels."""
        if isinstance(source, OnnxFile):
            return source.head_problems(contract.labels, self.outputs[0])
        return checkpoint.label_problems(local_folder(source), contract.labels, self.head)

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """A pretrained model with a head for the contract's labels; missing parts follow torch's global seed."""
        folder = local_folder(source)
        auto = pretrained.auto_class(self.kind)
        return pretrained.load(auto, folder, contract.labels, trust_remote_code=trust_remote_code)

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The architecture of a transformers configuration, weights uninitialised."""
        return pretrained.build(pretrained.auto_class(self.kind), config, contract.labels)

    def load_processor(self, source: Source, contract: Contract) -> Any:
        """The tokenizer, limited to inputs that the model takes."""
        folder = local_folder(source)
        with pretrained.quiet(), pretrained.readable_errors(folder):
            from transformers import AutoTokenizer

            # An unset trust_remote_code makes transformers ask on stdin.
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            names = self._taken(source, contract, tokenizer.model_input_names)
        if tokenizer.pad_token_id is None:
            raise InputError("model: its tokenizer must have a padding token, got none", "choose an encoder")
        # init_kwargs is what save_pretrained writes, so that a saved folder without config.json still knows.
        tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = list(names)
        return tokenizer

    def _taken(self, source: Source, contract: Contract, made: Sequence[str]) -> list[str]:
        """The inputs that a model takes of those that its tokenizer gives; for an ONNX file, all that it names."""
        if isinstance(source, OnnxFile):
            called = source.called(*self.names(contract))
            return [name for name in INPUTS if name in called]
        accepted = pretrained.accepted_inputs(local_folder(source), checkpoint.heads(self.heads))
        return [name for name in made if accepted is None or name in accepted]

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """A text's tokens, truncated to the longest input."""
        return {"kind": "text", "columns": ["text"], "max_length": contract.options["max_length"]}

    def length(self, example: Example) -> int:
        """Tokens."""
        return int(example["input_ids"].size)

    def tokens(self, examples: Sequence[Example]) -> set[int] | None:
        """Those of all texts."""
        found: set[int] = set()
        for example in examples:
            found.update(np.unique(example["input_ids"]).tolist())
        return found

    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        """Pads to the longest: arrays of shape [rows, tokens], and the labels of each row or of each token."""
        return self.stacked(examples, processor)

    def stacked(self, texts: Sequence[Example], processor: Any) -> Batch:
        """One padded batch of single texts."""
        names = [name for name in INPUTS if name in texts[0]]
        longest = max(len(text["input_ids"]) for text in texts)
        batch: Batch = {
            name: self._padded([text[name] for text in texts], longest, _padding(name, processor), processor)
            for name in names
        }
        if LABELS in texts[0]:
            labels = [text[LABELS] for text in texts]
            batch[LABELS] = self._padded(labels, longest, IGNORED, processor) if self.by_token else np.stack(labels)
        return batch

    def augment(
        self,
        batch: Batch,
        processor: Any,
        settings: ResolvedTraining,
        rng: np.random.Generator,
        neighbours: np.ndarray | None = None,
    ) -> Batch:
        """Replaces, hides and swaps tokens; special tokens and padding stay, and labels of tokens go with them."""
        found, plain = dict(batch), self.plain(batch, processor)
        if settings.token_swap:
            order = tokens.swaps(plain, settings.token_swap, rng)
            moving = [name for name in ("input_ids", LABELS) if found.get(name, order[:0]).shape == order.shape]
            found |= {name: np.take_along_axis(found[name], order, axis=1) for name in moving}
        if settings.token_substitution and neighbours is not None:
            found["input_ids"] = tokens.substituted(
                found["input_ids"], plain, neighbours, settings.token_substitution, rng
            )
        if settings.token_dropout:
            vocabulary = np.setdiff1d(sorted(processor.get_vocab().values()), processor.all_special_ids)
            found["input_ids"] = tokens.replaced(found["input_ids"], plain, vocabulary, settings.token_dropout, rng)
        if settings.token_deletion and "attention_mask" in found:
            found["attention_mask"] = tokens.hidden(found["attention_mask"], plain, settings.token_deletion, rng)
        return found

    def plain(self, batch: Batch, processor: Any) -> np.ndarray:
        """Which tokens may be changed, bool of shape [rows, tokens]: those that are not special."""
        found: np.ndarray = ~np.isin(batch["input_ids"], np.asarray(processor.all_special_ids, np.int64))
        return found

    def logits(self, outputs: Any) -> torch.Tensor:
        """Class scores before softmax, shape [rows, classes] or [rows, tokens, classes]."""
        scores: torch.Tensor = outputs["logits"]
        return scores

    def longest(self, contract: Contract) -> dict[str, int]:
        """Tokens of the longest input."""
        return {"sequence": int(contract.options["max_length"])}

    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`; batch and sequence are dynamic. The sample, shortest and longest row, has padding."""
        import torch

        by_length = sorted(examples, key=self.length)
        batch = self.collate([by_length[0], by_length[-1]], processor)
        taken = inspect.signature(model.forward).parameters
        inputs = {name: torch.from_numpy(batch[name]) for name in INPUTS if name in batch and name in taken}
        dynamic = {name: {0: "batch", 1: "sequence"} for name in inputs}
        return [Graph("model", model, inputs, dynamic, self.outputs)]

    def names(self, contract: Contract) -> tuple[Sequence[str], Sequence[str]]:
        """The inputs that tokenizers give, and the head's outputs."""
        return INPUTS, self.outputs

    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        """The inputs of each example with a batch axis of 1."""
        return [{name: example[name][np.newaxis] for name in INPUTS if name in example} for example in examples]

    def answers(
        self, run: Run, texts: Sequence[Example], processor: Any, batch_size: int
    ) -> list[dict[str, np.ndarray]]:
        """The outputs of each text, in order; texts of similar length are batched, so that there is little padding.

        Args:
            run: The model.
            texts: Single texts.
            processor: The tokenizer.
            batch_size: Texts a call.

        Returns:
            Of each text its outputs by name, float32, without a batch axis and without padding.
        """
        order = list(range(len(texts)))
        if batch_size > 1:
            order.sort(key=lambda index: self.length(texts[index]))
        found: list[dict[str, np.ndarray]] = [{} for _ in texts]
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            batch = self.stacked([texts[index] for index in rows], processor)
            batch.pop(LABELS, None)
            outputs = run(batch)
            longest = batch["input_ids"].shape[1]
            for place, index in enumerate(rows):
                within = _place(self.length(texts[index]), longest, processor) if self.by_token else slice(None)
                found[index] = {name: np.asarray(outputs[name][place][within], np.float32) for name in self.outputs}
        return found

    def _padded(self, rows: Sequence[np.ndarray], longest: int, value: int, processor: Any) -> np.ndarray:
        padded = np.full((len(rows), longest), value, np.int64)
        for target, row in zip(padded, rows, strict=True):
            target[_place(len(row), longest, processor)] = row
        return padded


def tokens_of(encoded: Mapping[str, Any], index: int, names: Sequence[str]) -> Example:
    """The inputs of one encoded text, int64 of shape [tokens]."""
    return {name: np.asarray(encoded[name][index], np.int64) for name in names}


def _place(length: int, longest: int, processor: Any) -> slice:
    """Positions of a row's tokens in its padded form."""
    return slice(None, length) if processor.padding_side == "right" else slice(longest - length, None)


def _padding(name: str, processor: Any) -> int:
    """Value of padded positions."""
    values: dict[str, int] = {
        "input_ids": processor.pad_token_id,
        "token_type_ids": getattr(processor, "pad_token_type_id", 0),
    }
    return values.get(name, 0)
