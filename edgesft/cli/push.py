"""`edgesft push RUN --to owner/name`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the command's arguments."""
    parser.add_argument("run", type=Path, metavar="RUN", help="a run's folder, or a bundle")
    parser.add_argument("--to", required=True, metavar="OWNER/NAME", help="repository on the Hugging Face hub")
    parser.add_argument("--private", action="store_true", help="if the repository is created, make it private")
    parser.add_argument("--message", help="commit message (default: name and version of the bundle)")
    parser.add_argument("--dry-run", action="store_true", help="print what would be uploaded, and send nothing")
    parser.add_argument("--format", choices=("table", "json"), default="table", help="what to print")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")


def main(options: argparse.Namespace) -> int:
    """Sends the bundle with its card as the page, and says where it is."""
    from edgesft.progress import Progress
    from edgesft.ship.hub import push

    pushed = push(
        options.run,
        options.to,
        private=options.private,
        message=options.message,
        dry=options.dry_run,
        progress=Progress(quiet=options.quiet),
    )
    if options.format == "json":
        print(json.dumps({"to": pushed.to, "url": pushed.url, "files": dict(pushed.files)}, indent=1))
        return 0
    if pushed.url:
        print(f"{pushed.to}: {len(pushed.files)} files, {pushed.url}")
        return 0
    print(f"{pushed.to}: these files would be uploaded")
    for name, size in pushed.files.items():
        print(f"  {size / 1e6:10.3f} MB  {name}")
    print(f"\n{pushed.page}", end="")
    return 0
