"""`edgesft profiles [NAME]`."""

from __future__ import annotations

import argparse
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("name", nargs="?", help="show this profile: its name or file")


def main(options: argparse.Namespace) -> int:
    """Lists the profiles, or prints one as it is written."""
    from edgesft.spec import load

    known = load.shipped("profiles")
    if options.name:
        load.profile(options.name)
        file = Path(options.name) if load.is_file(options.name) else known[options.name]
        print(file.read_text("utf-8"), end="")
        return 0
    for name in known:
        profile = load.profile(name)
        provider = profile.providers[0].name.removesuffix("ExecutionProvider")
        threads = f"{profile.threads} thread{'s' if profile.threads > 1 else ' '}"
        print(f"{name:18} {provider:10} {threads}  {profile.description}")
    return 0
