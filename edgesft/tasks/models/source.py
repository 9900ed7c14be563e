"""Finds pretrained weights: in a folder, inside an installed package, or on the Hugging Face hub."""

from __future__ import annotations

import difflib
import hashlib
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

from edgesft.data import files
from edgesft.data.files import sha256
from edgesft.errors import InputError, UnavailableError
from edgesft.spec.model import FactorySpec, ModelSpec, OnnxSpec
from edgesft.tasks.models import factory, onnx_file
from edgesft.tasks.models.checkpoint import TOKENIZERS
from edgesft.tasks.models.factory import Factory
from edgesft.tasks.models.onnx_file import OnnxFile

PACKAGE = "pkg://"
ONNX = ".onnx"
LOADED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.py")
"""Files of a checkpoint that loading may read: configuration, weights, vocabularies, code that comes along."""
PICKLED = ("*.bin",)
"""Weights in the older format, read only where a checkpoint has no safetensors."""

_SUFFIXES = frozenset((".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".onnx", ".zip"))
"""A name that ends in one of these is a file that is not there, not a hub id."""

VOCABULARIES = (*TOKENIZERS, "merges.txt", "preprocessor_config.json")
"""Files that decide how a processor encodes its input."""

_LAST_USE = frozenset(("truncation", "padding"))
"""Keys of `tokenizer.json` that each call sets anew."""

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


Source = Path | str | Factory | OnnxFile
"""A folder, a hub id, a factory, or an ONNX file that others made."""


def resolve(source: ModelSpec, base: Path = Path()) -> Source:
    """What the recipe's `model` (or a teacher) names.

    Args:
        source: A folder, whose path may name environment variables, `pkg://package/path`, a hub id (a folder wins over
            one of the same name), a factory, or an ONNX file.
        base: Folder that relative paths start from.

    Returns:
        A folder, the hub id as it was given, the factory, or the file.

    Raises:
        InputError: The package is not installed, or a path does not exist.
    """
    if isinstance(source, FactorySpec):
        return factory.resolve(source, base)
    if isinstance(source, OnnxSpec):
        return onnx_file.resolve(source, base, folder(resolve(source.processor, base)) if source.processor else None)
    if source.startswith(PACKAGE):
        return _in_package(source)
    path = files.place(source, base)
    if path.is_dir():
        return path
    if path.is_file() and path.suffix == ONNX:
        raise InputError(f"model: must say what the file is, got {source!r}", f"model: {{onnx: {source}}}")
    if path.is_file():
        raise InputError(
            f"model: must be a folder, a hub id or pkg://package/path, got the file {source!r}",
            f"name its folder, {str(path.parent)!r}",
        )
    looks_like_path = source.startswith((".", "/", "~", "$")) or "\\" in source or path.suffix in _SUFFIXES
    if looks_like_path or not _HUB_ID.fullmatch(source):
        raise InputError(f"model: no such folder {source!r}", _nearest(path))
    return source


def folder(source: Source) -> Path:
    """The folder of a resolved source; a hub model is fetched into the hub's own cache the first time.

    Raises:
        InputError: The hub has no such model, or does not give it to this user; or a factory or a file was given.
        UnavailableError: It is not in the cache, and the hub cannot be reached.
    """
    if isinstance(source, Path):
        return source
    if isinstance(source, Factory):
        message = f"model: must be a folder, a hub id or pkg://package/path for this task, got {source.name!r}"
        raise InputError(message, "task: arrays, for a model of your own")
    if isinstance(source, OnnxFile):
        return source.folder
    resolved = resolve(source)
    return resolved if isinstance(resolved, Path) else _from_hub(str(resolved))


def digest(source: Source) -> str:
    """Content digest of a source, for cache keys: sha256 over the files that loading may read.

    A hub model's cached files lie under their commit; they are hashed like any other folder's.
    """
    if isinstance(source, Factory | OnnxFile):
        return source.digest()
    place = folder(source)
    found = sorted({file for pattern in (*LOADED, *PICKLED) for file in place.glob(pattern)})
    total = hashlib.sha256()
    for file in found:
        total.update(f"{file.name}\0{sha256(file)}\n".encode())
    return total.hexdigest()


def read_alike(one: Source, other: Source) -> bool:
    """Whether two sources encode their input alike: their processors have files in common, and those say the same."""
    ours, theirs = folder(one), folder(other)
    common = [name for name in VOCABULARIES if (ours / name).is_file() and (theirs / name).is_file()]
    return bool(common) and all(_encoding(ours / name) == _encoding(theirs / name) for name in common)


def _encoding(file: Path) -> Any:
    """What a processor's file says about encoding: `tokenizer.json` also keeps the cut and padding of its last use."""
    content = file.read_bytes()
    if file.name != "tokenizer.json":
        return content
    try:
        said = json.loads(content)
    except ValueError:
        return content
    return {key: said[key] for key in said if key not in _LAST_USE} if isinstance(said, dict) else said


def _in_package(source: str) -> Path:
    package, _, inside = source.removeprefix(PACKAGE).partition("/")
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"model: {source!r} names the package {package!r}, which is not installed",
            f"pip install {package.replace('_', '-')}",
        )
    path = Path(next(iter(spec.submodule_search_locations))) / inside
    if not path.is_dir():
        raise InputError(f"model: the package {package!r} has no folder {inside!r}", _nearest(path))
    return path


def _nearest(path: Path) -> str:
    """What to try instead of a folder that does not exist."""
    parent = path.parent
    if not parent.is_dir():
        return f"there is no {str(parent)!r} either; give a path from the folder you are in, or a full one"
    siblings = sorted(item.name for item in parent.iterdir() if item.is_dir())
    close = difflib.get_close_matches(path.name, siblings, n=1)
    if close:
        return f"{str(parent / close[0])!r}"
    return f"the folders in {str(parent)!r}: {', '.join(siblings[:8])}" if siblings else "train or download it first"


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        cached = Path(snapshot_download(name, allow_patterns=list(LOADED), local_files_only=True))
        if _has_weights(cached):
            return cached
    except (LocalEntryNotFoundError, HFValidationError):
        pass
    try:
        fetched = Path(snapshot_download(name, allow_patterns=list(LOADED)))
        if not _has_weights(fetched):
            fetched = Path(snapshot_download(name, allow_patterns=[*LOADED, *PICKLED]))
        return fetched
    except GatedRepoError as error:
        raise InputError(
            f"model: {name!r} is gated on the hub", "accept its terms there, then `hf auth login`"
        ) from error
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise InputError(
            f"model: {name!r} is neither a folder here nor a model on the hub that you may read",
            "check the spelling (owner/name); `hf auth login` if it is private",
        ) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise UnavailableError(
            f"model: {name!r} is not on this machine and the hub cannot be reached",
            f"`hf download {name}` on a machine that can, and give the folder; or pkg://package/path",
        ) from error


def _has_weights(place: Path) -> bool:
    return any(True for pattern in ("*.safetensors", *PICKLED) for _ in place.glob(pattern))
