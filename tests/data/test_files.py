"""Digest and presence of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgesft.data import files


def test_sha256_is_that_of_all_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "a").write_bytes(content)
    assert files.sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_missing(tmp_path: Path) -> None:
    (tmp_path / "train.csv").touch()
    assert files.missing(tmp_path / "train.csv", "data.train") is None
    assert "train.csv" in str(files.missing(tmp_path / "tran.csv", "data.train"))
    assert "there is no folder" in str(files.missing(tmp_path / "no" / "a.csv", "data.train"))
