"""Rows of a run that reads what users did, and what is known besides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesft.gate.artefact import GateArtefact
from edgesft.gate.rows import rows
from edgesft.tasks.contract import Contract
from tests import tiny

CONTRACT = Contract("recommendation", ("place 1",), {})
ZONES = [{"item": f"place {place}", "zone": f"zone {place // 6}"} for place in range(24)]
INTERACTIONS = {"scale": [1, 5], "scenario": {"way": ["category"]}, "about": {"zone": ["tags"]}}


@pytest.mark.parametrize("test", ["last", "done.jsonl"])
def test_further_columns_are_read_and_joined(test: str, tmp_path: Path) -> None:
    tiny.write_rows(tmp_path / "done.jsonl", tiny.toured(20))
    tiny.write_rows(tmp_path / "zones.jsonl", ZONES)
    data: dict[str, Any] = {"train": "done.jsonl", "validation": "last", "test": test, "interactions": INTERACTIONS}
    recipe = {"data": {**data, "join": {"item": "zones.jsonl"}}}
    given = GateArtefact("run", tmp_path / "model.onnx", tmp_path, recipe=recipe)
    found = rows([given], CONTRACT, None)
    assert len(found) == 20 and all(row["way"] in ("on", "back") for row in found)
    known = {each["item"]: each["zone"] for each in ZONES}
    (row, *_) = found
    assert [each["zone"] for each in row["about"]] == [known[item] for item in (*row["items"], row["next"])]
    assert rows([given], CONTRACT, tmp_path / "done.jsonl")[0]["ratings"]
