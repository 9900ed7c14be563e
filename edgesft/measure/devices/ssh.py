"""A machine over ssh: OpenSSH's own client, one connection for all, and Python with onnxruntime found or brought."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path

from edgesft.errors import UnavailableError
from edgesft.measure.agent import HOST
from edgesft.measure.devices.device import Conditions, variables
from edgesft.measure.devices.remote import Remote
from edgesft.measure.devices.runtime import runtime

SSH = "ssh"
"""OpenSSH's client, as the shell finds it: the user's own settings of hosts, keys and jumps hold."""

FOLDER = ".cache/edgesft"

CONNECT_SECONDS = 15
"""Longest wait for a connection."""

ALIVE_SECONDS, ALIVE_COUNT = 5, 3
"""A silent connection is asked so often whether it still lives, and given up after so many questions."""

SHELL_SECONDS = 600
"""Longest wait for one of the short scripts: a slow card takes minutes to read some gigabytes again for their digest.
A connection that is lost is seen long before."""

LOST = 255
"""Exit code of ssh itself, whatever the command there does (man ssh)."""

SETTINGS = (
    *("BatchMode=yes", f"ServerAliveInterval={ALIVE_SECONDS}", f"ServerAliveCountMax={ALIVE_COUNT}"),
    # What the user's settings may have for a shell of their own would answer in the agent's place, or outlive it.
    *("RemoteCommand=none", "ClearAllForwardings=yes", "PermitLocalCommand=no", "ControlMaster=no"),
    # Otherwise a quiet ssh says nothing of why it fails.
    *("ControlPersist=no", "LogLevel=INFO"),
)
"""Of every ssh here (man ssh_config)."""

UNREACHED: Mapping[str, tuple[str, str]] = {
    "REMOTE HOST IDENTIFICATION HAS CHANGED": (
        "the host key of {label} must be the one that is known, got another: it is another machine, or someone listens",
        "ask who looks after it; if the change is meant, {forget} and connect once by hand: {by_hand}",
    ),
    "Host key verification failed": (
        "the host key of {label} must be known, got one that is not",
        "connect once by hand and compare its fingerprint: {by_hand}",
    ),
    "Permission denied": (
        "{label} must let this user in by key, got: permission denied",
        "ssh-copy-id, or identity: FILE in the file of devices; passwords are not asked for. By hand: {by_hand}",
    ),
    "Could not resolve hostname": ("the host of {label} must have an address, got none", "its name, or its address"),
    "Connection refused": ("{label} must run an ssh server, got: connection refused", "the port, or start sshd there"),
    "timed out": ("{label} must answer, got silence", "that it is on, and on the same network"),
    "No route to host": ("{label} must be reachable, got: no route to host", "that it is on, and on the same network"),
    "Network is unreachable": ("{label} must be reachable, got: network is unreachable", "this machine's own network"),
    "too long for Unix domain socket": ("the path of ssh's socket must be shorter, got: {told}", "TMPDIR=/tmp"),
}
"""Words of ssh itself → what it means, and what to try."""

FULL: Mapping[str, tuple[str, str]] = {
    "No space left on device": ("the disk of {label} must have room, got: no space left", "remove files there"),
    "Disk quota exceeded": ("the disk of {label} must have room, got: disk quota exceeded", "remove files there"),
    "Read-only file system": (
        "the disk of {label} must be written to, got: read-only",
        "folder: in the file of devices",
    ),
}
"""Words of the shell there → the same."""


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
            python: Interpreter there; a path may be relative to the home folder.
            folder: Where files are kept there, relative to the home folder.
            conditions: What holds there.
        """
        # Every command starts at home, and what is quoted has no ~.
        super().__init__(label or f"ssh://{host}" + (f":{port}" if port else ""), folder.removeprefix("~/"), conditions)
        self.host, self.python = host, python.removeprefix("~/")
        self._way = ["-p", str(port)] if port else []
        # Ssh replaces what follows a %, and splits a list of files at spaces that are not quoted.
        self._way += ["-i", str(identity).replace("%", "%%"), "-o", "IdentitiesOnly=yes"] if identity else []
        quoted = str(known_hosts).replace("%", "%%")
        self._way += ["-o", f'UserKnownHostsFile="{quoted}"'] if known_hosts else []
        self._port, self._known_hosts = port, known_hosts
        self._master: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._site = ""
        self._finalizer: weakref.finalize | None = None

    def command(self, threads: int, script: Path) -> list[str]:
        """Connects where that was not done, brings the agent, and says how to run it."""
        place = self.bring([script])
        brought = {"PYTHONPATH": self._site} if self._site else {}
        # The agent ends when its input does, whatever it is doing: nobody there could end it then.
        settings = {**variables(threads), HOST: "-1", **brought, **self.conditions.environment}
        words = ["env", *(f"{name}={value}" for name, value in settings.items())]
        words += ["taskset", "-c", self.conditions.cores] if self.conditions.cores else []
        # The shell stays, for of a command that a signal ends ssh tells nothing but its own exit code.
        return self._ssh(f"{shlex.join([*words, self.python, place])}; exit $?")

    def environment(self, threads: int) -> dict[str, str]:
        """Ssh's own: this process's."""
        return {**os.environ, "LC_ALL": "C"}

    def ready(self) -> None:
        """Opens the connection that all commands share, makes the folders, and looks for an interpreter."""
        if self._master is not None and self._master.poll() is None:
            return
        self.close()
        try:
            self._start()
            self.open()
            self._site = runtime(self, self.python)
        except BaseException:
            # Half of this must not pass for all of it the next time.
            self.close()
            raise

    def shell(self, script: str) -> str:
        """What a script prints there."""
        return self._done(self._run(script))

    def send(self, file: Path, place: str) -> None:
        """Copies a file through the connection; there is no longest wait, for it is watched over."""
        where = shlex.quote(place)
        script = f"cat > {where} || {{ rm -f {where}; exit 1; }}"
        with file.open("rb") as source:
            self._done(
                subprocess.run(
                    self._ssh(_told_in_english(script)), stdin=source, capture_output=True, env=self.environment(1)
                )
            )

    def ending(self, code: int) -> str:
        """What an exit code of ssh means."""
        return f"the connection to {self.label} was lost" if code == LOST else super().ending(code)

    def close(self) -> None:
        """Ends the connection; what was brought stays for the next time."""
        if self._finalizer is not None:
            self._finalizer()
        self._master = self._socket = self._finalizer = None
        self._brought.clear()

    def _start(self) -> None:
        """Starts the process that holds the connection.

        It holds it for a `cat` there, which ends with its input: so it ends itself where this process is killed.
        """
        folder = tempfile.TemporaryDirectory(prefix="edgesft-")
        self._socket = Path(folder.name) / "ssh"
        words = Path(folder.name) / "words"
        with words.open("wb") as errors:
            try:
                self._master = subprocess.Popen(
                    [SSH, "-M", "-S", str(self._socket), *self._options(), "--", self.host, "exec cat"],
                    stdin=subprocess.PIPE,
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
                raise self._failed(words.read_text("utf-8", "replace") or "timed out", LOST)
            time.sleep(0.02)

    def _options(self) -> list[str]:
        """Of every ssh to it."""
        settings = (*SETTINGS, f"ConnectTimeout={CONNECT_SECONDS}")
        return ["-T", *(word for setting in settings for word in ("-o", setting)), *self._way]

    def _ssh(self, script: str) -> list[str]:
        # Where the shared connection is lost, or takes no more of them, ssh makes one of its own.
        shared = ["-S", str(self._socket)] if self._socket else []
        return [SSH, *shared, *self._options(), "--", self.host, f"sh -c {shlex.quote(script)}"]

    def _run(self, script: str) -> subprocess.CompletedProcess[bytes]:
        try:
            return subprocess.run(
                self._ssh(_told_in_english(script)),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SHELL_SECONDS,
                env=self.environment(1),
            )
        except subprocess.TimeoutExpired as error:
            raise self._failed("timed out", LOST) from error

    def _done(self, done: subprocess.CompletedProcess[bytes]) -> str:
        if done.returncode:
            raise self._failed(_words(done), done.returncode)
        return done.stdout.decode("utf-8", "replace")

    def _failed(self, words: str, code: int) -> UnavailableError:
        """What ssh, or the shell there, means by its words."""
        told = words.strip()
        for mark, (message, hint) in (UNREACHED if code == LOST else FULL).items():
            if mark in words:
                known = {"label": self.label, "told": told, "by_hand": self._by_hand(), "forget": self._forget()}
                return UnavailableError(message.format(**known), hint.format(**known))
        if code == LOST:
            return UnavailableError(f"the connection to {self.label} must hold, got: {told}", "the same command again")
        return UnavailableError(f"{self.label} must carry out what is asked, got: {told}")

    def _by_hand(self) -> str:
        """What a person types to connect."""
        return shlex.join([SSH, *self._way, self.host])

    def _forget(self) -> str:
        """What a person types so that the host's key is no longer known."""
        name = self.host.rpartition("@")[2]
        file = ["-f", str(self._known_hosts)] if self._known_hosts else []
        return shlex.join(
            ["ssh-keygen", *file, "-R", f"[{name}]:{self._port}" if self._port not in (None, 22) else name]
        )


def _told_in_english(script: str) -> str:
    """A script whose commands tell in English why they fail."""
    return f"export LC_ALL=C; {script}"


def _words(done: subprocess.CompletedProcess[bytes]) -> str:
    """What a command said of why it failed."""
    # An account that has no shell says so on standard output.
    said = (done.stderr.strip() or done.stdout.strip()).decode("utf-8", "replace")
    return said or f"exit code {done.returncode}"


def _end(master: subprocess.Popen[bytes], folder: tempfile.TemporaryDirectory[str]) -> None:
    """Ends the connection's process, also where nobody closed the device."""
    master.kill()
    master.wait()
    if master.stdin is not None:
        master.stdin.close()
    folder.cleanup()
