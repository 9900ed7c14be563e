"""What the user asks of the recipe to be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Wishes:
    """What the user asks for. Fields left out are found from the data, or take their defaults.

    Attributes:
        data: File, folder, archive or `hub://` address of the rows. For several heads, `head=file` for each.
        model: Folder, hub id, `pkg://` address, or `module:function`.
        task: Name of the task.
        validation: File, or a share of the training rows.
        test: File, or a share of the training rows.
        columns: Role → column.
        profile: Name or file of the device profile.
        budget: The budget, as in a recipe.
    """

    data: Sequence[str]
    model: str | None = None
    task: str | None = None
    validation: str | None = None
    test: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    budget: Mapping[str, Any] = field(default_factory=dict)
