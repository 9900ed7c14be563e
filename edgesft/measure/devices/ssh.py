"""A machine over ssh: OpenSSH's own client, one connection for all, and Python with onnxruntime found or brought."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesft.errors import UnavailableError
from edgesft.measure.devices import wheels
from edgesft.measure.devices.device import Conditions, variables
from edgesft.measure.devices.remote import Remote

SSH = "ssh"
"""OpenSSH's client, as the shell finds it: the user's own settings of hosts, keys and jumps hold."""

FOLDER = ".cache/edgesft"

CONNECT_SECONDS = 15
"""Longest wait for a connection."""

ALIVE_SECONDS, ALIVE_COUNT = 5, 3
"""A silent connection is asked so often whether it still lives, and given up after so many questions."""

SHELL_SECONDS = 120
"""Longest wait for one of the short scripts."""

LOST = 255
"""Exit code of ssh itself, whatever the command there does (man ssh)."""

REASONS: Mapping[str, tuple[str, str]] = {
    "REMOTE HOST IDENTIFICATION HAS CHANGED": (
        "the host key of {label} must be the one that is known, got another: it is another machine, or someone listens",
        "ask who looks after it; if the change is meant, ssh-keygen -R {host} and connect once by hand",
    ),
    "Host key verification failed": (
        "the host key of {label} must be known, got one that is not",
        "connect once by hand (ssh {host}) and compare its fingerprint, or ssh-keyscan into known_hosts",
    ),
    "Permission denied": (
        "{label} must let this user in by key, got: permission denied",
        "ssh-copy-id {host}, or identity: FILE in the file of devices; passwords are not asked for",
    ),
    "Could not resolve hostname": ("the host of {label} must have an address, got none", "its name, or its address"),
    "Connection refused": ("{label} must run an ssh server, got: connection refused", "the port, or start sshd there"),
    "timed out": ("{label} must answer, got silence", "that it is on, and on the same network"),
    "No route to host": ("{label} must be reachable, got: no route to host", "that it is on, and on the same network"),
    "No space left on device": ("the disk of {label} must have room, got: no space left", "remove files there"),
    "Disk quota exceeded": ("the disk of {label} must have room, got: disk quota exceeded", "remove files there"),
}
"""Words of ssh or of the shell there → what it means, and what to try."""

PROBE = """
import json, platform, sys
def version(name):
    try:
        return __import__(name).__version__
    except Exception:
        return None
print(json.dumps({"python": list(sys.version_info[:2]), "machine": platform.machine(), "system": platform.system(),
    "libc": platform.libc_ver()[1], "onnxruntime": version("onnxruntime"), "numpy": version("numpy")}))
"""
"""What the interpreter there is, and whether it has what the agent needs."""


class Ssh(Remote):
    """A machine that ssh reaches by key; its host key must be known, as ssh's own settings have it."""

    def __init__(
        self,
        host: str,
        *,
        label: str = "",
        port: int | None = None,
        identity: Path | None = None,
        known_hosts: Path | None = None,
        python: str = "python3",
        folder: str = FOLDER,
        conditions: Conditions | None = None,
    ) -> None:
        """Nothing is connected yet.

        Args:
            host: `user@host` or `host`.
            label: What the person calls it.
            port: Of the server; by default ssh's own settings.
            identity: File of the private key.
            known_hosts: File of the keys of known hosts.
            python: Interpreter there.
            folder: Where files are kept there, relative to the home folder.
            conditions: What holds there.
        """
        super().__init__(label or f"ssh://{host}" + (f":{port}" if port else ""), folder, conditions)
        self.host, self.python = host, python
        options = ["-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_SECONDS}"]
        options += ["-o", f"ServerAliveInterval={ALIVE_SECONDS}", "-o", f"ServerAliveCountMax={ALIVE_COUNT}"]
        options += ["-p", str(port)] if port else []
        options += ["-i", str(identity), "-o", "IdentitiesOnly=yes"] if identity else []
        options += ["-o", f"UserKnownHostsFile={known_hosts}"] if known_hosts else []
        self._options = options
        self._master: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._site = ""
        self._finalizer: weakref.finalize | None = None

    def command(self, threads: int, script: Path) -> list[str]:
        """Connects where that was not done, brings the agent, and says how to run it."""
        self._connect()
        place = self.bring([script])
        brought = {"PYTHONPATH": self._site} if self._site else {}
        settings = {**variables(threads), **brought, **self.conditions.environment}
        words = ["env", *(f"{name}={value}" for name, value in settings.items())]
        words += ["taskset", "-c", self.conditions.cores] if self.conditions.cores else []
        return self._ssh("exec " + shlex.join([*words, self.python, place]))

    def environment(self, threads: int) -> dict[str, str]:
        """Ssh's own: this process's."""
        return {**os.environ, "LC_ALL": "C"}

    def shell(self, script: str) -> str:
        """What a script prints there."""
        self._connect()
        done = self._run(script)
        if done.returncode:
            raise self._failed(done.stderr.decode("utf-8", "replace"), done.returncode)
        return done.stdout.decode("utf-8", "replace")

    def send(self, file: Path, place: str) -> None:
        """Copies a file through the connection."""
        with file.open("rb") as source:
            done = subprocess.run(
                self._ssh(f"cat > {shlex.quote(place)} || {{ rm -f {shlex.quote(place)}; exit 1; }}"),
                stdin=source,
                capture_output=True,
                env=self.environment(1),
            )
        if done.returncode:
            raise self._failed(done.stderr.decode("utf-8", "replace"), done.returncode)

    def ending(self, code: int) -> str:
        """What an exit code of ssh means."""
        return f"the connection to {self.label} was lost" if code == LOST else super().ending(code)

    def close(self) -> None:
        """Ends the connection; what was brought stays for the next time."""
        if self._finalizer is not None:
            self._finalizer()
        self._master = self._socket = self._finalizer = None
        self._brought.clear()

    def _connect(self) -> None:
        """Opens the connection that all commands share, makes the folders, and looks for an interpreter."""
        if self._master is not None and self._master.poll() is None:
            return
        self.close()
        folder = tempfile.TemporaryDirectory(prefix="edgesft-")
        self._socket = Path(folder.name) / "ssh"
        words = Path(folder.name) / "words"
        with words.open("wb") as errors:
            try:
                self._master = subprocess.Popen(
                    [SSH, "-M", "-S", str(self._socket), "-N", *self._options, self.host],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env=self.environment(1),
                )
            except OSError as error:
                folder.cleanup()
                raise UnavailableError(f"ssh must be installed, got: {error}", "OpenSSH's client") from error
        self._finalizer = weakref.finalize(self, _end, self._master, folder)
        ends = time.monotonic() + CONNECT_SECONDS + ALIVE_SECONDS
        while not self._socket.exists():
            if self._master.poll() is not None or time.monotonic() > ends:
                told = words.read_text("utf-8", "replace") or "timed out"
                self.close()
                raise self._failed(told, LOST)
            time.sleep(0.02)
        self.open()
        self._site = self._runtime()

    def _runtime(self) -> str:
        """Folder of what the interpreter there lacks and was brought; empty where it lacks nothing.

        Raises:
            UnavailableError: There is no interpreter, or nothing can be brought for it.
        """
        done = self._run(f"{shlex.quote(self.python)} -c {shlex.quote(PROBE)}")
        if done.returncode:
            raise UnavailableError(
                f"{self.label} must have the interpreter '{self.python}', got: "
                f"{done.stderr.decode('utf-8', 'replace').strip() or f'exit code {done.returncode}'}",
                "install Python 3.11 or newer there, or python: PATH in the file of devices",
            )
        facts = json.loads(done.stdout.decode().splitlines()[-1])
        if facts["onnxruntime"] and facts["numpy"]:
            return ""
        return self._unpacked(facts)

    def _unpacked(self, facts: Mapping[str, Any]) -> str:
        """Brings wheels of numpy and onnxruntime for the machine there, and unpacks them: it may lack pip, too."""
        found = wheels.fetch(facts["machine"], tuple(facts["python"]), facts["libc"], of=self.label)
        brought = Path(self.bring(found)).parent
        site = f"{brought}-site"
        where, part, python = (shlex.quote(each) for each in (site, f"{site}.part", self.python))
        unpack = " && ".join(f"{python} -m zipfile -e {shlex.quote(str(brought / file.name))} {part}" for file in found)
        self.shell(f"[ -d {where} ] || {{ rm -rf {part} && mkdir {part} && {unpack} && mv {part} {where}; }}")
        # The agent starts in the home folder, which relative paths are relative to.
        home = self.shell("pwd").strip()
        return site if site.startswith("/") else f"{home}/{site}"

    def _ssh(self, script: str) -> list[str]:
        shared = ["-S", str(self._socket)] if self._socket else []
        return [SSH, *shared, *self._options, self.host, f"sh -c {shlex.quote(script)}"]

    def _run(self, script: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._ssh(script),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SHELL_SECONDS,
                env=self.environment(1),
            )
        except subprocess.TimeoutExpired as error:
            raise self._failed("timed out", LOST) from error

    def _failed(self, words: str, code: int) -> UnavailableError:
        """What ssh, or the shell there, means by its words."""
        for mark, (message, hint) in REASONS.items():
            if mark in words:
                known = {"label": self.label, "host": self.host}
                return UnavailableError(message.format(**known), hint.format(**known))
        told = words.strip() or f"exit code {code}"
        if code == LOST:
            return UnavailableError(f"the connection to {self.label} must hold, got: {told}", "the same command again")
        return UnavailableError(f"{self.label} must carry out what is asked, got: {told}")


def _end(master: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    """Ends the connection's process, also where nobody closed the device."""
    master.kill()
    master.wait()
    folder.cleanup()
