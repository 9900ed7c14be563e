"""Results of measurements and gates as values: verdict, figures, tables."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.budget.verdict import Verdict
from edgesft.report import formats
from edgesft.report.reading import Read

if TYPE_CHECKING:
    from rich.console import RenderableType


@dataclass(frozen=True)
class Document:
    """A document of `edgesft bench`, `check` or `compare`.

    Attributes:
        name: The name of the model or models.
        found: The JSON values that `--format json` prints.
    """

    name: str
    found: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Document({self.verdict!r}, name={self.name!r})"

    @property
    def verdict(self) -> Verdict:
        """`pass`, `fail` or `inconclusive`."""
        verdict: Verdict = self.found["verdict"]
        return verdict

    def table(self, width: int | None = None) -> str:
        """The tables as plain text, `width` columns wide."""
        return formats.table([self._read], width)

    def page(self) -> str:
        """The page, one file of HTML.

        Raises:
            UnavailableError: `edgesft[report]` is not installed.
        """
        return formats.html([self._read])

    @property
    def _read(self) -> Read:
        return Read(self.name, Path(self.name), self.found)

    def _repr_html_(self) -> str:
        return framed(formats.tables(self._read))


def framed(tables: RenderableType) -> str:
    """Tables as a notebook shows them: as wide as they are, their colours kept."""
    from rich.console import Console

    from edgesft.report.table import WIDTH

    console = Console(width=WIDTH, record=True, file=io.StringIO(), force_jupyter=False, legacy_windows=False)
    console.print(tables)
    style = "white-space: pre; overflow-x: auto; line-height: 1.2; font-family: monospace"
    return console.export_html(inline_styles=True, code_format=f'<pre style="{style}">{{code}}</pre>')
