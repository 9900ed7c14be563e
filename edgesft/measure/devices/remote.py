"""Devices behind a shell: files are kept there by their content, so that nothing is sent twice."""

from __future__ import annotations

import hashlib
import os
import shlex
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path

from edgesft.data.files import sha256
from edgesft.errors import UnavailableError
from edgesft.measure.devices.device import Conditions, Device

KEPT_DAYS = 30
"""What was not used for so long is removed when the device is next opened."""

SPARE_BYTES = 2**20
"""The disk must keep so much beyond what is sent."""


class Remote(Device):
    """A device that a POSIX shell and a way to copy files lead to.

    `<folder>/blobs/<sha256>` are contents; `<folder>/sets/<key>` has some of them under their names.
    """

    def __init__(self, label: str, folder: str, conditions: Conditions | None = None) -> None:
        super().__init__(label, conditions)
        self.folder = folder
        self._brought: dict[tuple[Path, ...], str] = {}

    @abstractmethod
    def shell(self, script: str) -> str:
        """What a script prints there.

        Raises:
            UnavailableError: The device cannot be reached, or the script failed.
        """

    @abstractmethod
    def send(self, file: Path, place: str) -> None:
        """Copies a file to a place there.

        Raises:
            UnavailableError: The connection was lost, or the disk there is full.
        """

    def open(self) -> None:
        """Makes the folders, and removes what was not used for a long time."""
        where = shlex.quote(self.folder)
        self.shell(
            f"mkdir -p {where}/blobs {where}/sets && cd {where} && "
            f"find blobs -type f -mtime +{KEPT_DAYS} -exec rm -f {{}} + && "
            f"find sets -mindepth 1 -maxdepth 1 -mtime +{KEPT_DAYS} -exec rm -rf {{}} + && "
            # A copy that was broken off is of no use; one of today may still be going on.
            "find blobs sets -name '*.part' -mtime +0 -prune -exec rm -rf {} +"
        )

    def bring(self, files: Sequence[Path]) -> str:
        """Path there of the first of the files."""
        known = tuple(file.absolute() for file in files)
        if known not in self._brought:
            self._brought[known] = self._bring(known)
        return self._brought[known]

    def _bring(self, files: Sequence[Path]) -> str:
        digests = {file: sha256(file) for file in files}
        key = hashlib.sha256("\n".join(f"{digests[file]} {file.name}" for file in files).encode()).hexdigest()[:32]
        place = f"{self.folder}/sets/{key}"
        missing = self._missing(digests, files)
        if missing:
            self._require_room(sum(file.stat().st_size for file in missing))
        for file in missing:
            self._put(file, digests[file])
        unfinished = f"{place}.{os.getpid()}.part"
        where, part = shlex.quote(place), shlex.quote(unfinished)
        links = " && ".join(
            # Android forbids hard links where other systems have them.
            f"{{ ln -f {blob} {name} 2>/dev/null || cp {blob} {name}; }}"
            for blob, name in (
                (shlex.quote(f"{self.folder}/blobs/{digests[file]}"), shlex.quote(f"{unfinished}/{file.name}"))
                for file in files
            )
        )
        used = " ".join(shlex.quote(f"{self.folder}/blobs/{digest}") for digest in digests.values())
        make = f"rm -rf {part} && mkdir -p {part} && {links} && mv {part} {where}"
        self.shell(f"[ -d {where} ] || {{ {make}; }} && touch {used} {where}")
        return f"{place}/{files[0].name}"

    def _missing(self, digests: dict[Path, str], files: Sequence[Path]) -> list[Path]:
        asked = " ".join(dict.fromkeys(digests.values()))
        blobs = shlex.quote(f"{self.folder}/blobs")
        # A set may outlive contents that were removed for their age; then it is made anew of what is sent.
        lacking = set(self.shell(f"cd {blobs} && for d in {asked}; do [ -f $d ] || echo $d; done").split())
        first: dict[str, Path] = {}
        for file in files:
            first.setdefault(digests[file], file)
        return [file for digest, file in first.items() if digest in lacking]

    def _require_room(self, needed: int) -> None:
        told = self.shell(f"df -Pk {shlex.quote(self.folder)} | tail -n 1").split()
        free = int(told[3]) * 1024 if len(told) > 3 and told[3].isdigit() else None
        if free is not None and free < needed + SPARE_BYTES:
            raise UnavailableError(
                f"the disk of {self.label} must have {(needed + SPARE_BYTES) / 1e6:.1f} MB free for what is measured, "
                f"got {free / 1e6:.1f} MB at {self.folder}",
                f"remove files there; those of edgesft are all in {self.folder}",
            )

    def _put(self, file: Path, digest: str) -> None:
        blob = f"{self.folder}/blobs/{digest}"
        part = f"{blob}.{os.getpid()}.part"
        self.send(file, part)
        told = self.shell(f"sha256sum {shlex.quote(part)}").split()
        if not told or told[0] != digest:
            self.shell(f"rm -f {shlex.quote(part)}")
            raise UnavailableError(
                f"'{file.name}' must arrive at {self.label} as it was sent, got other bytes there",
                "the same again; a disk or a cable may be failing",
            )
        self.shell(f"mv {shlex.quote(part)} {shlex.quote(blob)}")
