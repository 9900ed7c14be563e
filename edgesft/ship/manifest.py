"""The manifest: every file of a bundle with its length and digest, and which model is for which device."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgesft.ship import canonical, names
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.variant import NAME, Variant

MANIFEST, SIGNATURE = "manifest.json", "signature.json"

UNLISTED = (MANIFEST, SIGNATURE)
"""Files that the manifest does not list: itself, and what is signed after it."""

SCHEMA, SCHEMA_VERSION = "edgesft/bundle", 1

DIGEST = re.compile(r"[0-9a-f]{64}")

KEYS = {"schema", "schema_version", "name", "version", "files", "variants"}


@dataclass(frozen=True)
class Listed:
    """A file as the manifest has it.

    Attributes:
        length: Its bytes.
        sha256: Their digest.
    """

    length: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a bundle says it is.

    Attributes:
        name: Of the bundle; the run's.
        version: Of the bundle, from 1 on; later ones are higher, so that a device refuses an older one.
        files: Name → what it must be.
        variants: The models, the first one that fits a device is its own.
    """

    name: str
    version: int
    files: Mapping[str, Listed]
    variants: Sequence[Variant] = field(default_factory=tuple)

    def dump(self) -> bytes:
        """What `manifest.json` holds."""
        return canonical.dump(
            {
                "schema": SCHEMA,
                "schema_version": SCHEMA_VERSION,
                "name": self.name,
                "version": self.version,
                "files": {name: {"length": each.length, "sha256": each.sha256} for name, each in self.files.items()},
                "variants": [variant.to_json() for variant in self.variants],
            }
        )


def load(data: bytes) -> Manifest:
    """Reads `manifest.json`; nothing in it is trusted.

    Raises:
        RefusedError: It is damaged, of a newer format, or says what cannot be.
    """
    said = canonical.load(data, MANIFEST, "manifest", floats=False)
    if not isinstance(said, dict) or said.get("schema") != SCHEMA:
        got = said.get("schema") if isinstance(said, dict) else said
        raise _refused(f"schema must be '{SCHEMA}', got {_got(got)}")
    version = said.get("schema_version")
    if type(version) is not int or not 1 <= version <= SCHEMA_VERSION:
        message = f"schema_version must be 1 to {SCHEMA_VERSION} for this edgesft, got {_got(version)}"
        raise RefusedError(Finding(message, "pip install --upgrade edgesft", MANIFEST, "manifest"))
    if set(said) != KEYS:
        raise _refused(f"keys must be {', '.join(sorted(KEYS))}, got {', '.join(sorted(said))}")
    if not isinstance(said["name"], str) or not NAME.fullmatch(said["name"]):
        raise _refused(f"name must be letters, digits and . _ -, at most 100, got {_got(said['name'])}")
    if type(said["version"]) is not int or not 1 <= said["version"] < 2**53:
        raise _refused(f"version must be a whole number from 1 on, got {_got(said['version'])}")
    files = _files(said["files"])
    variants = said["variants"]
    if not isinstance(variants, list) or not variants:
        raise _refused(f"variants must be a list of at least one model, got {_got(variants)}")
    found = [Variant.from_json(each) for each in variants]
    if twice := _twice([variant.name for variant in found]):
        raise _refused(f"variants must have names of their own, got '{twice}' twice")
    for variant in found:
        if lacking := [name for name in variant.files if name not in files]:
            raise _refused(f"variant '{variant.name}' must be made of files of the manifest, got '{lacking[0]}'")
    return Manifest(said["name"], said["version"], files, tuple(found))


def _files(said: Any) -> dict[str, Listed]:
    if not isinstance(said, dict) or not said:
        raise _refused(f"files must be an object from name to length and sha256, got {_got(said)}")
    found = {}
    for name, each in said.items():
        if problem := names.wrong(name):
            raise RefusedError(Finding(f"a name {problem}: '{name}'", None, MANIFEST, "name"))
        if name in UNLISTED:
            raise _refused(f"files must not list '{name}', got it")
        if not isinstance(each, dict) or set(each) != {"length", "sha256"}:
            raise _refused(f"files.{name} must have length and sha256, got {_got(each)}")
        length, digest = each["length"], each["sha256"]
        if type(length) is not int or length < 0:
            raise _refused(f"files.{name}.length must be a whole number, got {_got(length)}")
        if not isinstance(digest, str) or not DIGEST.fullmatch(digest):
            raise _refused(f"files.{name}.sha256 must be 64 hexadecimal digits, got {_got(digest)}")
        found[name] = Listed(length, digest)
    for one, other in names.clashes(sorted(found)):
        raise RefusedError(
            Finding(f"files must be one on every system, got '{one}' and '{other}'", None, MANIFEST, "name")
        )
    return found


def _twice(said: Sequence[str]) -> str | None:
    return next((name for place, name in enumerate(said) if name in said[:place]), None)


def _got(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _refused(message: str) -> RefusedError:
    return RefusedError(Finding(message, "pack the run again", MANIFEST, "manifest"))
