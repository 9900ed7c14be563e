"""`edgesft recipes`."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments: none."""


def main(options: argparse.Namespace) -> int:
    """Lists the built-in recipes with the first line of each."""
    from edgesft.spec import load

    for name, path in load.shipped("recipes").items():
        print(f"{name:28} {path.read_text('utf-8').splitlines()[0].lstrip('# ')}")
    return 0
