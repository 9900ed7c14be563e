"""What a person says of the recipe that they want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Wishes:
    """What a person says; what is left out is found, or the usual.

    Attributes:
        data: File, folder, archive or address of the rows; several as `head=file`.
        model: Folder, hub id, `pkg://` address, or `module:function`.
        task: Name of the task.
        validation: File, or a share of the training rows.
        test: File, or a share of the training rows.
        columns: Role → column.
        profile: Name or file of the device.
        budget: Lines of the budget, as a recipe writes them.
    """

    data: Sequence[str]
    model: str | None = None
    task: str | None = None
    validation: str | None = None
    test: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    budget: Mapping[str, Any] = field(default_factory=dict)
