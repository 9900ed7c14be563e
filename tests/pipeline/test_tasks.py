"""Every task goes through the whole chain, on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgesft import api
from edgesft.progress import Progress
from edgesft.report import table
from edgesft.tasks import registry
from tests import chain
from tests.tasks.test_each import MODELS, ROWS

OTHERS = sorted(set(ROWS) - {"text-classification", *MODELS})
"""The tasks that no other test takes through the chain: those of files have one beside their own tests."""


@pytest.mark.parametrize("name", OTHERS)
def test_a_task_goes_through_the_chain(name: str, bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    recipe = chain.write(tmp_path, bert, rows=ROWS[name](500), task=name, budget={"size_ratio": 0.95})
    result = api.run(recipe, output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert result.verdict == "pass"
    assert [row["stage"] for row in results["stages"]] == ["finetune", "prune", "distill", "quantize"]
    assert all(row["kept"] for row in results["stages"])
    assert results["evaluation"]["rows"] == 100
    assert set(results["stages"][0]["metrics"]["test"]) == set(registry.task(name).metrics)
    assert results["stages"][-1]["size_bytes"] < results["stages"][0]["size_bytes"]
    assert f"{results['metric']} (Δ)" in table.render(results)
    assert results["metric"] == registry.task(name).metrics[0]
