"""The demonstration data set: the same every time, natural, its test rows about other things than its training rows."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "bench" / "demo_data.py"


def test_demo_data(tmp_path: Path) -> None:
    pytest.importorskip("babel")
    for name in ("first", "again"):
        subprocess.run([sys.executable, SCRIPT, tmp_path / name], check=True, capture_output=True)
    files = [
        (tmp_path / name / f"{split}.jsonl").read_text("utf-8")
        for name in ("first", "again")
        for split in ("train", "test")
    ]
    assert files[:2] == files[2:]
    train, test = ([json.loads(line) for line in file.splitlines()] for file in files[:2])
    assert 8_000 <= len(train) + len(test) <= 12_000
    assert 0.1 < len(test) / (len(train) + len(test)) < 0.2
    owners = Counter(row["text"].casefold() for row in train + test)
    assert max(owners.values()) == 1
    assert set(Counter(row["label"] for row in train + test).values()) == {500}
    assert not any("{" in row["text"] or "(" in row["text"] for row in train + test)
    entries = runpy.run_path(str(SCRIPT))["entries"]
    for language in ("de", "fi"):
        subject = dict(entries(language).values())
        told, asked = ({subject[row["text"]] for row in rows if row["label"] == language} for rows in (train, test))
        assert told
        assert asked
        assert not told & asked
