"""Finds the files that ship with the package: in the wheel beside the code, in a checkout at its top level."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(name: str) -> Path:
    """The folder of that name (`profiles`, `export`, `recipes`) that ships with this installation.

    Args:
        name: As it is called at the top level of the checkout.

    Raises:
        FileNotFoundError: The installation lacks it.
    """
    for place in (_PACKAGE / "_data" / name, _PACKAGE / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"this installation of edgesft lacks its folder '{name}'")
