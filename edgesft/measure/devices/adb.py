"""A phone over adb: it has no Python, so that a native runner speaks the agent's lines there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from edgesft.errors import UnavailableError
from edgesft.measure.devices.device import Conditions
from edgesft.measure.devices.remote import Remote

FOLDER = "/data/local/tmp/edgesft"
"""Where Android lets programs of the shell's user run."""

SHELL_SECONDS = 120
"""Longest wait for one of the short scripts."""

SEND_BYTES = 10**6
"""A file is waited for a second longer for so many of its bytes: what the slowest wireless connections do."""

LOST = 0
"""Exit code of adb where the phone is gone before it told one (adb/client/commandline.cpp, read_and_dump): a runner has
it only where it was told to end."""

ABIS = {183: "arm64-v8a", 40: "armeabi-v7a", 62: "x86_64", 3: "x86"}
"""Processor of an ELF file (its `e_machine`) → Android's name of it."""

UNREACHED: Mapping[str, tuple[str, str]] = {
    r"device unauthorized": (
        "{label} must allow this computer, got: unauthorized",
        "unlock the phone and allow USB debugging",
    ),
    r"device offline": ("{label} must answer, got: offline", "unplug it and plug it in, or adb reconnect"),
    r"device '.*' not found": ("{label} must be connected, got no such device", "adb devices"),
    r"no devices": ("{label} must be connected, got no device at all", "adb devices; allow USB debugging on the phone"),
    r"no permissions|insufficient permissions": (
        "this user must be allowed to open {label}, got: no permissions",
        "Android's udev rules (developer.android.com/studio/run/device)",
    ),
    r"error: closed|: closed$|connection reset": (
        "the connection to {label} must hold, got it closed",
        "the same command again",
    ),
    r"No space left on device": ("the disk of {label} must have room, got: no space left", "remove files there"),
    r"Read-only file system": (
        "the disk of {label} must be written to, got: read-only",
        "folder: in the file of devices",
    ),
}
"""Pattern in the words of adb, or of the shell there → what it means, and what to try."""


class Adb(Remote):
    """A phone, or anything else that adb reaches."""

    def __init__(
        self,
        serial: str,
        runner: Path,
        libraries: Sequence[Path],
        *,
        label: str = "",
        folder: str = FOLDER,
        conditions: Conditions | None = None,
    ) -> None:
        """Nothing is asked of it yet.

        Args:
            serial: As `adb devices` shows it.
            runner: Native runner for its processor.
            libraries: What goes beside it, `libonnxruntime.so` first.
            label: What the person calls it.
            folder: Where files are kept there.
            conditions: What holds there.
        """
        super().__init__(label or f"adb://{serial}", folder, conditions)
        self.serial, self.runner, self.libraries = serial, runner, tuple(libraries)
        self._opened = False

    def command(self, threads: int, script: Path) -> list[str]:
        """Brings the runner and its libraries, and says how to run it."""
        place = self.bring([self.runner, *self.libraries])
        folder = str(PurePosixPath(place).parent)
        self.shell(f"chmod 755 {shlex.quote(place)}")
        # Qualcomm's libraries have parts for the signal processor, which its driver looks for in a variable of its own.
        settings = {"LD_LIBRARY_PATH": folder, "ADSP_LIBRARY_PATH": folder, **self.conditions.environment}
        words = ["env", *(f"{name}={value}" for name, value in settings.items())]
        words += ["taskset", _mask(self.conditions.cores)] if self.conditions.cores else []
        runner = [place, "--runtime", f"{folder}/{self.libraries[0].name}"]
        # Where this end is gone, adbd ends what it started, and not what a shell in between did (shell_service.cpp).
        return self._adb("shell", "-T", f"exec {shlex.join([*words, *runner])}")

    def environment(self, threads: int) -> dict[str, str]:
        """Adb's own: this process's."""
        return dict(os.environ)

    def ready(self) -> None:
        """Asks it for its processor and makes the folders, the first time."""
        if self._opened:
            return
        abis = self.shell("getprop ro.product.cpu.abilist").strip().split(",")
        built = _abi(self.runner)
        if built and abis != [""] and built not in abis:
            raise UnavailableError(
                f"the runner must be built for {' or '.join(abis)}, as {self.label} needs it, got one for {built}",
                "export/runner/README.md says how",
            )
        self.open()
        self._opened = True

    def shell(self, script: str) -> str:
        """What a script prints there."""
        return self._run("shell", "-T", script)

    def send(self, file: Path, place: str) -> None:
        """Copies a file."""
        try:
            self._run("push", str(file), place, seconds=SHELL_SECONDS + file.stat().st_size / SEND_BYTES)
        except UnavailableError:
            # Part of it would fill the disk even more.
            with suppress(UnavailableError):
                self.shell(f"rm -f {shlex.quote(place)}")
            raise

    def ending(self, code: int) -> str:
        """What an exit code of adb means."""
        return f"the connection to {self.label} was lost" if code == LOST else super().ending(code)

    def _adb(self, *words: str) -> list[str]:
        return ["adb", "-s", self.serial, *words]

    def _run(self, *words: str, seconds: float | None = None) -> str:
        try:
            done = subprocess.run(
                self._adb(*words),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds or SHELL_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"{self.label} must answer, got silence", "adb devices") from error
        except OSError as error:
            raise UnavailableError(f"adb must be installed, got: {error}", "Android's platform tools") from error
        if done.returncode:
            raise self._failed((done.stderr + done.stdout).decode("utf-8", "replace"), done.returncode)
        return done.stdout.decode("utf-8", "replace")

    def _failed(self, words: str, code: int) -> UnavailableError:
        told = words.strip()
        for pattern, (message, hint) in UNREACHED.items():
            if re.search(pattern, told):
                return UnavailableError(message.format(label=self.label), hint)
        told = told or f"exit code {code}"
        return UnavailableError(f"{self.label} must carry out what is asked, got: {told}")


def _abi(program: Path) -> str | None:
    """Android's name of the processor that a program is for; None where it is no ELF file."""
    with program.open("rb") as file:
        head = file.read(20)
    return ABIS.get(int.from_bytes(head[18:20], "little")) if head.startswith(b"\x7fELF") else None


def _mask(cores: str) -> str:
    """`f0` for `4-7`: Android's taskset takes a mask in hexadecimal digits and no list."""
    mask = 0
    for part in cores.split(","):
        low, _, high = part.partition("-")
        mask |= sum(1 << core for core in range(int(low), int(high or low) + 1))
    return f"{mask:x}"
