"""Closes a bundle: its manifest, its signature, and the one moment at which it appears."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from edgesft.errors import InputError
from edgesft.ship import archive, integrity, sign
from edgesft.ship.finding import RefusedError
from edgesft.ship.manifest import MANIFEST, SIGNATURE, Listed, Manifest
from edgesft.ship.sign import Signer
from edgesft.ship.source import Folder, Source, open_source
from edgesft.ship.variant import Variant
from edgesft.store.disk import guarded

ARCHIVE = ".zip"
"""Ending of what is to be an archive."""


def is_bundle(path: Path) -> bool:
    """Whether something looks like a bundle, whole or not."""
    return (path / MANIFEST).is_file() if path.is_dir() else path.is_file() and path.suffix == ARCHIVE


def seal(out: Path, name: str, version: int, variants: Sequence[Variant], signer: Signer | None) -> Manifest:
    """Writes the manifest of a folder's files and, where somebody signs, the signature."""
    source = Folder(out)
    found = integrity.digests(source, list(source.files))
    listed = {each: Listed(source.files[each], str(found[each])) for each in source.files}
    manifest = Manifest(name, version, listed, tuple(variants))
    (out / MANIFEST).write_bytes(manifest.dump())
    if signer:
        (out / SIGNATURE).write_bytes(sign.sign(signed(Folder(out), manifest), name, signer))
    return manifest


def signed(source: Source, manifest: Manifest) -> Mapping[str, str]:
    """What is signed: the digest of every file of the manifest, and its own."""
    return {name: each.sha256 for name, each in manifest.files.items()} | {MANIFEST: source.digest(MANIFEST)}


def endorse(bundle: Path, signer: Signer, output: Path | None = None, *, replace: bool = False) -> Manifest:
    """Signs a bundle that is there, in place of whoever signed it before.

    Args:
        bundle: Folder or archive.
        signer: Who signs.
        output: Folder or `.zip` to write the signed bundle to; None for the bundle itself.
        replace: Whether to replace a bundle that lies at `output`.

    Raises:
        RefusedError: A file is missing, extra or changed: nobody signs what is not what was packed.
        InputError: There is no such bundle, something is at `output` that must stay, or the key cannot be read.
        UnavailableError: model-signing is not installed, or the disk is full.
    """
    if output:
        require_free(output, replace=replace)
    source = open_source(bundle)
    manifest, findings = integrity.check(source)
    if findings:
        raise RefusedError(findings)
    signature = sign.sign(signed(source, manifest), manifest.name, signer)
    place = (output or bundle).absolute()
    with guarded(place.parent):
        place.parent.mkdir(parents=True, exist_ok=True)
        _put_signed(source, signature, place, anew=bool(output))
    return manifest


def _put_signed(source: Source, signature: bytes, place: Path, *, anew: bool) -> None:
    """Puts a bundle with its signature at its place; of a folder that lies there already, only the signature."""
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as folder:
        part = Path(folder) / SIGNATURE
        part.write_bytes(signature)
        if isinstance(source, Folder) and not anew:
            os.chmod(part, 0o644)
            os.replace(part, place / SIGNATURE)
        else:
            out = Path(folder) / "bundle"
            for name in source.files:
                source.copy(name, out / name)
            os.replace(part, out / SIGNATURE)
            put(out, place, Path(folder))


def require_free(target: Path, *, replace: bool) -> None:
    """Checks that a bundle may appear at a place.

    Raises:
        InputError: Something is there that must stay.
    """
    if target.exists() and not replace:
        raise InputError(f"output must not exist yet, got '{target}'", "--replace, or another --output")
    if target.exists() and not is_bundle(target):
        raise InputError(f"output must be a bundle where it is to be replaced, got '{target}'", "another --output")


def put(out: Path, target: Path, work: Path) -> None:
    """Moves a folder to its place, or an archive of it, which then has all of it or what was there before.

    Args:
        out: The folder, on the same disk.
        target: Where to; an archive where it ends in `.zip`.
        work: A folder for what is under way, on the same disk.
    """
    whole = out
    if target.suffix == ARCHIVE:
        whole = work / target.name
        with whole.open("xb") as file:
            archive.write({name: out / name for name in Folder(out).files}, file)
        os.chmod(whole, 0o644)
    else:
        os.chmod(out, 0o755)  # noqa: S103 - as any folder is made; the temporary one is its owner's alone
    with _aside(target, work):
        os.replace(whole, target)


@contextmanager
def _aside(target: Path, work: Path) -> Iterator[None]:
    """Moves a folder of before out of the way, and back where what comes fails; files are replaced at once."""
    if not target.is_dir():
        yield
        return
    before = work / "before"
    os.replace(target, before)
    try:
        yield
    except BaseException:
        os.replace(before, target)
        raise
