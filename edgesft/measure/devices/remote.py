"""Devices behind a shell: files are kept there by their content, so that nothing is sent twice."""

from __future__ import annotations

import hashlib
import secrets
import shlex
import threading
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from edgesft.data.files import sha256
from edgesft.errors import UnavailableError
from edgesft.measure.devices.device import Conditions, Device, places

KEPT_DAYS = 30
"""What was not used for so long is removed when the device is next opened."""

SPARE_BYTES = 2**20
"""The disk must keep so much beyond what is sent."""

KILLED = 128
"""A shell's exit code of a command that a signal ended is this plus the signal's number (POSIX, 2.8.2)."""

State = tuple[Path, int, int]
"""A file with its bytes and when it was last changed: one that was written anew must be sent anew."""


class Remote(Device):
    """A device that a POSIX shell and a way to copy files lead to.

    `<folder>/blobs/<sha256>` are contents; `<folder>/sets/<key>` has some of them under their names.
    """

    def __init__(self, label: str, folder: str, conditions: Conditions | None = None) -> None:
        super().__init__(label, conditions)
        self.folder = folder
        self._brought: dict[tuple[State, ...], str] = {}
        # Several computers may send to one device at once, and process ids of containers are often the same.
        self._part = f"{secrets.token_hex(4)}.part"
        self._lock = threading.Lock()

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

    @abstractmethod
    def ready(self) -> None:
        """Connects, and `open`s, where that was not done.

        Raises:
            UnavailableError: The device cannot be reached, or cannot run an agent.
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
        with self._lock:
            self.ready()
            return self.kept(files)

    def kept(self, files: Sequence[Path]) -> str:
        """The same, where it is connected."""
        asked = [file.absolute() for file in files]
        known = tuple(_state(file) for file in asked)
        if known not in self._brought:
            self._brought[known] = self._bring(asked)
        return self._brought[known]

    def ending(self, code: int) -> str:
        """What an exit code of the shell there means."""
        return f"killed by signal {code - KILLED}" if KILLED < code < 2 * KILLED else super().ending(code)

    def _bring(self, files: Sequence[Path]) -> str:
        digests = {file: sha256(file) for file in files}
        names = dict(zip(files, places(files), strict=True))
        key = hashlib.sha256("\n".join(f"{digests[file]} {names[file]}" for file in files).encode()).hexdigest()[:32]
        for file in self._missing(digests):
            self._put(file, digests[file])
        self._gather(f"{self.folder}/sets/{key}", {names[file]: digests[file] for file in files})
        return f"{self.folder}/sets/{key}/{names[files[0]]}"

    def _gather(self, place: str, named: Mapping[str, str]) -> None:
        """Makes a folder of contents under their names."""
        blobs = {name: f"{self.folder}/blobs/{digest}" for name, digest in named.items()}

        def make(part: str) -> list[str]:
            folders = dict.fromkeys(shlex.quote(str(PurePosixPath(part, name).parent)) for name in blobs)
            links = [
                # Android forbids hard links where other systems have them.
                f"{{ ln -f {blob} {name} 2>/dev/null || cp {blob} {name}; }}"
                for blob, name in ((shlex.quote(blob), shlex.quote(f"{part}/{name}")) for name, blob in blobs.items())
            ]
            return [f"mkdir -p {' '.join(folders)}", *links]

        self.once(place, make)

    def once(self, place: str, make: Callable[[str], Sequence[str]]) -> None:
        """Makes a folder there unless there is one, whole or not at all.

        Args:
            place: The folder.
            make: Commands that make it at another place.
        """
        unfinished = f"{place}.{self._part}"
        where, part = shlex.quote(place), shlex.quote(unfinished)
        made = " && ".join([f"rm -rf {part}", *make(unfinished), f"mv {part} {where}"])
        self.shell(f"[ -d {where} ] || {{ {made}; }} || {{ rm -rf {part}; exit 1; }}; touch -c {where}")

    def _missing(self, digests: Mapping[Path, str]) -> list[Path]:
        """Files whose contents are not there, for which there is room; those that are, are marked as used."""
        files = {digest: file for file, digest in digests.items()}
        # Each script takes a while of its own, over a slow network or where the shell's start-up files do much.
        *lacking, told = self.shell(
            f"cd {shlex.quote(f'{self.folder}/blobs')} && "
            f"for d in {' '.join(files)}; do touch -c $d; [ -f $d ] || echo $d; done && df -Pk . | tail -n 1"
        ).splitlines() or [""]
        missing = [file for digest, file in files.items() if digest in lacking]
        if missing:
            self._require_room(sum(file.stat().st_size for file in missing), told.split())
        return missing

    def _require_room(self, needed: int, told: Sequence[str]) -> None:
        """Refuses what the disk has no room for, as the last line of `df -Pk` tells."""
        free = int(told[3]) * 1024 if len(told) > 3 and told[3].isdigit() else None
        if free is not None and free < needed + SPARE_BYTES:
            raise UnavailableError(
                f"the disk of {self.label} must have {(needed + SPARE_BYTES) / 1e6:.1f} MB free for what is measured, "
                f"got {free / 1e6:.1f} MB at {self.folder}",
                f"remove files there; those of edgesft are all in {self.folder}",
            )

    def _put(self, file: Path, digest: str) -> None:
        blob = f"{self.folder}/blobs/{digest}"
        self.send(file, f"{blob}.{self._part}")
        where, part = shlex.quote(blob), shlex.quote(f"{blob}.{self._part}")
        right = f'case "$told" in {digest}*) mv {part} {where};; *) rm -f {part}; echo other;; esac'
        if self.shell(f"told=$(sha256sum {part}) && {right}").strip():
            raise UnavailableError(
                f"'{file.name}' must arrive at {self.label} as it was sent, got other bytes there",
                "the same again; a disk or a cable may be failing",
            )


def _state(file: Path) -> State:
    told = file.stat()
    return file, told.st_size, told.st_mtime_ns
