"""The archive's layout (export/BUNDLE.md): every byte but the files' own follows from their names and sizes.

What is read is written again, and both must be the same: so there is nothing to look for one by one.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from kit.errors import BrokenError

LOCAL, CENTRAL, END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")

NEEDED, MADE_BY, DATE, ATTRIBUTES = 10, 0x0314, 0x0021, 0x81A40000

ALIGNED, PADDING_ID, LEAST_PADDING = 4096, 0xD935, 6

MOST_FILES = 10_000


@dataclass(frozen=True)
class Entry:
    """A file of an archive: its name, its bytes and their CRC-32, and where its header lies."""

    name: str
    size: int
    crc: int
    offset: int

    @property
    def header(self) -> bytes:
        """What stands before its bytes."""
        name, extra = self.name.encode("ascii"), b""
        if self.size >= ALIGNED:
            zeros = -(self.offset + LOCAL.size + len(name) + LEAST_PADDING) % ALIGNED
            extra = struct.pack("<3H", PADDING_ID, 2 + zeros, ALIGNED) + bytes(zeros)
        sizes = (self.crc, self.size, self.size, len(name), len(extra))
        return LOCAL.pack(b"PK\3\4", NEEDED, 0, 0, 0, DATE, *sizes) + name + extra

    @property
    def start(self) -> int:
        """Of its bytes."""
        return self.offset + len(self.header)

    @property
    def record(self) -> bytes:
        """What the directory has of it."""
        name = self.name.encode("ascii")
        sizes = (self.crc, self.size, self.size, len(name))
        fixed = (b"PK\1\2", MADE_BY, NEEDED, 0, 0, 0, DATE, *sizes, 0, 0, 0, 0, ATTRIBUTES, self.offset)
        return CENTRAL.pack(*fixed) + name


def read(data: memoryview) -> list[Entry]:
    """The files of an archive.

    Raises:
        BrokenError: It is laid out otherwise; the first file that lies otherwise is named.
    """
    count, length, start = _end(data)
    entries = _directory(bytes(data[start : start + length]), count)
    place = 0
    for entry in entries:
        header = entry.header
        if entry.offset != place or bytes(data[place : place + len(header)]) != header:
            raise BrokenError(
                f"{entry.name}: must lie at byte {place} behind the header that it has there, got another"
            )
        place = entry.start + entry.size
    if place != start:
        raise BrokenError(f"archive must have its directory at byte {place}, got it at {start}")
    return entries


def _end(data: memoryview) -> tuple[int, int, int]:
    """How many files there are, and the length and the place of the directory."""
    if len(data) < END.size:
        raise BrokenError(f"archive must end with its directory, got {len(data)} bytes: it is cut short")
    tail = bytes(data[-END.size :])
    *_, count, length, start, _ = END.unpack(tail)
    wanted = END.pack(b"PK\5\6", 0, 0, count, count, length, start, 0)
    if tail != wanted or count > MOST_FILES or start + length != len(data) - END.size:
        raise BrokenError(
            "archive must end with its directory, got other bytes there: cut short, or something was added"
        )
    return count, length, start


def _directory(data: bytes, count: int) -> Sequence[Entry]:
    entries, place = [], 0
    for _ in range(count):
        if place + CENTRAL.size > len(data):
            raise BrokenError(f"archive must have {count} files in its directory, got {len(entries)}")
        fields = CENTRAL.unpack_from(data, place)
        name = data[place + CENTRAL.size : place + CENTRAL.size + fields[10]].decode("ascii", "replace")
        entry = Entry(name, fields[9], fields[7], fields[-1])
        if not name.isascii() or data[place : place + len(entry.record)] != entry.record:
            raise BrokenError(f"{name}: must be a plain stored file in the archive, got another kind or other fields")
        if entries and entries[-1].name >= name:
            raise BrokenError(f"{name}: must come before {entries[-1].name}, and once, got it behind")
        entries.append(entry)
        place += len(entry.record)
    if place != len(data):
        raise BrokenError(f"archive must have a directory of {place} bytes, got {len(data)}")
    return entries
