"""What figures of an artefact belong to: a model on a profile, by a runtime, on a machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import PureWindowsPath
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from edgesft.measure.providers import PROVIDERS
from edgesft.spec.profile import Io


class Stored(BaseModel):
    """Part of a file that a team commits: types are meant as written, and a key that is not known is a slip."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=(), populate_by_name=True
    )


class Machine(Stored):
    """What stays the same of a machine when it is booted, updated or loaded; None where it does not tell."""

    architecture: str | None = None
    system: str | None = None
    model: str | None = None
    board: str | None = None
    cores: int | None = Field(None, ge=1)
    instructions: tuple[str, ...] | None = None


class Key(Stored):
    """Whose figures they are.

    Attributes:
        model: Name of the artefact.
        profile: Name of the device profile.
        provider: Execution provider.
        runtime: Version of onnxruntime.
        threads: Intra-op threads.
        machine: That measured, or counted.
        io: Where inputs lay before an inference and outputs after it; copies are part of the latency with `host` alone.
        options: Of the provider (`told`).
    """

    model: str
    profile: str
    provider: str
    runtime: str
    threads: int = Field(ge=1)
    machine: Machine
    io: Io = "host"
    options: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        model: str,
        profile: str,
        provider: str,
        runtime: str,
        threads: int,
        machine: Mapping[str, Any],
        io: Io = "host",
        options: Mapping[str, str] | None = None,
    ) -> Key:
        """A key, of a machine as the agent tells of it (`agent.machine`), and of the provider's options as given."""
        own = {name: machine.get(name) for name in Machine.model_fields}
        if own["instructions"] is not None:
            # Every agent lists them as it likes.
            own["instructions"] = tuple(sorted(own["instructions"]))
        return cls(
            model=model,
            profile=profile,
            provider=provider,
            runtime=runtime,
            threads=threads,
            machine=Machine(**own),
            io=io,
            options=told(provider, options or {}),
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Key:
        """Inverse of `to_json`.

        Raises:
            pydantic.ValidationError: It is no key.
        """
        return cls.model_validate_json(json.dumps(data))

    def to_json(self) -> dict[str, Any]:
        """JSON form, every field readable; without options where there are none, as in files that lack them."""
        return self.model_dump(mode="json", exclude=None if self.options else {"options"})

    @property
    def fields(self) -> dict[str, Any]:
        """All fields by name; those of the machine as `machine.cores`."""
        own = {name: getattr(self, name) for name in Key.model_fields if name != "machine"}
        return own | {f"machine.{name}": value for name, value in self.machine}

    def differences(self, base: Key, names: Iterable[str] = ()) -> list[str]:
        """Each field in which the baseline's key is another one: `runtime: the baseline has 1.31.0, this is 1.32.0`.

        Args:
            base: The baseline's.
            names: Of the fields that matter.
        """
        ours, theirs = self.fields, base.fields
        return [
            f"{name}: the baseline has {_shown(theirs[name])}, this is {_shown(ours[name])}"
            for name in names
            if ours[name] != theirs[name]
        ]

    @property
    def order(self) -> tuple[str, ...]:
        """Keys are sorted by this."""
        return tuple(f"{value:>4}" if isinstance(value, int) else _shown(value) for value in self.fields.values())


FIELDS = (
    *("profile", "provider", "options", "runtime", "threads", "io"),
    *(f"machine.{name}" for name in Machine.model_fields),
)
"""All fields but the model, which is never another one."""


def told(provider: str, options: Mapping[str, str]) -> tuple[str, ...]:
    """Options as a key has them: `name=value`, sorted.

    Those that are taken where nobody gives them are left out, and of a path all but its end: where files lie differs
    between machines.
    """
    known = PROVIDERS.get(provider)
    defaults = known.defaults if known else {}
    return tuple(
        # Windows' paths have both separators; whatever is no path is its own end.
        f"{name}={PureWindowsPath(value).name or value}"
        for name, value in sorted(options.items())
        if defaults.get(name) != value
    )


def _shown(value: Any) -> str:
    if value is None:
        return "none told"
    return (" ".join(value) or "none") if isinstance(value, tuple) else str(value)
