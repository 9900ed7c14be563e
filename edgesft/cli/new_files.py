"""Files that a command makes: new ones, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def require_new(target: Path) -> None:
    """Refuses a file that is there, and one in a folder that is not.

    Raises:
        InputError: Either.
    """
    from edgesft.errors import InputError

    if os.path.lexists(target):
        raise InputError(f"'{target}' must not exist yet", "name another file")
    if not target.parent.is_dir():
        raise InputError(f"the folder '{target.parent}' must exist", "make it first, or name a file in another")


def write(files: Mapping[Path, str]) -> None:
    """Writes new text files; one that cannot be written whole is taken away again."""
    from edgesft.store.disk import guarded

    for target, text in files.items():
        with guarded(target.parent):
            target.parent.mkdir(parents=True, exist_ok=True)
            # `x` also refuses what another process made since it was looked for.
            with target.open("x", encoding="utf-8", newline="\n") as file:
                try:
                    file.write(text)
                    file.flush()
                except OSError:
                    target.unlink()
                    raise
