"""A real OpenSSH server on this machine's loopback, run by this user, with keys and settings of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgesft.measure.devices.ssh import Ssh

SSHD = "/usr/sbin/sshd"

ROOTS = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && mount --bind "$1" /etc/passwd && shift && exec "$@"'
"""Run by root, the server wants a folder that only an installed one has. In a view of its own of the file system it has
that, an account with another home and a plain shell, and what tests mount, all of which nobody else sees."""

SECONDS = 20.0
"""Longest wait for anything here."""


class Server:
    """It runs until `close`, which also ends the sessions that it has.

    Attributes:
        folder: Of its keys, settings and words.
        port: On 127.0.0.1.
        known: File of known hosts that has its key.
        identity: Private key that it lets in.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        """Starts it; skips the test where it cannot run.

        Args:
            folder: An empty one.
            settings: Further lines of its configuration.
        """
        if sys.platform != "linux" or not Path("/proc/self/stat").exists():
            pytest.skip("processes are found in Linux's /proc")
        if gone := [name for name in (SSHD, "ssh", "ssh-keygen") if not shutil.which(name)]:
            pytest.skip(f"{', '.join(gone)} must be installed: OpenSSH's server and client")
        self.folder, self.known, self.identity = folder, folder / "known hosts", save_key(folder / "me")
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self._host = save_key(folder / "host")
        self._settings = settings
        self.port = free_port()
        self._process = self._started()
        self.trust(self._host)
        self._try()

    def device(self, **changes: Any) -> Ssh:
        """A device that it is behind, with this interpreter; its files are kept in `there`."""
        given = {
            "port": self.port,
            "known_hosts": self.known,
            "identity": self.identity,
            "python": sys.executable,
            "folder": str(self.folder / "there"),
        }
        return Ssh(f"{self.user}@127.0.0.1", **{**given, **changes})

    def trust(self, key: Path) -> None:
        """Makes this host key the known one."""
        public = key.with_suffix(".pub").read_text().split()
        self.known.write_text(f"[127.0.0.1]:{self.port} {' '.join(public[:2])}\n")

    def sessions(self) -> list[int]:
        """Processes that serve a connection each."""
        return children(self._process.pid)

    def drop(self) -> None:
        """Breaks off every connection, as a cable that is pulled."""
        # Run by another user than root, a session is two processes, of which either alone would keep it.
        inner = [each for pid in self.sessions() for each in children(pid) if is_sshd(each)]
        for pid in (*self.sessions(), *inner):
            kill(pid)

    def close(self) -> None:
        """Ends it and its sessions."""
        self.drop()
        self._process.kill()
        self._process.wait()

    def _started(self) -> subprocess.Popen[bytes]:
        (self.folder / "conf").write_text(
            "\n".join(
                [
                    f"Port {self.port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {self._host}",
                    f"AuthorizedKeysFile {self.identity}.pub",
                    "StrictModes no",
                    "UsePAM no",
                    "PidFile none",
                    "PasswordAuthentication no",
                    *self._settings,
                    "",
                ]
            )
        )
        command = [SSHD, "-D", "-e", "-f", str(self.folder / "conf")]
        if os.getuid() == 0 and shutil.which("unshare"):
            command = ["unshare", "--mount", "sh", "-c", ROOTS, "sh", str(self._accounts()), *command]
        with (self.folder / "words").open("wb") as words:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words)
        if not wait_for(lambda: process.poll() is not None or "Server listening" in self._words()):
            process.kill()
        if process.poll() is not None:
            pytest.skip(f"sshd does not start here: {self._words()}")
        return process

    def _accounts(self) -> Path:
        """Accounts as they are here, but for this user's."""
        (self.folder / "home").mkdir()
        lines = Path("/etc/passwd").read_text().splitlines()
        fields = [line.split(":") for line in lines]
        lines = [
            ":".join([*each[:5], f"{self.folder}/home", "/bin/sh"] if each[0] == self.user else each) for each in fields
        ]
        (self.folder / "passwd").write_text("\n".join(lines) + "\n")
        return self.folder / "passwd"

    def _try(self) -> None:
        """Skips where it does not let this user in, as where the account is locked."""
        way = ["-p", str(self.port), "-i", str(self.identity), "-o", f'UserKnownHostsFile="{self.known}"']
        done = subprocess.run(
            ["ssh", "-T", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", *way, f"{self.user}@127.0.0.1", "true"],
            capture_output=True,
        )
        if done.returncode:
            self.close()
            pytest.skip(f"sshd does not let this user in: {self._words()}")

    def _words(self) -> str:
        return "; ".join((self.folder / "words").read_text("utf-8", "replace").splitlines())


def save_key(path: Path) -> Path:
    """A fresh key without a passphrase; the public one lies beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def children(pid: int) -> list[int]:
    """Processes that a process has started and that are not yet waited for."""
    return [each for each, parent in processes().items() if parent == pid]


def is_sshd(pid: int) -> bool:
    """Whether a process is a part of the server, and not what it has started."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().startswith("sshd")
    except OSError:
        return False


def marked(mark: str, *, there: bool = True) -> list[int]:
    """Processes that have this text in their environment (the agents there) or, else, in their command line."""
    found = []
    for pid in processes():
        try:
            text = Path(f"/proc/{pid}/{'environ' if there else 'cmdline'}").read_bytes()
        except OSError:
            continue
        if mark.encode() in text:
            found.append(pid)
    return found


def processes() -> dict[int, int]:
    """Processes that are no zombies, and the parent of each."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            found[int(folder.name)] = int(fields[1])
    return found


def kill(pid: int) -> None:
    """Ends a process that may have ended."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_for(condition: Any, seconds: float = SECONDS) -> bool:
    """Whether something comes true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return False
