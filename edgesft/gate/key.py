"""What figures of an artefact belong to: a model on a profile, by a runtime, on a machine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

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
    """

    model: str
    profile: str
    provider: str
    runtime: str
    threads: int = Field(ge=1)
    machine: Machine
    io: Io = "host"

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
    ) -> Key:
        """A key, of a machine as the agent tells of it (`agent.machine`)."""
        told = {name: machine.get(name) for name in Machine.model_fields}
        if told["instructions"] is not None:
            # Every agent lists them as it likes.
            told["instructions"] = tuple(sorted(told["instructions"]))
        return cls(
            model=model,
            profile=profile,
            provider=provider,
            runtime=runtime,
            threads=threads,
            machine=Machine(**told),
            io=io,
        )

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Key:
        """Inverse of `to_json`.

        Raises:
            pydantic.ValidationError: It is no key.
        """
        return cls.model_validate_json(json.dumps(data))

    def to_json(self) -> dict[str, Any]:
        """JSON form, every field readable."""
        return self.model_dump(mode="json")

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
    *("profile", "provider", "runtime", "threads", "io"),
    *(f"machine.{name}" for name in Machine.model_fields),
)
"""All fields but the model, which is never another one."""


def _shown(value: Any) -> str:
    if value is None:
        return "none told"
    return (" ".join(value) or "none") if isinstance(value, tuple) else str(value)
