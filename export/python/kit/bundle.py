"""A bundle's files: a folder or an archive, whole before anything in it is parsed (export/BUNDLE.md)."""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import re
import stat
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from kit import archive
from kit.errors import BrokenError, InputError

MANIFEST, SIGNATURE, RAW = "manifest.json", "signature.json", "raw.json"

SCHEMAS = {
    MANIFEST: "edgesft/bundle",
    "contract.json": "edgesft/contract",
    "golden.json": "edgesft/golden",
    RAW: "edgesft/raw",
}

PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_+-])?")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
LONGEST, DEEPEST = 200, 8


class Bundle:
    """A bundle; nothing of it is trusted before `check`.

    Attributes:
        path: The folder or the archive.
        sizes: File → its bytes.
        manifest: What `manifest.json` says.
    """

    def __init__(self, path: str | Path) -> None:
        """Finds its files and reads its manifest.

        Raises:
            InputError: There is no such folder or archive.
            BrokenError: It is laid out otherwise than a bundle, or of a newer format.
        """
        self.path = Path(path)
        self._mapped: dict[str, memoryview] = {}
        self._entries: Mapping[str, archive.Entry] = {}
        if self.path.is_dir():
            self.sizes: dict[str, int] = {}
            self._walk(self.path, "")
        elif self.path.is_file():
            self._whole = _mapped(self.path)
            if bytes(self._whole[:4]) != b"PK\3\4":
                raise InputError(f"bundle must be a folder or a zip archive, got another file: '{path}'")
            self._entries = {entry.name: entry for entry in archive.read(self._whole)}
            self.sizes = {name: entry.size for name, entry in self._entries.items()}
        else:
            raise InputError(f"bundle must be a folder or an archive that exists, got '{path}'")
        self.manifest = self._manifest()

    @property
    def packed(self) -> bool:
        """Whether it is an archive."""
        return not self.path.is_dir()

    @cached_property
    def contract(self) -> dict[str, Any]:
        """What device code must know besides the weights."""
        return self.json("contract.json")

    def view(self, name: str) -> memoryview:
        """A file's bytes where they lie."""
        if name not in self.sizes:
            raise BrokenError(f"{name}: must be a file of the bundle, got none")
        if self.packed:
            entry = self._entries[name]
            return self._whole[entry.start : entry.start + entry.size]
        if name not in self._mapped:
            self._mapped[name] = _mapped(self.path / name)
        return self._mapped[name]

    def json(self, name: str) -> dict[str, Any]:
        """A JSON file's object.

        Raises:
            BrokenError: It is no JSON, of another schema, or of a newer version of it.
        """
        try:
            said = json.loads(bytes(self.view(name)), object_pairs_hook=_object)
        except ValueError as error:
            raise BrokenError(f"{name}: must be JSON, got: {error}") from error
        schema, version = (said.get(key) if isinstance(said, dict) else None for key in ("schema", "schema_version"))
        if name in SCHEMAS and (schema, version) != (SCHEMAS[name], 1):
            raise BrokenError(f"{name}: must be version 1 of {SCHEMAS[name]}, got version {version} of {schema}")
        return said

    def check(self) -> None:
        """Holds every file against the manifest.

        Raises:
            BrokenError: Files are missing, extra or changed; all of them are named.
        """
        listed = self.manifest["files"]
        there = set(self.sizes) - {MANIFEST, SIGNATURE}
        wrong = [f"{name}: must be there, got no such file" for name in sorted(set(listed) - there)]
        wrong += [f"{name}: must not be there, the manifest does not list it" for name in sorted(there - set(listed))]
        wrong += [
            f"{name}: must have {listed[name]['length']} bytes, got {self.sizes[name]}"
            for name in sorted(there & set(listed))
            if listed[name]["length"] != self.sizes[name]
        ]
        # A length is checked before a digest: nobody hashes gigabytes that should not be there.
        wrong = wrong or [found for name in self.sizes if (found := self._changed(name))]
        if wrong:
            raise BrokenError("\n".join(wrong))

    def _changed(self, name: str) -> str | None:
        data = self.view(name)
        entry, listed = self._entries.get(name), self.manifest["files"].get(name)
        if entry and zlib.crc32(data) != entry.crc:
            return f"{name}: must have the checksum that the archive says, got another: it was changed"
        if listed and hashlib.sha256(data).hexdigest() != listed["sha256"]:
            return f"{name}: must have the sha256 of the manifest, got another: it was changed"
        return None

    def _walk(self, folder: Path, before: str) -> None:
        for entry in sorted(os.scandir(folder), key=lambda each: each.name):
            name = f"{before}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                self._walk(folder / entry.name, f"{name}/")
                continue
            told = entry.stat(follow_symlinks=False)
            if not stat.S_ISREG(told.st_mode):
                raise BrokenError(f"{name}: must be a plain file, got a link, pipe, socket or device")
            self.sizes[name] = told.st_size

    def _manifest(self) -> dict[str, Any]:
        for name in self.sizes:
            if wrong := misnamed(name):
                raise BrokenError(f"a name {wrong}: '{name}'")
        said = self.json(MANIFEST)
        try:
            wrong = [name for name, each in said["files"].items() if misnamed(name) or not _is_listed(each)]
            wrong += [file for each in said["variants"] for file in each["files"] if file not in said["files"]]
            kept = said["variants"] and all(each["file"] == each["files"][0] for each in said["variants"])
            wrong += [name for each in said["variants"] for name in _apart(each)]
            wrong += [each["name"] for each in said["variants"] if not _is_compiled(each)]
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            raise BrokenError(f"{MANIFEST}: must have name, version, files and variants, got another form") from error
        folded = [name.lower() for name in said["files"]]
        if wrong or not kept or len(set(folded)) != len(folded):
            raise BrokenError(f"{MANIFEST}: must list files by name, length and sha256, got '{(wrong or folded)[0]}'")
        return said


def misnamed(name: str) -> str | None:
    """Why no file of a bundle may be called so; None where it may."""
    parts = name.split("/")
    if len(name) > LONGEST or len(parts) > DEEPEST:
        return f"must have at most {LONGEST} characters and {DEEPEST} parts"
    if not all(PART.fullmatch(part) and not RESERVED.fullmatch(part) for part in parts):
        return "must be relative, of letters, digits and _ . + -, and no device's on Windows"
    return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key twice")
    return found


def _is_listed(said: Any) -> bool:
    return isinstance(said["length"], int) and isinstance(said["sha256"], str)


def _apart(said: Any) -> list[str]:
    """Graphs of a variant that are no file of it, or the same one as another."""
    own = list(said.get("graphs", {}).items())
    files = [said["file"], *(file for _, file in own)]
    return [name for name, file in own if file not in said["files"] or files.count(file) > 1 or name == "model"]


def _is_compiled(said: Any) -> bool:
    """Whether a variant says what it was compiled for, if it was and not otherwise."""
    if said["form"] != "context":
        return "compiled" not in said
    return all(isinstance(said["compiled"][name], str) for name in ("chip", "sdk")) and "*" not in said["providers"]


def _mapped(path: Path) -> memoryview:
    """A file's bytes, which are read when they are looked at."""
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
