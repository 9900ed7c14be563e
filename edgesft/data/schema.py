"""What a task reads of each row."""

from __future__ import annotations

from dataclasses import dataclass

from edgesft.data.media.medium import Medium


@dataclass(frozen=True)
class RowSchema:
    """The columns of a task's rows, by role.

    Attributes:
        roles: Columns that the rows must have; the first one is the input.
        optional: Columns that are read where there are such.
        medium: What the input is, where its values are files.
        by_user: Whether the files hold interactions, of which one row a user is made (`data.histories`).
    """

    roles: tuple[str, ...]
    optional: tuple[str, ...] = ()
    medium: Medium | None = None
    by_user: bool = False
