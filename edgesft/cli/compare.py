"""`edgesft compare`."""

from __future__ import annotations

import argparse


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""


def main(options: argparse.Namespace) -> int:
    """To come."""
    return 4
