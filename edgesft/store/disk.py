"""Disk errors as clear messages, whichever library raised them."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgesft.errors import EdgesftError, UnavailableError

FULL = {errno.ENOSPC, errno.EDQUOT}
DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}

LEAST_BYTES = 1 << 20
"""With less than this left a write that failed without a reason is taken to have failed for lack of space."""


@contextmanager
def guarded(*folders: Path) -> Iterator[None]:
    """Turns a full or unwritable disk into `UnavailableError`; what is in the store stays there.

    Args:
        folders: Where the block writes.
    """
    try:
        yield
    except EdgesftError:
        raise
    except Exception as error:
        kind = error.errno if isinstance(error, OSError) else None
        # safetensors, torch and onnx report the system's error as text of exceptions of their own.
        if kind in FULL or "No space left" in str(error) or (kind is None and _full(folders)):
            raise UnavailableError(
                f"the disk is full: {error}",
                f"free some space in {' or '.join(map(str, folders))} and run the same command again; "
                "finished stages are kept",
            ) from error
        if isinstance(error, FileExistsError):
            raise UnavailableError(
                f"a folder must be writable: '{error.filename}' is a file",
                "choose another with --output or EDGESFT_STORE",
            ) from error
        if kind in DENIED:
            raise UnavailableError(
                f"a folder must be writable: {error}", "choose another with --output or EDGESFT_STORE"
            ) from error
        raise


def _full(folders: tuple[Path, ...]) -> bool:
    existing = [next(place for place in (folder, *folder.parents) if place.exists()) for folder in folders]
    return any(shutil.disk_usage(place).free < LEAST_BYTES for place in existing)


def require_writable(folder: Path) -> None:
    """Makes the folder and checks that files can be made in it.

    Raises:
        UnavailableError: They cannot.
    """
    import tempfile

    with guarded(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
