"""The baseline: a committed file of figures that later models are compared with."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, ValidationError, field_validator

from edgesft.errors import InputError, Problem
from edgesft.gate.figures import Figures, figures_of
from edgesft.gate.key import Key, Machine, Stored
from edgesft.spec.document import Document
from edgesft.spec.gate import GrowthSpec
from edgesft.spec.problems import nearest, problems

__all__ = ["Acceptance", "Baseline", "Entry", "Figures", "Key", "Machine", "figures_of"]

SCHEMA, SCHEMA_VERSION = "edgesft/baseline", 1

LINES = tuple(f"max_growth.{name}" for name in GrowthSpec.model_fields)
"""Lines of which a failure can be accepted."""

CONFLICTS = ("<<<<<<<", "=======", ">>>>>>>")
"""How git marks what it could not merge."""

NEW = "edgesft baseline update CHECK.json --baseline {path}"

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def _time(text: Any) -> Any:
    """Refuses what tells no moment."""
    if isinstance(text, str):
        try:
            told = datetime.fromisoformat(text)
        except ValueError:
            told = None
        if told is None or told.tzinfo is None:
            raise ValueError("must be a date and time with its zone, as 2030-01-02T03:04:05+00:00")
    return text


Time = Annotated[str, BeforeValidator(_time)]


class Entry(Stored):
    """One artefact's figures.

    Attributes:
        key: Whose they are.
        figures: What they are.
        sha256: Of the model.
        bytes: Its size, external data included.
        created: When it was checked.
        commit: That was checked out then, or None where nobody told.
    """

    key: Key
    figures: Figures
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(gt=0)
    created: Time
    commit: str | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        told = self.model_dump(mode="json", exclude={"key", "figures"})
        return {"key": self.key.to_json(), **told, "figures": self.figures.to_json()}


class Acceptance(Stored):
    """A failure that is let through for a while.

    Attributes:
        line: `max_growth.size`.
        model: Name of the artefact.
        profile: Name of the device profile, or None for every one.
        up_to: Share of growth that is accepted; more still fails.
        reason: Why.
        until: Last day, by UTC.
    """

    line: str
    model: str
    profile: str | None = None
    up_to: float = Field(gt=0)
    reason: str
    until: date

    @field_validator("line")
    @classmethod
    def _known(cls, line: str) -> str:
        if line not in LINES:
            raise ValueError(f"must be a line of growth, such as {hint(line)}")
        return line

    @field_validator("reason")
    @classmethod
    def _said(cls, reason: str) -> str:
        if not reason.strip():
            raise ValueError("must say why, in words")
        return reason

    @property
    def subject(self) -> tuple[str, str, str]:
        """What is accepted of what; a file has each once, sorted by this."""
        return self.line, self.model, self.profile or ""

    def expired(self, today: date) -> bool:
        """Whether it is over; its last day still counts."""
        return self.until < today

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return self.model_dump(mode="json", exclude_none=True)


class _File(Stored):
    form: str = Field(alias="schema")
    schema_version: int
    entries: tuple[Entry, ...]
    accepted: tuple[Acceptance, ...] = ()


@dataclass(frozen=True)
class Baseline:
    """What such a file says.

    Attributes:
        path: The file, as the user named it.
        entries: By key; each key once.
        accepted: By line, model and profile; each of these once.
    """

    path: Path
    entries: tuple[Entry, ...] = ()
    accepted: tuple[Acceptance, ...] = ()

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Reads it.

        Raises:
            InputError: It cannot be read, is damaged, no baseline or of a newer edgesft; entries or acceptances are
                malformed or stand there twice. All of those are told.
        """
        data = document(path, SCHEMA, SCHEMA_VERSION, NEW.format(path=path))
        held = validated(path, data, _File)
        twice = [
            *_twice(path, "entries", held.entries, lambda entry: entry.key),
            *_twice(path, "accepted", held.accepted, lambda accepted: accepted.subject),
        ]
        if twice:
            raise InputError(twice)
        return cls(path, held.entries, held.accepted)

    def of(self, model: str) -> list[Entry]:
        """The entries of a model.

        Raises:
            InputError: There is none.
        """
        if found := [entry for entry in self.entries if entry.key.model == model]:
            return found
        names = sorted({entry.key.model for entry in self.entries})
        got = f"those of {', '.join(map(repr, names))}" if names else "none at all"
        raise InputError(
            f"baseline '{self.path}' must have an entry of model '{model}', got {got}",
            f"{nearest(model, names)}, or {NEW.format(path=self.path)}" if names else NEW.format(path=self.path),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "entries": [each.to_json() for each in sorted(self.entries, key=lambda entry: entry.key.order)],
            "accepted": [each.to_json() for each in sorted(self.accepted, key=lambda accepted: accepted.subject)],
        }

    def text(self) -> str:
        """The file's text: the same for the same content, a value a line, so that a review shows what changed."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n"


def hint(line: str) -> str:
    """The nearest of the lines that can be accepted; one may forget that they begin with `max_growth.`."""
    return f"'max_growth.{line}'" if f"max_growth.{line}" in LINES else nearest(line, LINES)


def document(path: Path, schema: str, version: int, otherwise: str) -> dict[str, Any]:
    """A JSON file of a schema.

    Args:
        path: The file.
        schema: That it must be of.
        version: The newest that is known.
        otherwise: Hint of what makes such a file.

    Raises:
        InputError: It cannot be read, is no whole JSON, or is of another schema or a newer version.
    """
    data = _json(path, otherwise)
    if data.get("schema") != schema:
        message = f"schema of '{path}' must be '{schema}', got {data.get('schema')!r}"
        raise InputError(message, otherwise)
    told = data.get("schema_version")
    if type(told) is not int or told < 1:
        raise InputError(f"schema_version of '{path}' must be a whole number from 1 on, got {told!r}")
    if told > version:
        message = f"schema_version of '{path}' must be at most {version} for this edgesft, got {told}"
        raise InputError(message, "pip install --upgrade edgesft")
    return data


def validated(path: Path, data: dict[str, Any], schema: type[M]) -> M:
    """What a file says, if it is as the schema tells.

    Raises:
        InputError: Every place where it is not.
    """
    try:
        return schema.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise InputError(problems(error, Document(str(path), data), schema)) from None


def _json(path: Path, otherwise: str) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        data = json.loads(text)
    except json.JSONDecodeError as error:
        got = f"{error.msg} in line {error.lineno}, column {error.colno}: it is cut short or damaged"
        merging = any(line.startswith(CONFLICTS) for line in text.splitlines())
        tip = "settle the conflict that git marked there" if merging else "copy it again, or check it out again"
        raise InputError(f"'{path}' must be whole JSON, got {got}", tip) from None
    except RecursionError:
        raise InputError(f"'{path}' must be JSON of a few levels, got values nested too deep", otherwise) from None
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' must be UTF-8, got byte {error.object[error.start]:#x}", otherwise) from None
    except FileNotFoundError:
        raise InputError(f"'{path}' must exist", otherwise) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"'{path}' must be a file that can be read, got: {reason}", otherwise) from None
    if not isinstance(data, dict):
        raise InputError(f"'{path}' must be a JSON object, got {type(data).__name__}", otherwise)
    return data


def _twice(path: Path, name: str, items: Sequence[T], of: Callable[[T], Hashable]) -> Iterable[Problem]:
    seen: dict[Hashable, int] = {}
    for place, item in enumerate(items):
        if (first := seen.setdefault(of(item), place)) != place:
            message = f"'{name}' must not have the same twice, got {name}.{first} and {name}.{place}"
            yield Problem(message, "leave one of them out", f"{path} {name}.{place}")
