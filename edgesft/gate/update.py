"""Puts the figures that checks found into a baseline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from edgesft.budget.verdict import Verdict
from edgesft.errors import InputError, Problem
from edgesft.gate.baseline import Acceptance, Baseline, Entry, Time, document, validated
from edgesft.gate.figures import Figures
from edgesft.gate.key import FIELDS, Key

SCHEMA, SCHEMA_VERSION = "edgesft/check", 1
"""Of the documents that are read (`gate.document.GateDocument`)."""

WRITE = "edgesft check MODEL --also json=CHECK.json"

GROWTH = "max_growth."
"""Lines of the old baseline begin so; a new one is what answers them."""


class _Read(BaseModel):
    """Part of a document that is read here; what else stands there does not matter."""

    model_config = ConfigDict(strict=True)


class _Subject(_Read):
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    size_bytes: int = Field(gt=0)


class _Line(_Read):
    name: str
    verdict: Verdict
    gates: bool = True


class _Check(_Read):
    key: Key
    figures: Figures
    subject: _Subject
    lines: list[_Line]
    created: Time
    commit: str | None = None


@dataclass(frozen=True)
class Change:
    """What an update does to one entry.

    Attributes:
        what: `same` leaves it as it is, its time included.
        old: The entry that was there, or None.
        new: The one that is there now, or None where it was dropped.
    """

    what: Literal["added", "changed", "same", "dropped"]
    old: Entry | None
    new: Entry | None

    @property
    def key(self) -> Key:
        """Whose figures changed."""
        return (self.new or self.old).key  # type: ignore[union-attr]  # one of them is there

    @property
    def figures(self) -> list[tuple[str, float | None, float | None]]:
        """Name, old and new value of each figure that is not the same; None where it is lacking."""
        old, new = (dict(each.figures.items()) if each else {} for each in (self.old, self.new))
        names = [*new, *(name for name in old if name not in new)]
        return [(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


@dataclass(frozen=True)
class Update:
    """A baseline with new entries.

    Attributes:
        baseline: The whole of it.
        changes: Entry by entry.
        settled: Acceptances that are left out, for every figure that they are over is a new one.
        kept: Acceptances that would be, were it not for entries that were not updated: they now allow growth over the
            new figure, too.
    """

    baseline: Baseline
    changes: tuple[Change, ...]
    settled: tuple[Acceptance, ...]
    kept: tuple[Acceptance, ...]


def entries(paths: Sequence[Path], *, model: str | None = None, force: bool = False) -> list[Entry]:
    """The entries that documents of `edgesft check` make.

    Args:
        paths: The documents.
        model: Name to keep them under, instead of the artefact's own.
        force: Takes those of checks that failed, too.

    Raises:
        InputError: Files that are no such documents, of checks that failed by more than growth, or two of one key; all
            of them are told.
    """
    found: list[tuple[Path, Entry]] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            entry = _entry(path, model, force)
        except InputError as error:
            problems += error.problems
            continue
        problems += [
            Problem(f"'{path}' must be of another key than '{other}', got the same for both", "give one of them")
            for other, earlier in found
            if earlier.key == entry.key
        ]
        found.append((path, entry))
    if problems:
        raise InputError(problems)
    return [entry for _, entry in found]


def update(base: Baseline, new: Iterable[Entry], *, prune: bool = False) -> Update:
    """Puts entries in: in place of those of the same key, beside all others.

    An acceptance is over the figure that the baseline had. When that is replaced everywhere, the acceptance has served
    and is left out: it would accept as much again.

    Args:
        base: What is there.
        new: What is to be there, each key once.
        prune: Drops entries that differ from a new one in nothing but the runtime's version.
    """
    held = {entry.key: entry for entry in base.entries}
    changes = [_change(held.get(entry.key), entry) for entry in new]
    taken = {change.key: change.new for change in changes if change.new}
    dropped = [entry for key, entry in held.items() if prune and any(_outdated(key, other) for other in taken)]
    gone = {entry.key for entry in dropped}
    whole = {key: entry for key, entry in {**held, **taken}.items() if key not in gone}
    changes += [Change("dropped", entry, None) for entry in dropped]
    replaced = [accepted for accepted in base.accepted if _replaced(accepted, changes)]
    settled = [accepted for accepted in replaced if not _left(accepted, whole.values(), changes)]
    baseline = replace(
        base,
        entries=tuple(sorted(whole.values(), key=lambda entry: entry.key.order)),
        accepted=tuple(accepted for accepted in base.accepted if accepted not in settled),
    )
    return Update(
        baseline, tuple(changes), tuple(settled), tuple(accepted for accepted in replaced if accepted not in settled)
    )


def _entry(path: Path, model: str | None, force: bool) -> Entry:
    data = document(path, SCHEMA, SCHEMA_VERSION, WRITE)
    check = validated(path, data, _Check)
    failed = [line.name for line in check.lines if line.verdict == "fail" and line.gates]
    if (others := [name for name in failed if not name.startswith(GROWTH)]) and not force:
        message = f"'{path}' must be a check that passed but for growth, got a failure of {', '.join(others)}"
        raise InputError(message, "--force keeps its figures all the same")
    return Entry(
        key=check.key.model_copy(update={"model": model}) if model else check.key,
        figures=check.figures,
        sha256=check.subject.sha256,
        bytes=check.subject.size_bytes,
        created=check.created,
        commit=check.commit,
    )


def _change(old: Entry | None, new: Entry) -> Change:
    if old is None:
        return Change("added", None, new)
    same = (old.figures, old.sha256, old.bytes) == (new.figures, new.sha256, new.bytes)
    return Change("same", old, old) if same else Change("changed", old, new)


def _outdated(key: Key, new: Key) -> bool:
    alike = key.model == new.model and not key.differences(new, (name for name in FIELDS if name != "runtime"))
    return alike and key.runtime != new.runtime


def _figure(accepted: Acceptance, entry: Entry | None) -> object:
    return getattr(entry.figures, accepted.line.removeprefix(GROWTH)) if entry else None


def _concerns(accepted: Acceptance, key: Key) -> bool:
    return accepted.model == key.model and accepted.profile in (None, key.profile)


def _replaced(accepted: Acceptance, changes: Iterable[Change]) -> bool:
    """Whether the figure that it is over is another one now."""
    return any(
        _concerns(accepted, change.key)
        and change.old is not None
        and change.new is not None
        and _figure(accepted, change.old) != _figure(accepted, change.new)
        for change in changes
    )


def _left(accepted: Acceptance, whole: Iterable[Entry], changes: Iterable[Change]) -> bool:
    """Whether an entry that was not updated still has the figure that it is over."""
    updated = {change.key for change in changes if change.new}
    return any(
        _concerns(accepted, entry.key) and entry.key not in updated and _figure(accepted, entry) is not None
        for entry in whole
    )
