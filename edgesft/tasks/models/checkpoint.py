"""Finds problems of a checkpoint folder from its files alone: no torch, no weights read."""

from __future__ import annotations

import ast
import functools
import importlib.util
import json
import math
import re
import struct
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgesft.data.checks import listed
from edgesft.errors import InputError, Problem

AGAIN = "download or save the model again"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
TOKENIZERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
"""Any one of these holds a tokenizer's vocabulary."""

UNNAMED = re.compile(r"LABEL_\d+")
"""What transformers calls a class that nobody named."""

_LFS_POINTER = b"version https://git-lfs"
_MAX_HEADER_BYTES = 100_000_000
"""safetensors refuses longer headers."""


def read_config(folder: Path) -> dict[str, Any] | Problem:
    """`config.json` of a checkpoint, or what is wrong with it."""
    path = folder / CONFIG
    if not folder.is_dir():
        return Problem(f"model: no such folder {str(folder)!r}")
    if not path.is_file():
        return Problem(
            f"model: {str(folder)!r} holds no {CONFIG}",
            _instead(folder) or "give the folder that transformers' save_pretrained wrote",
        )
    try:
        config = json.loads(path.read_text("utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        return Problem(f"model: {str(path)!r} is not valid JSON: {error}", AGAIN)
    if not isinstance(config, dict):
        return Problem(f"model: {str(path)!r} must hold an object, got {type(config).__name__}")
    return config


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no such file.

    Raises:
        InputError: The file is damaged.
    """
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: must be JSON, got: {error}", "copy it again") from error
    if not isinstance(said, dict):
        raise InputError(f"{path}: must be a JSON object, got {type(said).__name__}", "copy it again")
    return said


def _instead(folder: Path) -> str | None:
    """How to name a folder that has an ONNX file and no weights to train."""
    return f"model: {{onnx: {folder}}}" if any(folder.glob("*.onnx")) else None


def weight_problems(folder: Path) -> list[Problem]:
    """Weights that are missing, cut short or not what their name says."""
    files = _weight_files(folder)
    if isinstance(files, Problem):
        return [files]
    if not files and not any(folder.glob("pytorch_model*.bin")):
        return [Problem(f"model: {str(folder)!r} holds no weights ({WEIGHTS} or {PICKLE})", _instead(folder) or AGAIN)]
    return [found for file in files if isinstance(found := tensor_shapes(file), Problem)]


def _weight_files(folder: Path) -> list[Path] | Problem:
    """The safetensors files that loading would read: the whole, or the shards that the index names."""
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    index = folder / INDEX
    if not index.is_file():
        return []
    try:
        return sorted({folder / name for name in json.loads(index.read_text("utf-8"))["weight_map"].values()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return Problem(f"model: {str(index)!r} is damaged", AGAIN)


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]] | Problem:
    """Names and shapes in a safetensors file, or what is wrong: its tensors must fill the file exactly.

    The format: 8 bytes of header length (little endian), a JSON header whose `data_offsets` count from its end, then
    the tensors without holes (https://github.com/huggingface/safetensors, section Format).
    """
    if not path.is_file():
        return Problem(f"model: {path.name!r} is missing in {str(path.parent)!r}", AGAIN)
    size = path.stat().st_size
    with path.open("rb") as stream:
        start = stream.read(len(_LFS_POINTER))
        if start == _LFS_POINTER:
            return Problem(
                f"model: {str(path)!r} is a Git LFS pointer, not the weights", "`git lfs pull` in its repository"
            )
        if len(start) < 8:
            return Problem(f"model: {str(path)!r} is cut short: {size} bytes", AGAIN)
        (length,) = struct.unpack("<Q", start[:8])
        if length > min(_MAX_HEADER_BYTES, size - 8):
            return Problem(f"model: {str(path)!r} is cut short or is no safetensors file", AGAIN)
        stream.seek(8)
        try:
            header = json.loads(stream.read(length))
            entries = {name: entry for name, entry in header.items() if name != "__metadata__"}
            shapes = {name: tuple(int(size) for size in entry["shape"]) for name, entry in entries.items()}
            end = max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            return Problem(f"model: {str(path)!r} has a damaged header", AGAIN)
    expected = 8 + length + end
    if size != expected:
        return Problem(f"model: {str(path)!r} is damaged: must be {expected} bytes, got {size}", AGAIN)
    return shapes


def parameters(folder: Path) -> int | None:
    """Numbers in a checkpoint's safetensors files; None where it has none, or they are damaged."""
    found = [tensor_shapes(file) for file in folder.glob("*.safetensors")]
    whole = [shapes for shapes in found if isinstance(shapes, dict)]
    if not whole or len(whole) < len(found):
        return None
    return sum(math.prod(shape) for shapes in whole for shape in shapes.values())


def tokenizer_problems(folder: Path, config: Mapping[str, Any]) -> list[Problem]:
    """A tokenizer that is missing or knows more tokens than the model has embeddings."""
    if not any((folder / name).is_file() for name in TOKENIZERS):
        return [
            Problem(
                f"model: {str(folder)!r} holds no tokenizer (one of {', '.join(TOKENIZERS)})",
                "save it beside the model with the tokenizer's save_pretrained",
            )
        ]
    path, vocabulary = folder / "tokenizer.json", config.get("vocab_size")
    if not path.is_file() or not isinstance(vocabulary, int):
        return []
    try:
        tokens = len(json.loads(path.read_text("utf-8"))["model"]["vocab"])
    except (ValueError, KeyError, TypeError):
        return [Problem(f"model: {str(path)!r} is damaged", "download or save the tokenizer again")]
    if tokens > vocabulary:
        return [
            Problem(
                f"model: the tokenizer knows {tokens} tokens, the model embeds only {vocabulary}",
                "use the tokenizer that belongs to this model",
            )
        ]
    return []


def label_problems(folder: Path, labels: Sequence[str], heads: Collection[str]) -> list[Problem]:
    """What keeps a checkpoint from answering with these labels as it is: it would get a new, untrained head.

    The weights tell whether there is a head: transformers leaves the default names of two classes out of config.json,
    and writes names for a body as well.

    Args:
        folder: The checkpoint.
        labels: Of the head; empty where its outputs have no names.
        heads: First parts of the names that the head's weights may have.
    """
    config, head = read_config(folder), _has_head(folder, len(labels), heads)
    if isinstance(config, Problem):
        return [config]
    if isinstance(head, Problem):
        return [head]
    if not labels:
        if head or head is None:
            return []
        message = f"{str(folder)!r} must already be fine-tuned for this task, got a model without its head"
        return [Problem(message, "put a finetune stage first, or name a checkpoint that was fine-tuned for it")]
    stored = [str(label) for label in (config.get("id2label") or {}).values()]
    named = not all(UNNAMED.fullmatch(label) for label in stored)
    if head is None:  # A pickle, which is not opened: only names can tell.
        head = len(stored) == len(labels)
    if head and (not named or set(stored) == set(labels)):
        return []
    other = named and set(stored) != set(labels)
    return [
        Problem(
            f"{str(folder)!r} must already be fine-tuned for the labels {listed(labels)}, "
            f"got {listed(stored) if other else 'a model without a head for them'}",
            "put a finetune stage first, or name a checkpoint that was fine-tuned on these labels",
        )
    ]


def _has_head(folder: Path, classes: int, heads: Collection[str]) -> bool | Problem | None:
    """Whether some tensor is, by name and shape, a head's for so many classes; None without safetensors.

    The shape alone would not do: the heads of BERT's pretraining and of question answering have two outputs as well.
    """
    files = _weight_files(folder)
    if isinstance(files, Problem):
        return files
    found = False
    for file in files:
        shapes = tensor_shapes(file)
        if isinstance(shapes, Problem):
            return shapes
        found = found or any(
            name.split(".")[0] in heads and (not classes or shape[:1] == (classes,)) for name, shape in shapes.items()
        )
    return found if files else None


def longest_input(folder: Path, config: Mapping[str, Any]) -> int | Problem | None:
    """Most tokens that the model's positions and its tokenizer allow, None where neither says, or what is wrong.

    RoBERTa's table of positions is two longer than its inputs may be, which only its tokenizer knows.
    """
    limits = [config.get("max_position_embeddings")]
    path = folder / "tokenizer_config.json"
    if path.is_file():
        try:
            limits.append(json.loads(path.read_text("utf-8")).get("model_max_length"))
        except (ValueError, AttributeError):
            return Problem(f"model: {str(path)!r} is damaged", AGAIN)
    # transformers writes 1e30 where a tokenizer has no limit; relative positions are written as -1.
    known = [int(limit) for limit in limits if isinstance(limit, int | float) and 0 < limit < 1e9]
    return min(known, default=None)


@functools.cache
def heads(mapping: str) -> Mapping[str, Any]:
    """One of transformers' mappings from model type to the name of the class with a given head.

    It is read from the source text, since importing it imports torch (seconds); where the text has changed its form,
    it is imported.

    Args:
        mapping: Its name in `transformers.models.auto.modeling_auto`.
    """
    spec = importlib.util.find_spec("transformers")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    for path in (Path(folder) / "models" / "auto" / "modeling_auto.py" for folder in folders):
        text = path.read_text("utf-8") if path.is_file() else ""
        # A syntax tree of all that is there, 120 kB, would take 14 to 30 ms.
        if written := re.search(rf"^{mapping} = OrderedDict\((.*?)^\)", text, re.MULTILINE | re.DOTALL):
            return dict(ast.literal_eval(written[1].strip()))
    from transformers.models.auto import modeling_auto

    found: Mapping[str, Any] = getattr(modeling_auto, mapping)
    return found


def remote_code_problem(config: Mapping[str, Any], *, trusted: bool) -> Problem | None:
    """A model that brings its own Python code: without trust it may not run, and with trust it is not kept.

    What the stages write holds weights and a configuration; such a model could not be built from them again.
    """
    if not config.get("auto_map"):
        return None
    if trusted:
        return Problem(
            "model: must be one that transformers knows; models with code of their own (auto_map in config.json) are "
            "not supported yet, since each step's result would have to carry that code",
            "a model of an architecture that transformers has, without trust_remote_code",
        )
    return Problem(
        "model: needs remote code, Python that comes with the checkpoint (auto_map in its config.json)",
        "read that code, then set trust_remote_code: true; or choose a model that transformers knows",
    )
