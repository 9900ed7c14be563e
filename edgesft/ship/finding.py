"""What is wrong with a bundle, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from edgesft.errors import EdgesftError, Problem

Kind = Literal[
    "archive", "name", "link", "manifest", "missing", "extra", "changed", "signature", "contract", "model", "golden"
]
"""How the archive is laid out; what a file is called; what is no plain file; what the manifest says; a file that is
not there, that nobody announced, or that is other than announced; who signed; and what contradicts what."""


@dataclass(frozen=True)
class Finding(Problem):
    """One thing that is wrong with a bundle; `where` is the file.

    Attributes:
        kind: Of which kind.
    """

    kind: Kind = "changed"

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"kind": self.kind, "file": self.where, "message": self.message, "hint": self.hint}


class RefusedError(EdgesftError):
    """A bundle is not what it must be; carries everything that was found."""

    exit_code = 1

    def __init__(self, findings: Finding | Iterable[Finding]) -> None:
        self.findings: Sequence[Finding] = (findings,) if isinstance(findings, Finding) else tuple(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))
