"""Finds a device by what the user wrote: a name in a devices file, an address, or an interpreter."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from edgesft.errors import InputError
from edgesft.measure.devices import HERE, Device, Interpreter, adb, ssh
from edgesft.measure.devices.adb import Adb
from edgesft.measure.devices.device import Conditions
from edgesft.measure.devices.ssh import Ssh
from edgesft.spec import document, load
from edgesft.spec.devices import DeviceSpec, DevicesSpec
from edgesft.spec.problems import nearest

FILE = "devices.yaml"
"""Inspection for where the command runs."""

FORMS = "here, an interpreter, ssh://user@host[:port], adb://serial, or a name in a file of devices (--devices FILE)"


def pool(file: Path | None = None) -> tuple[dict[str, DeviceSpec], Path]:
    """Devices by name, and the folder that their paths are relative to.

    Args:
        file: By default `devices.yaml` here, where there is one.

    Raises:
        InputError: It cannot be read, or everything that is wrong with it.
    """
    place = file or Path(FILE)
    if file is None and not place.is_file():
        return {}, Path()
    return dict(load.validate(document.read(place), DevicesSpec).devices), place.parent.absolute()


def find(text: str, known: Mapping[str, DeviceSpec] | None = None, base: Path = Path()) -> Device:
    """The device that a text means; nothing is connected yet.

    Args:
        text: A name, an address, or an interpreter's path.
        known: Devices by name.
        base: Folder that their paths are relative to.

    Raises:
        InputError: It means none.
    """
    if known and text in known:
        return made(text, known[text], base)
    if text == HERE.label:
        return HERE
    address = urlsplit(text)
    if address.scheme == "ssh":
        return _ssh(text, address)
    if address.scheme == "adb":
        raise InputError(
            f"device '{text}' must stand in a file of devices, with its runner and libraries, got an address alone",
            f"devices: {{phone: {{adb: {address.netloc}, runner: runner, libraries: [libonnxruntime.so]}}}}",
        )
    if program := shutil.which(text):
        # Links of environments stay as they are: they say where packages lie.
        return Interpreter(Path(program).absolute(), label=text)
    hint = nearest(text, known) if known else FORMS
    raise InputError(f"device must be {FORMS}, got {text!r}", hint)


def _ssh(text: str, address: SplitResult) -> Ssh:
    try:
        named, port = address.hostname, address.port
    except ValueError:
        named = port = None
    if not named or address.path.strip("/") or address.query or address.fragment or address.password:
        raise InputError(f"device must be ssh://user@host[:port], got {text!r}", "ssh://pi@192.168.0.7")
    # Names of ssh's settings may have capital letters, which an address's host loses.
    start = address.netloc.lower().rindex(named)
    host = address.netloc[start : start + len(named)]
    return Ssh(f"{address.username}@{host}" if address.username else host, label=text, port=port)


def made(name: str, spec: DeviceSpec, base: Path) -> Device:
    """A device of a file.

    Raises:
        InputError: A file that it names is not there.
    """
    conditions = Conditions(
        environment={each: value.replace("{folder}", str(base)) for each, value in spec.environment.items()},
        cores=spec.cores or "",
        cool_c=spec.cool_c,
        cool_seconds=spec.cool_seconds,
    )
    if spec.adb:
        files = [_file(name, base / each) for each in (spec.runner or "", *spec.libraries)]
        return Adb(spec.adb, files[0], files[1:], label=name, folder=spec.folder or adb.FOLDER, conditions=conditions)
    if spec.ssh:
        return Ssh(
            spec.ssh,
            label=name,
            port=spec.port,
            identity=_file(name, base / spec.identity) if spec.identity else None,
            known_hosts=_file(name, base / spec.known_hosts) if spec.known_hosts else None,
            python=spec.python or "python3",
            folder=spec.folder or ssh.FOLDER,
            conditions=conditions,
        )
    python = spec.python or ""
    # A name without a folder may be one that the shell finds.
    place = Path(python) if "/" not in python and not (base / python).is_file() else _file(name, base / python)
    return Interpreter(place, label=name, conditions=conditions)


def _file(name: str, path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"device '{name}' must name files that exist, got no '{path}'")
    return path
