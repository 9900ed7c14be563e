"""Content-addressed store: what is in it is complete, whenever the process that wrote it was killed."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgesft.errors import UnavailableError


def default_root() -> Path:
    """`EDGESFT_STORE`, else the platform's cache folder."""
    if place := os.environ.get("EDGESFT_STORE"):
        return Path(place)
    from platformdirs import user_cache_path

    return user_cache_path("edgesft")


class Store:
    """Objects (folders) and records (JSON) by content key.

    `objects/<key>/` and `records/<key>.json` appear by one rename, so each is either whole or absent. `work/<key>/`
    is what an unfinished step keeps for going on; it goes when the object appears.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = (root or default_root()).expanduser().absolute()

    def folder(self, key: str) -> Path | None:
        """The object's folder if it is there."""
        place = self.root / "objects" / key
        return place if place.is_dir() else None

    def make(self, key: str, build: Callable[[Path, Path], None]) -> Path:
        """The object's folder, built first if it is not there.

        Args:
            key: Content key.
            build: `build(out, work)` fills the empty folder `out`; `work` outlives a killed process.

        Raises:
            UnavailableError: The store cannot be written.
        """
        if found := self.folder(key):
            return found
        with self._lock(key):
            if found := self.folder(key):
                return found
            work = self._made(self.root / "work" / key)
            out = self.root / "incoming" / key
            shutil.rmtree(out, ignore_errors=True)  # What a killed process left.
            self._made(out)
            try:
                build(out, work)
                place = self._made(self.root / "objects") / key
                os.replace(out, place)
            finally:
                shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(work, ignore_errors=True)
            return place

    def record(self, key: str, measure: Callable[[], Any]) -> Any:
        """The JSON value under `key`; measured, and stored before it is returned, if it is not there."""
        place = self.root / "records" / f"{key}.json"
        if not place.is_file():
            with self._lock(key):
                if not place.is_file():
                    write_json(place, measure())
        return json.loads(place.read_text("utf-8"))

    @contextmanager
    def _lock(self, key: str) -> Iterator[None]:
        """One process builds an object; another that wants it waits. The system frees a killed process's lock."""
        from filelock import FileLock

        with FileLock(self._made(self.root / "locks") / f"{key}.lock"):
            yield

    @staticmethod
    def _made(folder: Path) -> Path:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnavailableError(
                f"the store's folder '{folder}' must be writable. Got: {error.strerror}",
                "set EDGESFT_STORE to a folder you may write to",
            ) from error
        return folder


def write_json(place: Path, value: Any) -> None:
    """Writes JSON so that a reader, or a killed process's successor, sees all of it or nothing."""
    place.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=place.name, dir=place.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(value, file, indent=1)
            file.write("\n")
        os.chmod(name, 0o644)
        os.replace(name, place)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remember(place: Path, make: Callable[[], Any]) -> Any:
    """A JSON value from a file, made and stored first where it is not there."""
    if not place.is_file():
        write_json(place, make())
    return json.loads(place.read_text("utf-8"))
