"""`edgesft schema [recipe|profile]`."""

from __future__ import annotations

import argparse
import json


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("what", nargs="?", choices=("recipe", "profile"), default="recipe", help="default: recipe")


def main(options: argparse.Namespace) -> int:
    """Prints the JSON schema; editors complete and check YAML files with it."""
    from edgesft.spec.base import Spec
    from edgesft.spec.profile import ProfileSpec
    from edgesft.spec.recipe import RecipeSpec

    schemas: dict[str, type[Spec]] = {"recipe": RecipeSpec, "profile": ProfileSpec}
    schema = schemas[options.what]
    print(json.dumps(schema.model_json_schema(), indent=1))
    return 0
