"""Whether a bundle's files are those of its manifest, byte for byte."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from edgesft.ship import manifest as manifests
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.manifest import MANIFEST, UNLISTED, Manifest
from edgesft.ship.source import Source

COPY = "copy or download it again"

WORKERS = 4
"""Threads that hash; beyond that the disk is what is waited for."""


def check(source: Source) -> tuple[Manifest, Sequence[Finding]]:
    """The manifest, and every file that differs from it: missing, extra or changed.

    Raises:
        RefusedError: There is no manifest, or it says what cannot be.
    """
    if MANIFEST not in source.files:
        message = "must be there, got none: no bundle, or one that lost it"
        raise RefusedError(Finding(message, "edgesft pack RUN", MANIFEST, "missing"))
    manifest = manifests.load(source.read(MANIFEST))
    listed, there = set(manifest.files), set(source.files) - set(UNLISTED)
    found = [
        Finding("must be there, the manifest lists it; got no such file", COPY, name, "missing")
        for name in listed - there
    ]
    found += [
        Finding("must be a file of the manifest, got one that it does not list", "remove it", name, "extra")
        for name in there - listed
    ]
    whole = []
    for name in listed & there:
        if source.files[name] != manifest.files[name].length:
            message = f"must have {manifest.files[name].length} bytes, got {source.files[name]}: it is changed"
            found.append(Finding(message, COPY, name, "changed"))
        else:
            whole.append(name)
    for name, got in digests(source, whole).items():
        if isinstance(got, RefusedError):
            found += got.findings
        elif got != manifest.files[name].sha256:
            message = f"must have sha256 {manifest.files[name].sha256[:12]}…, got {got[:12]}…: it is changed"
            found.append(Finding(message, COPY, name, "changed"))
    return manifest, sorted(found, key=lambda each: (each.kind, each.where or ""))


def digests(source: Source, wanted: Sequence[str]) -> Mapping[str, str | RefusedError]:
    """The sha256 of files, or what kept one from being read; the largest are begun first."""

    def digest(name: str) -> str | RefusedError:
        try:
            return source.digest(name)
        except RefusedError as error:
            return error

    order = sorted(wanted, key=lambda name: -source.files[name])
    workers = min(WORKERS, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        return dict(zip(order, pool.map(digest, order), strict=True))
