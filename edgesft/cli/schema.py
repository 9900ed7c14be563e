"""`edgesft schema [recipe|profile|budget]`."""

from __future__ import annotations

import argparse
import json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    kinds = ("recipe", "profile", "budget", "devices")
    parser.add_argument("what", nargs="?", choices=kinds, default="recipe", help="which schema (default: recipe)")


def main(options: argparse.Namespace) -> int:
    """Prints the JSON schema; editors complete and check YAML files with it."""
    from edgesft.spec.load import KINDS

    print(json.dumps(KINDS[options.what].model_json_schema(), indent=1))
    return 0
