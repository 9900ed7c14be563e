"""Data files on disk: found or not, and their digest."""

from __future__ import annotations

import difflib
import hashlib
import os
from pathlib import Path

from edgesft.errors import Problem

_CHUNK_BYTES = 1 << 20


def place(text: str, base: Path) -> Path:
    """The path that a recipe means: `~` and `${VARIABLE}` are replaced, relative paths start from `base`."""
    return base / Path(os.path.expandvars(text)).expanduser()


def sha256(path: Path) -> str:
    """Digest of a file's bytes, read in pieces."""
    content = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            content.update(chunk)
    return content.hexdigest()


def missing(path: Path, field: str) -> Problem | None:
    """A problem naming the nearest sibling where `path` is not a file."""
    if path.is_file():
        return None
    if "$" in str(path):
        text = str(path)[str(path).index("$") :]
        return Problem(f"{field}: {text!r} names an environment variable that is not set", "export it first")
    if path.is_dir():
        return Problem(f"{field}: must be a file, got the folder {str(path)!r}", _siblings(path / path.name))
    return Problem(f"{field}: no such file {str(path)!r}", _siblings(path))


def _siblings(path: Path) -> str:
    folder = path.parent
    if not folder.is_dir():
        return f"there is no folder {str(folder)!r}; paths are relative to the recipe's folder"
    names = sorted(item.name for item in folder.iterdir() if item.is_file())
    close = difflib.get_close_matches(path.name, names, n=1)
    if close:
        return f"{str(folder / close[0])!r}"
    return f"files in {str(folder)!r}: {', '.join(names[:8]) or 'none'}; paths are relative to the recipe's folder"
