"""Prints the tables of what `edgesft bench --format json` left.

python bench/tables.py FILE …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from edgesft.report.bench import tables
from edgesft.report.table import WIDTH


def main() -> None:
    """Prints them in the order of the files."""
    console = Console(width=WIDTH)
    for file in sys.argv[1:]:
        console.print(tables(json.loads(Path(file).read_text("utf-8"))))


if __name__ == "__main__":
    main()
