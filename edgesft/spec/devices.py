"""The devices file: names for the places where models are measured, and how to reach each."""

from __future__ import annotations

from pydantic import Field, model_validator

from edgesft.spec.base import Spec

KINDS = ("python", "ssh", "adb")
"""The ways to reach a device. Each device uses one. Over ssh, `python` is the interpreter on the remote machine."""


class DeviceSpec(Spec):
    """A place where models are measured: another interpreter on this machine, a machine over ssh, or a phone over
    adb.
    """

    python: str | None = None
    """Interpreter that has numpy and onnxruntime; a path on this machine is relative to this file. Over ssh the default
    is `python3`, and edgesft copies both packages there if they are missing."""
    environment: dict[str, str] = {}
    """Environment variables of the measuring process. `{folder}` is the folder of this file."""
    ssh: str | None = None
    """`user@host` or `host`, as ssh takes it."""
    port: int | None = Field(None, ge=1, le=65535)
    """Port for ssh."""
    identity: str | None = None
    """Private key file for ssh, relative to this file. By default, ssh's own choice."""
    known_hosts: str | None = None
    """File of known host keys for ssh, relative to this file. By default, the user's."""
    adb: str | None = None
    """Serial number, as `adb devices` shows it."""
    runner: str | None = None
    """Native runner built for the phone's processor, relative to this file."""
    libraries: tuple[str, ...] = ()
    """Libraries to copy next to the runner, relative to this file; `libonnxruntime.so` first."""
    folder: str | None = None
    """Folder on the device for edgesft's files. By default `.cache/edgesft` in the home folder, on a phone
    `/data/local/tmp/edgesft`."""
    cores: str | None = Field(None, pattern=r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$")
    """Cores that the model may run on, in taskset's notation: `4-7`."""
    cool_c: float | None = Field(None, gt=0, lt=120)
    """Measuring waits until the hottest sensor is at or below this temperature in °C."""
    cool_seconds: float = Field(300, gt=0)
    """Longest time to wait for the device to cool."""

    @model_validator(mode="after")
    def _one_way(self) -> DeviceSpec:
        if self.adb and (self.ssh or self.python):
            raise ValueError("must be reached in one way, got adb together with ssh or python")
        if not (self.adb or self.ssh or self.python):
            raise ValueError(f"must have one of {', '.join(KINDS)}")
        if self.adb and not (self.runner and self.libraries):
            raise ValueError("must have 'runner' and 'libraries' if it is reached by adb: phones have no Python")
        ways = {"ssh": ("port", "identity", "known_hosts"), "adb": ("runner", "libraries")}
        for way, names in ways.items():
            if given := [name for name in names if getattr(self, name) and not getattr(self, way)]:
                raise ValueError(f"must be reached by {way} if it has {', '.join(given)}")
        if self.folder and not (self.ssh or self.adb):
            raise ValueError("must be reached by ssh or adb if it has folder: on this machine files are not copied")
        return self


class DevicesSpec(Spec):
    """A file of devices."""

    devices: dict[str, DeviceSpec] = Field(min_length=1)
    """Name → device."""
