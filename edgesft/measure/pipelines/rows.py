"""Raw rows for a pipeline, as a feature would get them: a table, lines of text, or a folder of pictures or sounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgesft.data import files, loading
from edgesft.data.media.images import Images
from edgesft.data.media.sounds import Sounds
from edgesft.errors import InputError

MEDIA = (Images(), Sounds())
"""What files of a folder, or of a column, may be."""


def read_rows(path: Path, limit: int) -> list[dict[str, Any]]:
    """At most `limit` rows, spread evenly over the file or folder, so that sorted data is seen from end to end.

    Args:
        path: A table that `edgesft.data.loading` reads (csv, tsv, jsonl, json, parquet), whose rows are given as they
            are except that a relative path in the column `image` or `audio` starts from the file's folder; a `.txt`
            file, each line that is not blank being a row `{"text": …}`; or a folder, each picture in it, however deep,
            being a row `{"image": path}`, or each sound `{"audio": path}`.
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
    names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
    for medium in MEDIA:
        if found := list(medium.files_of(names)):
            return [{medium.role: str((path / name).absolute())} for name in found]
    kinds = ", ".join(sorted(suffix for medium in MEDIA for suffix in medium.suffixes))
    raise InputError(
        f"rows: the folder {str(path)!r} must hold {' or '.join(medium.several for medium in MEDIA)}, got none",
        f"files that end in one of {kinds}",
    )


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
    named = {medium.role: row[medium.role] for medium in MEDIA if isinstance(row.get(medium.role), str)}
    return {**row, **{role: str(folder / path) for role, path in named.items()}}
