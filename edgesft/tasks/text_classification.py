"""Text classification: one label for one text."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edgesft.data import checks
from edgesft.errors import InputError, Problem
from edgesft.tasks import checkpoint, evaluation, metrics, pretrained
from edgesft.tasks.base import Batch, Contract, Example, Graph, Row, Run, Task
from edgesft.tasks.source import folder as local_folder

if TYPE_CHECKING:
    import torch
    from torch import nn

INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""Order of the exported graph's inputs; a model has those that its tokenizer makes."""
LABELS = "labels"
HEADS = "MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES"


class TextClassification(Task):
    """One label for one text, by an encoder with a classification head."""

    name: ClassVar[str] = "text-classification"
    roles: ClassVar[tuple[str, ...]] = ("text", "label")
    metrics: ClassVar[tuple[str, ...]] = ("accuracy", "f1_macro", "f1_weighted", "precision_macro", "recall_macro")

    def check(self, splits: Mapping[str, Sequence[Row]]) -> list[Problem]:
        """Empty splits, blank texts, bad, single or unseen labels."""
        return checks.classification(splits, text="text", label="label")

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Labels in a stable order (numeric where all are whole numbers) and the longest input in tokens."""
        labels = checks.ordered({checks.label_name(row["label"]) for row in train})
        return Contract(self.name, tuple(labels), {"max_length": int(options["max_length"])})

    def check_model(self, source: Path | str, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """Damaged or missing files, remote code, no classification head, inputs longer than the model takes."""
        folder = local_folder(source)
        config = checkpoint.read_config(folder)
        if isinstance(config, Problem):
            return [config]
        remote = checkpoint.remote_code_problem(config, trusted=trust_remote_code)
        found = [*checkpoint.weight_problems(folder), *checkpoint.tokenizer_problems(folder, config)]
        kind = config.get("model_type")
        if remote:
            found.append(remote)
        elif kind not in checkpoint.heads(HEADS):
            found.append(
                Problem(
                    f"model: must have a sequence-classification head in transformers, got model_type {kind!r}",
                    "an encoder, such as a bert, roberta, distilbert, electra or deberta-v2",
                )
            )
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

    def load_model(self, source: Path | str, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """A pretrained model with a head for the contract's labels; missing parts follow torch's global seed."""
        folder = local_folder(source)
        auto = pretrained.auto_class(self.name)
        return pretrained.load(auto, folder, contract.labels, trust_remote_code=trust_remote_code)

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The architecture of a transformers configuration, weights uninitialised."""
        import torch

        with pretrained.quiet():
            from transformers import AutoConfig
            from transformers.initialization import no_init_weights

            settings = {**config, **pretrained.label_settings(contract.labels)}
            known = AutoConfig.for_model(settings.pop("model_type"), **settings)
            with no_init_weights():
                model: nn.Module = pretrained.auto_class(self.name).from_config(
                    known, attn_implementation="eager", dtype=torch.float32
                )
        return model

    def load_processor(self, source: Path | str, contract: Contract) -> Any:
        """The tokenizer, making only inputs that the model takes."""
        folder = local_folder(source)
        with pretrained.quiet(), pretrained.readable_errors(folder):
            from transformers import AutoTokenizer

            # An unset trust_remote_code makes transformers ask on stdin.
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            accepted = pretrained.accepted_inputs(folder, checkpoint.heads(HEADS))
        names = (
            tokenizer.model_input_names
            if accepted is None
            else [name for name in tokenizer.model_input_names if name in accepted]
        )
        if tokenizer.pad_token_id is None:
            raise InputError("model: its tokenizer must have a padding token, got none", "choose an encoder")
        # init_kwargs is what save_pretrained writes, so that a saved folder without config.json still knows.
        tokenizer.model_input_names = tokenizer.init_kwargs["model_input_names"] = list(names)
        return tokenizer

    def encode(self, rows: Sequence[Row], processor: Any, contract: Contract) -> list[Example]:
        """Token ids and masks (int64, shape [tokens]), cut to `max_length`; the label's index where there is one."""
        encoded = processor(
            [row["text"] for row in rows], truncation=True, max_length=contract.options["max_length"], padding=False
        )
        names = processor.model_input_names
        examples: list[Example] = [
            {name: np.asarray(encoded[name][index], np.int64) for name in names} for index in range(len(rows))
        ]
        index_of = {label: index for index, label in enumerate(contract.labels)}
        for row, example in zip(rows, examples, strict=True):
            if "label" in row:
                example[LABELS] = np.asarray(_index(row["label"], index_of), np.int64)
        return examples

    def collate(self, examples: Sequence[Example], processor: Any) -> Batch:
        """Pads to the longest: arrays of shape [rows, tokens], and labels of shape [rows]."""
        names = [name for name in examples[0] if name != LABELS]
        lengths = [len(example["input_ids"]) for example in examples]
        shape = (len(examples), max(lengths))
        batch: Batch = {name: np.full(shape, _padding(name, processor), np.int64) for name in names}
        for index, (example, length) in enumerate(zip(examples, lengths, strict=True)):
            place = slice(None, length) if processor.padding_side == "right" else slice(shape[1] - length, None)
            for name in names:
                batch[name][index, place] = example[name]
        if LABELS in examples[0]:
            batch[LABELS] = np.stack([example[LABELS] for example in examples])
        return batch

    def augment(self, batch: Batch, processor: Any, share: float, rng: np.random.Generator) -> Batch:
        """Replaces each token with probability `share` by a random one; special tokens and padding stay."""
        tokens = batch["input_ids"]
        special = np.asarray(processor.all_special_ids, np.int64)
        vocabulary = np.setdiff1d(np.arange(len(processor)), special)
        chosen = (rng.random(tokens.shape) < share) & ~np.isin(tokens, special)
        noise = rng.choice(vocabulary, tokens.shape)
        return {**batch, "input_ids": np.where(chosen, noise, tokens)}

    def loss(
        self,
        outputs: Any,
        labels: torch.Tensor,
        *,
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Mean cross entropy, weighted by the classes where they have weights."""
        from torch.nn.functional import cross_entropy

        logits = self.logits(outputs).float()
        return cross_entropy(logits, labels, weight=class_weights, label_smoothing=label_smoothing)

    def logits(self, outputs: Any) -> torch.Tensor:
        """Class scores before softmax, shape [rows, classes]."""
        scores: torch.Tensor = outputs["logits"]
        return scores

    def predict(self, run: Run, examples: Sequence[Example], processor: Any, *, batch_size: int = 1) -> np.ndarray:
        """Logits, float32 of shape [rows, classes]; batches hold rows of like length, so that little is padding."""
        order = list(range(len(examples)))
        if batch_size > 1:
            order.sort(key=lambda index: len(examples[index]["input_ids"]))
        parts = []
        for start in range(0, len(examples), batch_size):
            batch = self.collate([examples[index] for index in order[start : start + batch_size]], processor)
            batch.pop(LABELS, None)
            parts.append(np.asarray(run(batch)["logits"], np.float32))
        ordered = np.concatenate(parts)
        predictions = np.empty_like(ordered)
        predictions[order] = ordered
        return predictions

    def references(self, examples: Sequence[Example]) -> np.ndarray:
        """The label's index of each row, int64."""
        return np.asarray([example[LABELS] for example in examples], np.int64)

    def score(self, predictions: np.ndarray, references: np.ndarray) -> dict[str, float]:
        """Accuracy, F1, precision and recall of the highest logit."""
        counts = metrics.confusion(references, predictions.argmax(axis=1), predictions.shape[1])
        return {
            "accuracy": metrics.accuracy(counts),
            "f1_macro": metrics.macro(counts, metrics.f1(counts)),
            "f1_weighted": metrics.weighted(counts, metrics.f1(counts)),
            "precision_macro": metrics.macro(counts, metrics.precision(counts)),
            "recall_macro": metrics.macro(counts, metrics.recall(counts)),
        }

    def evaluate(self, predictions: np.ndarray, references: np.ndarray, contract: Contract) -> dict[str, Any]:
        """Averages, figures of each class, confusion, calibration, ROC: `evaluation.classification`."""
        return evaluation.classification(predictions, references, contract.labels)

    def graphs(self, model: nn.Module, processor: Any, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`; batch and sequence vary. The sample, shortest and longest row, has padding in it."""
        import torch

        by_length = sorted(examples, key=lambda example: len(example["input_ids"]))
        batch = self.collate([by_length[0], by_length[-1]], processor)
        taken = inspect.signature(model.forward).parameters
        inputs = {name: torch.from_numpy(batch[name]) for name in INPUTS if name in batch and name in taken}
        dynamic = {name: {0: "batch", 1: "sequence"} for name in inputs}
        return [Graph("model", model, inputs, dynamic, ("logits",))]

    def requests(self, examples: Sequence[Example], processor: Any) -> list[Batch]:
        """The inputs of each example with a batch axis of 1."""
        return [
            {name: values[np.newaxis] for name, values in example.items() if name != LABELS} for example in examples
        ]


def _index(label: Any, index_of: Mapping[str, int]) -> int:
    name = checks.label_name(label)
    if name not in index_of:
        raise InputError(f"label: must be one of {', '.join(index_of)}, got {name!r}")
    return index_of[name]


def _padding(name: str, processor: Any) -> int:
    """Value of the positions that are not there."""
    values: dict[str, int] = {
        "input_ids": processor.pad_token_id,
        "token_type_ids": getattr(processor, "pad_token_type_id", 0),
    }
    return values.get(name, 0)
