"""`edgesft validate recipe.yaml [a.b=c …]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", type=Path, help="recipe file")
    parser.add_argument("settings", nargs="*", metavar="a.b=c", help="values that replace the recipe's")


def main(options: argparse.Namespace) -> int:
    """Checks the recipe, its files, rows, model and profiles; torch and onnxruntime stay out."""
    from edgesft.pipeline.check import check

    checked = check(options.recipe, options.settings)
    for warning in checked.warnings:
        print(f"warning: {warning}")
    profiles = ", ".join(profile.name for profile in checked.profiles)
    print(f"{options.recipe}: valid ({len(checked.recipe.stages)} stages, profile {profiles})")
    return 0
