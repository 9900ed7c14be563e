"""Facts about a pretrained model from its files alone: its kind, its size, and the rows' lengths in its tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesft.data import files
from edgesft.errors import EdgesftError, InputError, Problem
from edgesft.spec.model import NAME, FactorySpec, OnnxSpec
from edgesft.tasks.models import checkpoint, companions, onnx_file, source
from edgesft.tasks.text_generation import DECODERS

TOKENIZER = "tokenizer.json"

LENGTHS = ("max_position_embeddings", "n_positions", "max_sequence_length")
"""What configurations call the longest input."""

COVERED = 0.99
"""Share of the rows that should be read whole: what is longer costs time on the device for few of them."""

NEAR = 1.5
"""Rows that are no longer than so many times that are read whole, too: they cost little more."""

MULTIPLE, SHORTEST = 8, 16


@dataclass(frozen=True)
class Model:
    """A pretrained model.

    Attributes:
        written: As a recipe names it.
        place: Where it is, of a file of others what lies around it; None where it could not be looked at.
        config: Its `config.json`.
        parameters: How many, or None where its files do not tell.
        problem: Why it could not be looked at.
        labels: Classes in the order of the scores that a file of others has, as far as something names them.
    """

    written: Any
    place: source.Source | None
    config: dict[str, Any]
    parameters: int | None = None
    problem: str = ""
    labels: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        """Whether it is a factory of the user's."""
        return not isinstance(self.written, str) and "factory" in self.written

    @property
    def brought(self) -> bool:
        """Whether it is an ONNX file of others."""
        return not isinstance(self.written, str) and "onnx" in self.written

    @property
    def writes(self) -> bool:
        """Whether it goes on with what it reads, having no encoder."""
        return self.config.get("model_type") in DECODERS

    @property
    def about(self) -> str:
        """`bert, 6 layers, 22.7 M parameters`, as far as it is known."""
        layers = self.config.get("num_hidden_layers") or self.config.get("n_layers")
        told = [str(self.config["model_type"])] if "model_type" in self.config else []
        told += [f"{layers} layers"] if layers else []
        told += [f"{self.parameters / 1e6:.3g} M parameters"] if self.parameters else []
        return ", ".join(told)

    @property
    def longest(self) -> int | None:
        """Tokens that it can read at most."""
        return next((int(self.config[name]) for name in LENGTHS if self.config.get(name)), None)

    def tokens(self, texts: Sequence[str]) -> list[int]:
        """Lengths of texts to its tokenizer, special tokens included, ascending; empty where it has no fast one."""
        if not isinstance(self.place, Path) or not (self.place / TOKENIZER).is_file() or not texts:
            return []
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self.place / TOKENIZER))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return sorted(len(each.ids) for each in tokenizer.encode_batch(list(texts)))


def look(text: str, base: Path, inputs: Sequence[str] = ("x",)) -> Model:
    """What a model is.

    Args:
        text: A folder, a hub id, `pkg://package/path`, `module:function` of one's own, or an ONNX file of others.
        base: Folder that relative paths start from.
        inputs: Names of the inputs of one's own.

    Raises:
        InputError: There is no such model here, or it is damaged.
    """
    if re.fullmatch(NAME, text):
        written = {"factory": text} | ({"inputs": list(inputs)} if tuple(inputs) != ("x",) else {})
        return Model(written, source.resolve(FactorySpec.model_validate(written), base), {})
    if companions.is_file(files.place(text, base)):
        found = onnx_file.resolve(OnnxSpec(onnx=text), base)
        return Model({"onnx": text}, found.folder, found.config, labels=found.labels)
    place = source.resolve(text, base)
    try:
        folder = source.folder(place)
    except InputError:
        raise
    except EdgesftError as error:
        return Model(text, None, {}, problem=str(error).splitlines()[0])
    config = checkpoint.read_config(folder)
    if isinstance(config, Problem):
        raise InputError(config)
    return Model(text, folder, config, checkpoint.parameters(folder))


def longest(lengths: Sequence[int], most: int | None) -> int:
    """The `max_length` that reads nearly all of the rows whole, or all where the longest are not much longer.

    Args:
        lengths: Of rows in tokens, ascending, at least one.
        most: What the model can read at most, or None where that is not known.
    """
    wanted = lengths[min(len(lengths) - 1, math.ceil(COVERED * len(lengths)) - 1)]
    if lengths[-1] <= NEAR * wanted:
        wanted = lengths[-1]
    rounded = max(SHORTEST, MULTIPLE * math.ceil(wanted / MULTIPLE))
    return min(rounded, most) if most else rounded
