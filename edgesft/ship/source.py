"""Where a bundle's files are: a folder, or an archive; read as something that anybody may have written."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import stat
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from edgesft.errors import InputError
from edgesft.ship import archive, names
from edgesft.ship.archive import CHUNK_BYTES, MOST_FILES, Entry
from edgesft.ship.finding import Finding, RefusedError

MOST_TEXT_BYTES = 1 << 24
"""Of a file that is read whole: a manifest of as many files as there may be has a fifth of that."""


class Source(ABC):
    """A bundle's files.

    Attributes:
        path: The folder or the archive.
        files: Name → bytes; folders are no entries of their own.
    """

    path: Path
    files: Mapping[str, int]

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """A file's bytes, at their start; those of an archive go on behind the file's end."""

    def digest(self, name: str) -> str:
        """A file's sha256.

        Raises:
            RefusedError: It has become shorter, or its checksum in the archive is another.
        """
        found = hashlib.sha256()
        for chunk in self.chunks(name):
            found.update(chunk)
        return found.hexdigest()

    def read(self, name: str, most: int = MOST_TEXT_BYTES) -> bytes:
        """A small file's bytes.

        Args:
            name: What it is called.
            most: How many it may have.

        Raises:
            RefusedError: It is not there, or not small.
        """
        if name not in self.files:
            raise RefusedError(Finding("must be there, got no such file", None, name, "missing"))
        if self.files[name] > most:
            message = f"must have at most {most} bytes, got {self.files[name]}"
            raise RefusedError(Finding(message, None, name, "changed"))
        found = bytearray()
        for chunk in self.chunks(name):
            found += chunk
        return bytes(found)

    def copy(self, name: str, target: Path) -> str:
        """Writes a file somewhere else; the sha256 of what was written."""
        target.parent.mkdir(parents=True, exist_ok=True)
        written = hashlib.sha256()
        with target.open("xb") as out:
            for chunk in self.chunks(name):
                out.write(chunk)
                written.update(chunk)
        return written.hexdigest()

    def view(self, name: str) -> memoryview:
        """A file's bytes where they lie, without reading what nobody looks at."""
        size = self.files[name]
        if not size:
            return memoryview(b"")
        with self.open(name) as file:
            start = file.tell()
            page = start - start % mmap.ALLOCATIONGRANULARITY
            mapped = mmap.mmap(file.fileno(), start - page + size, access=mmap.ACCESS_READ, offset=page)
        # It is unmapped when nobody holds a piece of it any more.
        return memoryview(mapped)[start - page :]

    def chunks(self, name: str) -> Iterator[memoryview | bytes]:
        """A file's bytes, piece by piece; each is gone when the next one comes."""
        left, buffer = self.files[name], memoryview(bytearray(CHUNK_BYTES))
        with self.open(name) as file:
            while left:
                count = file.readinto(buffer[: min(left, CHUNK_BYTES)])  # type: ignore[attr-defined]
                if not count:
                    message = f"must have {self.files[name]} bytes, got {self.files[name] - left}"
                    raise RefusedError(Finding(message, "copy it again", name, "changed"))
                left -= count
                yield buffer[:count]


class Folder(Source):
    """A bundle in a folder; links in it are not followed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files = found = dict[str, int]()
        self._walk(path, "", found)
        for one, other in names.clashes(sorted(self.files)):
            message = f"must be there once, got it beside '{one}', one file on some systems"
            raise RefusedError(Finding(message, None, other, "name"))

    def _walk(self, folder: Path, before: str, found: dict[str, int]) -> None:
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            name = f"{before}{entry.name}"
            if entry.is_symlink():
                raise RefusedError(Finding("must be a plain file, got a link", None, name, "link"))
            if wrong := names.wrong(name):
                raise RefusedError(Finding(f"a name {wrong}", "remove it", name, "extra"))
            if entry.is_dir(follow_symlinks=False):
                self._walk(folder / entry.name, f"{name}/", found)
                continue
            told = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(told.st_mode):
                raise RefusedError(Finding("must be a plain file, got a pipe, socket or device", None, name, "link"))
            if len(found) == MOST_FILES:
                raise RefusedError(Finding(f"files must be at most {MOST_FILES}, got more", None, None, "extra"))
            found[name] = told.st_size

    def open(self, name: str) -> BinaryIO:
        """A file's bytes."""
        try:
            handle = os.open(self.path / name, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise InputError(f"'{self.path / name}' must be a file that can be read, got: {error.strerror}") from error
        return os.fdopen(handle, "rb", buffering=0)


class Archive(Source):
    """A bundle in an archive; nothing is unpacked but what is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with path.open("rb") as file:
            self._entries: Mapping[str, Entry] = archive.read(file)
        self.files = {name: entry.size for name, entry in self._entries.items()}

    def open(self, name: str) -> BinaryIO:
        """A file's bytes."""
        file = self.path.open("rb", buffering=0)
        file.seek(self._entries[name].start)
        return file  # type: ignore[return-value]

    def chunks(self, name: str) -> Iterator[memoryview | bytes]:
        """A file's bytes; at their end the checksum is compared that other programs unpack by."""
        crc = 0
        for chunk in super().chunks(name):
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if crc != self._entries[name].crc:
            message = f"must have the CRC-32 {self._entries[name].crc:08x} of the archive, got {crc:08x}"
            raise RefusedError(Finding(message, "copy or download it again", name, "changed"))


def open_source(path: Path) -> Source:
    """A bundle's files.

    Raises:
        InputError: There is no such folder or archive.
        RefusedError: A link, a name that is no portable one, an archive that is laid out otherwise.
    """
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise InputError(f"bundle must be a folder or an archive that exists, got '{path}'", "edgesft pack RUN")
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise InputError(f"bundle must be a file that can be read, got '{path}': {error.strerror}") from error
    if head != archive.LOCAL_MARK:
        got = "an empty file" if not head else f"a file that begins with {head!r}"
        raise InputError(f"bundle must be a folder or a zip archive, got {got}: '{path}'", "edgesft pack RUN")
    return Archive(path)


@contextmanager
def unpacked(source: Source, wanted: Mapping[str, str], folder: Path) -> Iterator[Path]:
    """A folder that has some files of a bundle: its own, or one that an archive's are unpacked to.

    Args:
        source: The bundle's files.
        wanted: Name → sha256; what is unpacked is held against it once more.
        folder: Where to unpack.

    Raises:
        RefusedError: A file has other bytes than it had when it was looked at.
    """
    if isinstance(source, Folder):
        yield source.path
        return
    try:
        for name, sha256 in wanted.items():
            if (got := source.copy(name, folder / name)) != sha256:
                message = f"must have sha256 {sha256[:12]}…, got {got[:12]}…: it was changed meanwhile"
                raise RefusedError(Finding(message, "copy or download it again", name, "changed"))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
