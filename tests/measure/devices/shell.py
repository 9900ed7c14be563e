"""A device that is a folder of this machine: its shell is `sh`, started in that folder as in a home."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from edgesft.errors import UnavailableError
from edgesft.measure.devices.remote import Remote


class Shell(Remote):
    """It tells what it was sent.

    Attributes:
        home: Folder that its commands start in.
        programs: Folder of programs that go before the system's.
        sent: Names of the files that were sent to it.
    """

    def __init__(self, home: Path, folder: str = "kept") -> None:
        super().__init__("board", folder)
        self.home, self.programs = home, home / "programs"
        self.programs.mkdir(exist_ok=True)
        self.sent: list[str] = []
        self.open()

    def ready(self) -> None:
        pass

    def shell(self, script: str) -> str:
        path = f"{self.programs}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-c", script], cwd=self.home, env={**os.environ, "PATH": path}, capture_output=True, text=True
        )
        if done.returncode:
            raise UnavailableError(done.stderr.strip() or f"exit code {done.returncode}")
        return done.stdout

    def send(self, file: Path, place: str) -> None:
        self.sent.append(file.name)
        shutil.copyfile(file, self.home / place)

    def command(self, threads: int, script: Path) -> list[str]:
        return ["sh", "-c", f"cd '{self.home}' && exec python3 '{self.bring([script])}'"]

    def environment(self, threads: int) -> dict[str, str]:
        return dict(os.environ)

    def program(self, name: str, lines: str) -> Path:
        """A program of the device."""
        place = self.programs / name
        place.write_text(f"#!/bin/sh\n{lines}\n", "utf-8")
        place.chmod(0o755)
        return place
