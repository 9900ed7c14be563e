"""Takes the README's picture of a report: `python docs/picture.py runs/tasks/heads/report.html docs/report.png`.

Needs chromium and Pillow. The page is shown as a desktop browser shows it, and stored with so few colours that the
picture stays small.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

WIDTH, HEIGHT, COLOURS = 1100, 1330, 48


def main() -> None:
    """Reads the command line and takes the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("picture", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        shot = Path(folder) / "shot.png"
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder}/own"]
        words += [f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={shot}", options.page.absolute().as_uri()]
        subprocess.run(["chromium", *words], check=True, stderr=subprocess.DEVNULL)  # noqa: S607
        picture = Image.open(shot).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        picture.save(options.picture, optimize=True)


if __name__ == "__main__":
    main()
