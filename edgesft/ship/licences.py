"""The terms that weights and data come under."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesft.errors import InputError
from edgesft.ship import names

LICENCES = "licences"

TERMS = re.compile(r"(licen[cs]e|copying|notice|terms)[\w.-]*", re.IGNORECASE)
"""Names of files with terms."""

CARD = re.compile(r"\A---\n(.*?)\n---", re.DOTALL)
DECLARED = re.compile(r"^license:\s*[\"']?([\w.+-]+)", re.MULTILINE)
"""The front matter of a model's card, and its licence's identifier (Hugging Face, "Model cards")."""


@dataclass(frozen=True)
class Licences:
    """What is known of the terms.

    Attributes:
        identifier: Of the base model's licence, as its card has it.
        files: Name in the bundle → file.
    """

    identifier: str | None
    files: dict[str, Path]

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"base_model": self.identifier, "files": sorted(self.files)}

    def copy(self, out: Path) -> None:
        """Puts the files into a bundle."""
        for name, path in self.files.items():
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, out / name)


def find(model: Path | None, given: Sequence[Path]) -> Licences:
    """The terms of the base model, as far as its folder has them, and the files that a person gives.

    Args:
        model: The base model's folder; None where it is not on this machine.
        given: Further files.

    Raises:
        InputError: A file is not there, two have one name, or a name is no portable one.
    """
    identifier, found = None, dict[str, Path]()
    if model and model.is_dir():
        own = [path for path in sorted(model.iterdir()) if path.is_file() and TERMS.fullmatch(path.name)]
        found |= {f"{LICENCES}/base-model/{path.name}": path for path in own if not names.wrong(path.name)}
        card = model / "README.md"
        front = CARD.match(card.read_text("utf-8", "replace")) if card.is_file() else None
        declared = DECLARED.search(front[1]) if front else None
        identifier = declared[1] if declared else None
    for path in given:
        name = f"{LICENCES}/{path.name}"
        if not path.is_file():
            raise InputError(f"licence must be a file that exists, got '{path}'")
        if name in found or (wrong := names.wrong(name)):
            reason = "a name that another one has" if name in found else wrong
            raise InputError(f"licence must have a portable name of its own, got '{path.name}': {reason}", "rename it")
        found[name] = path
    return Licences(identifier, found)
