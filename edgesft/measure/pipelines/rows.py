"""Raw rows for a pipeline, as a feature would get them: a table, lines of text, or a folder of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesft.data import files, loading
from edgesft.errors import InputError

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff")
"""Files of a folder that are taken for images."""


def read_rows(path: Path, limit: int) -> list[dict[str, Any]]:
    """At most `limit` rows, spread evenly over the file or folder, so that sorted data is seen from end to end.

    Args:
        path: A table that `edgesft.data.loading` reads (csv, tsv, jsonl, json, parquet), whose rows are given as they
            are except that a relative path in the column `image` starts from the file's folder; a `.txt` file, each
            line that is not blank being a row `{"text": …}`; or a folder, each image in it, however deep, being a row
            `{"image": path}`.
        limit: One or more.

    Raises:
        InputError: There is no such file, it is of another kind or damaged, or it holds no rows.
        UnavailableError: Parquet without pyarrow.
    """
    if path.is_dir():
        rows = _folder(path)
    elif path.suffix.lower() == ".txt":
        rows = _lines(path)
    else:
        rows = [_anchored(row, path.absolute().parent) for row in loading.read(path)]
    count = min(limit, len(rows))
    return [rows[index * len(rows) // count] for index in range(count)]


def _folder(path: Path) -> list[dict[str, Any]]:
    rows = [{"image": str(file.absolute())} for file in sorted(path.rglob("*")) if file.suffix.lower() in IMAGES]
    if not rows:
        raise InputError(
            f"rows: the folder {str(path)!r} must hold images, got none",
            f"files that end in one of {', '.join(IMAGES)}",
        )
    return rows


def _lines(path: Path) -> list[dict[str, Any]]:
    problem = files.missing(path, "rows")
    if problem:
        raise InputError(problem)
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: must be UTF-8, got the byte 0x{error.object[error.start]:02x}",
            f"convert it: iconv -f WINDOWS-1252 -t UTF-8 {path.name}",
        ) from error
    rows = [{"text": line} for line in text.split("\n") if line.strip()]
    if not rows:
        raise InputError(f"{path}: must hold at least one line of text, got none", "one text a line")
    return rows


def _anchored(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    image = row.get("image")
    return {**row, "image": str(folder / image)} if isinstance(image, str) else row
