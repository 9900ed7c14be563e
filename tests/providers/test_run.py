"""`edgesft run` for an NPU that is not here: quantized for it, placed and answered by its simulator, never timed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edgesft import api
from edgesft.errors import InputError
from tests import chain, tiny
from tests.providers.environments import device

pytestmark = pytest.mark.providers

NPU = {
    "name": "npu",
    "description": "a Snapdragon 8 Gen 3",
    "providers": [
        {"name": "QNNExecutionProvider", "options": {"backend_type": "htp", "soc_model": "57"}},
        {"name": "CPUExecutionProvider"},
    ],
    "precisions": ["int8"],
    "static_shapes": True,
    "measure": chain.PROFILE["measure"],
}

STAGES = (chain.STAGES[0], {"stage": "quantize", "scheme": "auto", "keep": "always"})

BUDGET = {"latency_ms": {"p95": 5}, "placement_share": 0.9, "partitions": 1, "agreement": 0.9, "size_ratio": 1}


def recipe(folder: Path, bert: Path, **changes: object) -> Path:
    place = chain.write(
        folder, bert, rows=tiny.rows(440), profile="npu.yaml", budget=BUDGET, **{"stages": STAGES, **changes}
    )
    (folder / "npu.yaml").write_text(yaml.safe_dump(NPU), "utf-8")
    return place


def test_what_can_be_said_without_the_hardware_gates(bert: Path, tmp_path: Path) -> None:
    npu = device("qnn")
    found = api.run(recipe(tmp_path / "r", bert), output=tmp_path / "out", store=tmp_path / "store", device=npu)
    (result,) = found.profiles.values()
    lines = {line["name"]: line for line in result.results["budget"]}
    assert {name: lines[name]["verdict"] for name in lines} == {
        "latency_ms.p95": "inconclusive",
        "size_ratio": "pass",
        "partitions": "pass",
        "placement_share": "pass",
        "agreement": "pass",
    }
    assert "never latency" in lines["latency_ms.p95"]["reason"] and found.verdict == "inconclusive"
    quantize = result.results["stages"][-1]
    assert quantize["precision"] in ("int8-static-u8u8", "int8-static-u16u8")
    assert quantize["measurement"]["simulated"] and quantize["latency_ns"]["p50"] is None
    assert result.results["environment"]["device"] == "qnn"


@pytest.mark.parametrize(
    "stage", [{"stage": "prune", "latency": 0.5}, {"stage": "optimize"}, {"stage": "prune", "latency_ms": 4}]
)
def test_what_goes_by_latency_is_refused_before_anything_is_trained(
    stage: dict[str, object], bert: Path, tmp_path: Path
) -> None:
    place = recipe(tmp_path / "r", bert, stages=(STAGES[0], stage, STAGES[1]))
    with pytest.raises(InputError, match="must not have a latency target on profile 'npu'.*HTP"):
        api.run(place, output=tmp_path / "out", store=tmp_path / "store", device=device("qnn"))
