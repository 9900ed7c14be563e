"""What a file of devices says: names for the places that models are measured at, and how each is reached."""

from __future__ import annotations

from pydantic import Field, model_validator

from edgesft.spec.base import Spec

KINDS = ("python", "ssh", "adb")
"""How a device is reached; each of them has one. Over ssh, `python` is the interpreter there."""


class DeviceSpec(Spec):
    """A place where models are measured: another interpreter here, a machine over ssh, or a phone over adb."""

    python: str | None = None
    """Interpreter that has numpy and onnxruntime; a path here is relative to this file. Over ssh by default `python3`,
    which is brought both where it lacks them."""
    environment: dict[str, str] = {}
    """Variables of the measuring process; `{folder}` is this file's."""
    ssh: str | None = None
    """`user@host` or `host`, as ssh takes it."""
    port: int | None = Field(None, ge=1, le=65535)
    """Of ssh."""
    identity: str | None = None
    """File of the private key, relative to this file; by default what ssh finds."""
    known_hosts: str | None = None
    """File of the keys of known hosts, relative to this file; by default the user's."""
    adb: str | None = None
    """Serial number as `adb devices` shows it."""
    runner: str | None = None
    """Native runner for the phone's processor, relative to this file."""
    libraries: tuple[str, ...] = ()
    """Libraries that go beside the runner, `libonnxruntime.so` first; relative to this file."""
    folder: str | None = None
    """Where files are kept on the device; by default `.cache/edgesft` at home, on a phone `/data/local/tmp/edgesft`."""
    cores: str | None = Field(None, pattern=r"^[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*$")
    """Cores that the model may run on, as taskset takes them: `4-7`."""
    cool_c: float | None = Field(None, gt=0, lt=120)
    """A model is not measured before the hottest sensor is at or below this."""
    cool_seconds: float = Field(300, gt=0)
    """Longest wait for that."""

    @model_validator(mode="after")
    def _one_way(self) -> DeviceSpec:
        if self.adb and (self.ssh or self.python):
            raise ValueError("must be reached in one way, got adb beside ssh or python")
        if not (self.adb or self.ssh or self.python):
            raise ValueError(f"must have one of {', '.join(KINDS)}")
        if self.adb and not (self.runner and self.libraries):
            raise ValueError("must have 'runner' and 'libraries' where it is reached by adb: phones have no Python")
        ways = {"ssh": ("port", "identity", "known_hosts"), "adb": ("runner", "libraries")}
        for way, names in ways.items():
            if given := [name for name in names if getattr(self, name) and not getattr(self, way)]:
                raise ValueError(f"must be reached by {way} where it has {', '.join(given)}")
        if self.folder and not (self.ssh or self.adb):
            raise ValueError("must be reached by ssh or adb where it has folder: here files stay where they are")
        return self


class DevicesSpec(Spec):
    """A file of devices."""

    devices: dict[str, DeviceSpec] = Field(min_length=1)
    """Name → device."""
