"""`edgesft init [RECIPE] [FILE]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("recipe", nargs="?", default="text-classification", help="built-in recipe to start from")
    parser.add_argument("file", nargs="?", type=Path, help="where to write it (default: <recipe>.yaml)")


def main(options: argparse.Namespace) -> int:
    """Copies a commented built-in recipe; an existing file is never overwritten."""
    from edgesft.errors import InputError
    from edgesft.spec import load
    from edgesft.spec.problems import nearest
    from edgesft.store.disk import guarded

    known = load.shipped("recipes")
    if options.recipe not in known:
        raise InputError(f"'recipe' must be a built-in recipe. Got {options.recipe!r}", nearest(options.recipe, known))
    target = options.file or Path(f"{options.recipe}.yaml")
    if target.exists():
        raise InputError(f"'{target}' must not exist yet", "name another file")
    if not target.parent.is_dir():
        raise InputError(f"the folder '{target.parent}' must exist", "make it first, or name a file in another")
    with guarded(target.parent):
        target.write_text(known[options.recipe].read_text("utf-8"), "utf-8")
    print(f"wrote {target}; edit its data and budget, then: edgesft run {target}")
    return 0
