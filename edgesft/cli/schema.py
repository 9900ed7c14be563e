"""`edgesft schema [recipe|profile|budget]`."""

from __future__ import annotations

import argparse
import json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    kinds = ("recipe", "profile", "budget")
    parser.add_argument("what", nargs="?", choices=kinds, default="recipe", help="what of (default: recipe)")


def main(options: argparse.Namespace) -> int:
    """Prints the JSON schema; editors complete and check YAML files with it."""
    from edgesft.spec.base import Spec
    from edgesft.spec.gate import GateSpec
    from edgesft.spec.profile import ProfileSpec
    from edgesft.spec.recipe import RecipeSpec

    schemas: dict[str, type[Spec]] = {"recipe": RecipeSpec, "profile": ProfileSpec, "budget": GateSpec}
    schema = schemas[options.what]
    print(json.dumps(schema.model_json_schema(), indent=1))
    return 0
