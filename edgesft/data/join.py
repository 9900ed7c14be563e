"""Rows with what further files say of them: of each film its genres, of each user a town."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from edgesft.data import sources
from edgesft.data.columns import guess
from edgesft.data.sources import Source
from edgesft.errors import InputError, Problem


@dataclass(frozen=True)
class JoinedSource(Source):
    """Rows of one place with the columns of others, by a column that both have.

    Attributes:
        place: Where the rows are.
        tables: Column → where what belongs to its values is.
    """

    place: Source
    tables: Mapping[str, Source]

    def __str__(self) -> str:
        return str(self.place)

    @property
    def resolved(self) -> str:
        """That of the rows' own place."""
        return self.place.resolved

    def missing(self, field: str) -> Problem | None:
        """A problem of the rows' own place, or of the first table that is not there."""
        found = [each.missing(f"data.join.{column}") for column, each in self.tables.items()]
        return self.place.missing(field) or next(filter(None, found), None)

    def rows(self, wanted: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
        """The rows in order; what a table lacks of a value is None, and what a row has itself stays."""
        added = {name for _, columns in self._known.values() for name in columns}
        own = [name for name in (*wanted, *self.tables) if name not in added]
        for row in self.place.rows(own):
            for column, (known, columns) in self._known.items():
                if column not in row:
                    message = f"data.join: {column!r} must be a column of {self.place}, got {', '.join(map(repr, row))}"
                    raise InputError(message, guess(column, list(row)))
                row = {**dict.fromkeys(columns), **known.get(str(row[column]), {}), **row}
            yield row

    def notes(self) -> list[str]:
        """Those of the rows' own place."""
        return self.place.notes()

    def digest(self) -> list[str]:
        """Of the rows' own place and of the tables."""
        return self.place.digest() + [part for column, each in self.tables.items() for part in (column, *each.digest())]

    @cached_property
    def _known(self) -> dict[str, tuple[dict[str, dict[str, Any]], list[str]]]:
        """By column what belongs to each of its values, and the columns of that."""
        return {column: _by(column, table) for column, table in self.tables.items()}


def joined(place: Source, tables: Mapping[str, str], base: Path) -> Source:
    """The rows with what the files say that a recipe's `data.join` names, if it names some."""
    return (
        JoinedSource(place, {name: sources.find(text, base, "train") for name, text in tables.items()})
        if tables
        else place
    )


def _by(column: str, table: Source) -> tuple[dict[str, dict[str, Any]], list[str]]:
    found, columns = dict[str, dict[str, Any]](), dict[str, None]()
    for number, row in enumerate(table.rows(), 1):
        if column not in row:
            message = f"data.join: {table} must have the column {column!r}, got {', '.join(map(repr, row))}"
            raise InputError(message, guess(column, list(row)))
        key = str(row.pop(column))
        if key in found:
            message = f"data.join: {table} must have each {column!r} once, got {key!r} again in row {number}"
            raise InputError(message, "a file with a row for each value")
        found[key] = row
        columns |= dict.fromkeys(row)
    return found, list(columns)
