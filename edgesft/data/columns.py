"""Columns of a file by the roles that a task gives them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from edgesft.data.carve import GROUP
from edgesft.errors import InputError, Problem


@dataclass(frozen=True)
class Columns:
    """What is taken of each row, and what it is called.

    Attributes:
        roles: Columns that the task needs.
        names: Role → column; by default a column has its role's name.
        group: Column whose value is put under `GROUP`, or None.
        optional: Further roles, taken where a row has their columns.
    """

    roles: Sequence[str]
    names: Mapping[str, str] = field(default_factory=dict)
    group: str | None = None
    optional: Sequence[str] = ()

    def of(self, role: str) -> str:
        """The column of a role."""
        return self.names.get(role, role)

    @property
    def wanted(self) -> list[str]:
        """All columns that are read."""
        return [*map(self.of, (*self.roles, *self.optional)), *([self.group] if self.group is not None else [])]

    @property
    def keys(self) -> list[str]:
        """Of the renamed rows."""
        return [*self.roles, *self.optional, *([GROUP] if self.group is not None else [])]

    def renamed(self, rows: Iterable[Mapping[str, Any]], place: object) -> Iterator[dict[str, Any]]:
        """The rows by role, and by `GROUP` what they must stay together by.

        Args:
            rows: By column.
            place: Where they are from.

        Raises:
            InputError: Rows lack a column, which is known, and raised, only after the last one.
        """
        present: dict[str, None] = {}
        lacking: dict[str, list[int]] = {}
        count, alike, without = 0, dict[str, None](), list[str]()
        taken: list[tuple[str, str]] = []
        for count, row in enumerate(rows, 1):
            if row.keys() != alike.keys() or count == 1:  # Most rows have the columns of the one before.
                alike = dict.fromkeys(row)
                present.update(alike)
                without = [role for role in self.roles if self.of(role) not in row]
                taken = [(role, self.of(role)) for role in (*self.roles, *self.optional) if self.of(role) in row]
            ungrouped = self.group is not None and row.get(self.group) is None
            for role in [*without, GROUP] if ungrouped else without:
                lacking.setdefault(role, [0, count])[0] += 1
            if not lacking:
                found = {role: row[column] for role, column in taken}
                yield found if self.group is None else {**found, GROUP: row[self.group]}
        if lacking:
            order = [role for role in (*self.roles, GROUP) if role in lacking]
            raise InputError([self._problem(role, lacking[role], count, list(present), place) for role in order])

    def _problem(self, role: str, lacks: Sequence[int], rows: int, present: Sequence[str], place: object) -> Problem:
        lacking, first = lacks
        if role == GROUP:
            message = f"data.group: must be a column of every row of {place}, got none in {lacking} of {rows} rows"
            return Problem(message, f"data.group={guess(str(self.group), present)}")
        column = self.of(role)
        if lacking == rows:
            message = f"{place}: must have the column {column!r} for {role}, got {', '.join(map(repr, present))}"
            return Problem(message, f"data.columns.{role}={guess(column, present)}")
        message = f"{place}: the column {column!r} is missing in {lacking} of {rows} rows, first in row {first}"
        return Problem(message, "complete or remove them")


def guess(column: str, present: Sequence[str]) -> str:
    """The nearest of the columns that are there, whatever their case."""
    lowered = {name.lower(): name for name in present}
    close = difflib.get_close_matches(column.lower(), lowered, n=1, cutoff=0.4)
    return lowered[close[0]] if close else " | ".join(present)
