"""The archive: a zip without compression whose every byte follows from its files' names and contents.

What is read must be laid out as it is written here, byte for byte. So nothing can hide between the files or behind
them, no two readers can see two things in it, and nothing in it can unpack to more than it is. The format is PKWARE's
APPNOTE 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory) and 4.3.16 (its end).
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from edgesft.errors import InputError
from edgesft.ship import names
from edgesft.ship.finding import Finding, RefusedError

LOCAL, CENTRAL, END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
LOCAL_MARK, CENTRAL_MARK, END_MARK = b"PK\3\4", b"PK\1\2", b"PK\5\6"

NEEDED, MADE_BY = 10, 3 << 8 | 20
"""A reader of version 1.0 suffices; made on a system whose attributes are Unix's."""

DATE = 1 << 5 | 1
"""1 January 1980, the earliest: when a file was written is no part of a bundle."""

MODE = stat.S_IFREG | 0o644

ALIGNED, PADDING_ID = 4096, 0xD935
"""Files of a page or more begin at a page, to be mapped into memory where they lie; the space before them is an extra
field as Android's zipalign writes it (identifier, length, alignment, zeros)."""

LEAST_PADDING = 6
"""Bytes of such a field without zeros."""

MOST_FILES = 10_000
MOST_BYTES = 2**32 - 1
"""Of an archive: beyond it other headers would be needed (APPNOTE 4.4.1.4), and no store takes such a pack."""

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Entry:
    """A file of an archive.

    Attributes:
        name: What it is called.
        size: Its bytes.
        crc: Their CRC-32.
        offset: Of its header.
    """

    name: str
    size: int
    crc: int
    offset: int

    @property
    def header(self) -> bytes:
        """What stands before its bytes."""
        name = self.name.encode("ascii")
        extra = _padding(self.offset + LOCAL.size + len(name)) if self.size >= ALIGNED else b""
        fields = (LOCAL_MARK, NEEDED, 0, 0, 0, DATE, self.crc, self.size, self.size, len(name), len(extra))
        return LOCAL.pack(*fields) + name + extra

    @property
    def start(self) -> int:
        """Of its bytes."""
        return self.offset + len(self.header)

    @property
    def record(self) -> bytes:
        """What the directory has of it."""
        name = self.name.encode("ascii")
        fixed = (CENTRAL_MARK, MADE_BY, NEEDED, 0, 0, 0, DATE, self.crc, self.size, self.size)
        return CENTRAL.pack(*fixed, len(name), 0, 0, 0, 0, MODE << 16, self.offset) + name


def write(files: Mapping[str, Path], target: BinaryIO) -> None:
    """Writes an archive.

    Args:
        files: Name → file.
        target: Where to; at its start.

    Raises:
        InputError: They are more than an archive holds.
    """
    entries, offset = list[Entry](), 0
    total = sum(
        path.stat().st_size + ALIGNED + LOCAL.size + CENTRAL.size + 2 * len(name) for name, path in files.items()
    )
    if total > MOST_BYTES or len(files) > MOST_FILES:
        got = f"{len(files)} of {total / 1e9:.1f} GB"
        message = f"files of an archive must be at most {MOST_FILES} of {MOST_BYTES / 1e9:.1f} GB, got {got}"
        raise InputError(message, "a folder instead: --output without .zip; or fewer variants")
    for name in sorted(files):
        path = files[name]
        entry = Entry(name, path.stat().st_size, _crc(path), offset)
        target.write(entry.header)
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                target.write(chunk)
        entries.append(entry)
        offset = entry.start + entry.size
    directory = b"".join(entry.record for entry in entries)
    target.write(directory + _end(len(entries), len(directory), offset))


def read(file: BinaryIO) -> dict[str, Entry]:
    """The files of an archive, of which all but their contents has been checked.

    Raises:
        RefusedError: It is laid out otherwise; the first difference is named.
    """
    size = file.seek(0, os.SEEK_END)
    if size < END.size:
        raise _refused(f"must end with its directory, got {size} bytes: it is cut short")
    file.seek(size - END.size)
    mark, disk, first, here, count, length, start, comment = END.unpack(file.read(END.size))
    if mark != END_MARK:
        raise _refused("must end with its directory, got other bytes there: it is cut short, or something was added")
    if (disk, first, comment) != (0, 0, 0) or here != count or count > MOST_FILES:
        got = f"{count} files, {here} of them here, and a comment of {comment} bytes"
        raise _refused(f"must have at most {MOST_FILES} files in one piece and no comment, got {got}")
    if length > MOST_FILES * (CENTRAL.size + names.LONGEST):
        raise _refused(f"must have a directory of at most {MOST_FILES} files, got {length} bytes")
    if start + length != size - END.size:
        raise _refused(
            f"must have its directory at byte {size - END.size - length}, got {start}: bytes were added or lost"
        )
    file.seek(start)
    entries = _entries(file.read(length), count)
    _follow(entries, file, start)
    return {entry.name: entry for entry in entries}


def _entries(directory: bytes, count: int) -> list[Entry]:
    entries, place = list[Entry](), 0
    for _ in range(count):
        if place + CENTRAL.size > len(directory):
            raise _refused(f"must have {count} files in its directory, got {len(entries)}")
        mark, *fields = CENTRAL.unpack_from(directory, place)
        _made, _needed, flags, method, _time, _date, crc, packed, size = fields[:9]
        named, extra, comment, _disk, _inside, attributes, offset = fields[9:]
        name = directory[place + CENTRAL.size : place + CENTRAL.size + named].decode("latin-1")
        if mark != CENTRAL_MARK:
            raise _refused(f"must have {count} files in its directory, got {len(entries)}")
        if found := names.wrong(name):
            raise RefusedError(Finding(f"a name {found}", None, name, "name"))
        kind = stat.S_IFMT(attributes >> 16)
        if kind not in (0, stat.S_IFREG):
            word = "a link" if kind == stat.S_IFLNK else "something else"
            raise RefusedError(Finding(f"must be a plain file, got {word}", None, name, "link"))
        if flags & 1:
            raise _refused("must not be encrypted, got a file that is", name)
        if method or packed != size:
            raise _refused(f"must be stored as it is, got {packed} bytes that unpack to {size} (method {method})", name)
        entry = Entry(name, size, crc, offset)
        record = directory[place : place + CENTRAL.size + named + extra + comment]
        place += CENTRAL.size + named + extra + comment
        if record != entry.record:
            raise _refused("must have its record of the directory as it is written, got other flags or fields", name)
        entries.append(entry)
    if place != len(directory):
        raise _refused(f"must have a directory of {place} bytes, got {len(directory)}")
    for one, other in names.clashes(entry.name for entry in entries):
        told = "twice" if one == other else f"beside '{one}', one file on some systems"
        raise RefusedError(Finding(f"must be there once, got it {told}", None, other, "name"))
    return entries


def _follow(entries: list[Entry], file: BinaryIO, end: int) -> None:
    """Checks that the files lie one behind the other, in the order of their names, up to the directory."""
    place = 0
    for before, entry in zip([None, *entries], entries, strict=False):
        if before and before.name > entry.name:
            raise _refused(f"must come before '{before.name}', got it behind", entry.name)
        if entry.offset != place:
            raise _refused(
                f"must lie at byte {place}, got {entry.offset}: files overlap, or bytes lie between", entry.name
            )
        if entry.start + entry.size > end:
            raise _refused(f"must end before the directory at byte {end}, got {entry.start + entry.size}", entry.name)
        file.seek(place)
        if file.read(len(entry.header)) != entry.header:
            raise _refused("must have the header that the directory says, got another", entry.name)
        place = entry.start + entry.size
    if place != end:
        raise _refused(f"must end at byte {end}, got {place}: bytes lie before the directory")


def _end(count: int, length: int, start: int) -> bytes:
    return END.pack(END_MARK, 0, 0, count, count, length, start, 0)


def _padding(place: int) -> bytes:
    """The extra field after which bytes lie at a page."""
    zeros = -(place + LEAST_PADDING) % ALIGNED
    return struct.pack("<3H", PADDING_ID, 2 + zeros, ALIGNED) + bytes(zeros)


def _crc(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def _refused(message: str, name: str | None = None) -> RefusedError:
    subject = "" if name else "archive "
    return RefusedError(Finding(f"{subject}{message}", "copy or download it again", name, "archive"))
