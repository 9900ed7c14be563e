"""Addresses of data sets on the Hugging Face hub: `hub://owner/name`, then optionally `/configuration` and `#split`."""

from __future__ import annotations

import re
from dataclasses import dataclass

PREFIX = "hub://"

_NAME = r"[A-Za-z0-9][\w.-]*"
_ADDRESS = re.compile(rf"{PREFIX}({_NAME}/{_NAME})(?:/([\w.+-]+))?(?:#([\w.-]+))?", re.ASCII)


@dataclass(frozen=True)
class HubAddress:
    """A split of a data set on the hub.

    Attributes:
        name: `owner/name`.
        configuration: Of several that the data set has, or None.
        split: Its name there, or None for the one that the recipe's key says.
    """

    name: str
    configuration: str | None = None
    split: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubAddress:
        """What `hub://owner/name/configuration#split` says, its last two parts left out where they are not needed.

        Raises:
            ValueError: It is spelled otherwise.
        """
        found = _ADDRESS.fullmatch(text)
        if not found:
            raise ValueError(f"must be {PREFIX}owner/name, or {PREFIX}owner/name/configuration#split")
        return cls(*found.groups())

    def __str__(self) -> str:
        configuration = f"/{self.configuration}" if self.configuration else ""
        return f"{PREFIX}{self.name}{configuration}{f'#{self.split}' if self.split else ''}"
