"""Two towers, on people who say which way they go along a ring of places, and how they liked where it led."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from edgesft import api
from edgesft.data.histories import gather
from edgesft.errors import InputError
from edgesft.progress import Progress
from edgesft.spec.interactions import InteractionsSpec
from edgesft.spec.model import FactorySpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export import export_onnx, file_of
from edgesft.stages.export.checks import file_run, parity
from edgesft.tasks.models import factory
from edgesft.tasks.recommendation import READY, TWO_TOWERS, Recommendation
from edgesft.train import checkpoint
from edgesft.train.engine import fit, runner
from tests import chain, tiny
from tests.tasks.test_recommendation import answered

TASK = Recommendation()
SAID: dict[str, Any] = {
    "repeats": "kept",
    "scale": [1, 5],
    "about": {"where": ["tags"]},
    "scenario": {"way": ["category"], "time": ["hour"]},
}
ROWS = list(gather(tiny.toured(200), InteractionsSpec(**SAID), "rows").rows())
SLOTS = 2 + 24


def made(name: str = TWO_TOWERS, **arguments: Any) -> factory.Factory:
    return factory.resolve(FactorySpec(factory=name, arguments={"width": 16, "dropout": 0.1, **arguments}), Path())


@pytest.fixture(scope="module")
def contract() -> Any:
    return TASK.contract(ROWS, {"max_length": 6, "interactions": SAID})


@pytest.fixture(scope="module")
def processor(contract: Any) -> Any:
    return TASK.load_processor(made(), contract)


@pytest.fixture(scope="module")
def model(contract: Any) -> Any:
    torch.manual_seed(0)
    found = TASK.load_model(made(), contract).eval()
    for parameter in found.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return found


def test_the_contract_has_what_is_read(contract: Any) -> None:
    said = contract.options
    assert said["scale"] == [1, 5] and [each["column"] for each in said["scenario"]] == ["way", "time"]
    # The slots of zones and sides of each place.
    assert len(said["about"]) == 24 and {len(each) for each in said["about"]} == {2}
    way = TASK.preparation(contract)
    assert way["columns"] == ["items", "ratings", "way", "time"]
    assert (way["ratings"], way["scale"], way["scenario"]) == ("ratings", [1, 5], "scenario")


def test_ratings_and_moments_go_with_their_items(processor: Any, contract: Any) -> None:
    names = contract.labels
    moments = [{"way": "on", "time": 0}, {"way": "back", "time": 3600}, {"way": "up", "time": None}]
    row = {"items": [names[4], "nowhere", names[2]], "ratings": [1, 2, 5], "next": names[0], "moments": moments}
    (known,) = TASK.encode([{**row, "liked": [True, False, True], **moments[-1]}], processor, contract)
    assert (known["items"].tolist(), known["labels"].tolist()) == ([5, 3], [0, 1])
    assert known["ratings"].tolist() == [-1, 1] and known["scenario"].shape == (2, SLOTS)
    order = contract.options["scenario"][0]["values"]
    assert np.flatnonzero(known["scenario"][0]).tolist() == [order.index("back"), 2 + 1]
    assert not known["scenario"][1].any(), "a way that nobody went, at no time"
    (asked,) = TASK.encode([{"items": [], "ratings": [], "way": "on", "time": 7200}], processor, contract)
    (request,) = TASK.requests([asked], processor)
    assert np.flatnonzero(request["scenario"][0]).tolist() == [order.index("on"), 2 + 2]
    assert not request["items"].any() and request["ratings"].dtype == np.float32


def test_a_batch_has_them_behind_zeros(processor: Any, contract: Any) -> None:
    examples = TASK.encode(ROWS[:5], processor, contract)
    batch = TASK.collate(TASK.disturb(examples, processor, ResolvedTraining(), np.random.default_rng(0)), processor)
    rows, length = batch["items"].shape
    assert batch["ratings"].shape == (rows, length) and batch["scenario"].shape == (rows, length, SLOTS)
    blank = batch["items"] == 0
    assert not batch["ratings"][blank].any() and not batch["scenario"][blank].any()


def test_of_what_nobody_liked_nothing_is_learned(model: Any, processor: Any, contract: Any) -> None:
    rows = [{**row, "liked": [False] * len(row["items"])} for row in ROWS[:3]]
    batch = TASK.collate(TASK.encode(rows, processor, contract), processor)
    labels = torch.as_tensor(batch.pop("labels"))
    outputs = model(**{name: torch.as_tensor(values) for name, values in batch.items()})
    assert float(TASK.loss(outputs, labels)) == 0


def test_the_moment_and_the_ratings_change_the_answer(model: Any) -> None:
    items, slots = np.array([[0, 0, 0, 3, 9, 1]]), np.zeros((1, SLOTS), np.float32)
    ratings = np.zeros((1, 6), np.float32)
    usual = answered(model, items=items, ratings=ratings, scenario=slots)
    assert usual.shape == (1, 24)
    assert not np.allclose(usual, answered(model, items=items, ratings=ratings, scenario=np.eye(1, SLOTS, dtype="f")))
    ratings[0, 3] = 1
    other = answered(model, items=items, ratings=ratings, scenario=slots)
    ratings[0, 0] = 1  # of no item
    assert not np.allclose(usual, other) and np.allclose(
        other, answered(model, items=items, ratings=ratings, scenario=slots)
    )


def test_what_is_exported_has_a_table_in_place_of_the_items_tower(model: Any) -> None:
    baked = model.baked()
    assert type(baked.model.table).__name__ == "Table" and type(model.model.table).__name__ == "ItemTower"
    feeds = {"items": np.array([[0, 0, 0, 3, 9, 1]]), "scenario": np.eye(1, SLOTS, dtype="f")}
    feeds["ratings"] = np.linspace(-1, 1, 6, dtype="f")[None]
    assert np.allclose(answered(baked, **feeds), answered(model, **feeds), atol=1e-5)
    assert not any("slots" in name for name in baked.state_dict())


def test_it_learns_which_way_and_exports(processor: Any, contract: Any, tmp_path: Path) -> None:
    train, held = (TASK.encode(rows, processor, contract) for rows in (ROWS[40:], ROWS[:40]))
    torch.manual_seed(0)
    model = TASK.load_model(made(width=32, layers=2), contract)
    settings = ResolvedTraining(epochs=20, learning_rate=1e-2, batch_size=16, arithmetic="fp32", negatives=12)
    fit(
        model, task=TASK, processor=processor, contract=contract, train=train, validation=held, settings=settings,
        seed=0, work=tmp_path / "work", progress=Progress(quiet=True), label="towers",
    )  # fmt: skip
    score = TASK.score(TASK.predict(runner(model), held, processor), TASK.references(held), contract)
    # Both neighbours in the first two places, told apart: without the way 0.82 is the most there is.
    assert score["ndcg10"] > 0.9
    checkpoint.save(model, tmp_path / "model", processor, contract)
    again = checkpoint.load(tmp_path / "model", TASK)
    graphs = export_onnx(again, TASK, processor, held, contract, tmp_path / "onnx", opset=20)
    file = file_of(graphs[0], tmp_path / "onnx")
    assert parity({"model": file}, graphs, TASK, processor, held).difference < 1e-4
    (request,) = TASK.requests(held[:1], processor)
    assert list(request) == ["items", "ratings", "scenario"]
    assert file_run({"model": file})(request)["chosen"].shape == (1, 10)


def test_the_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    zones = [{"item": f"place {place}", "zone": place // 6} for place in range(24)]
    tiny.write_rows(tmp_path / "zones.jsonl", zones)
    said = {**SAID, "about": {"zone": ["category"]}}
    stages = (
        {**chain.STAGES[0], "epochs": 3, "negatives": 12},
        {"stage": "distill", "layers": 1, "epochs": 1, "keep": "always"},
        chain.STAGES[-1],
    )
    recipe = chain.write(
        tmp_path,
        Path(),
        rows=tiny.toured(120),
        stages=stages,
        task="recommendation",
        model={"factory": TWO_TOWERS, "arguments": {"width": 32, "layers": 2}},
        data={
            "train": "train.jsonl",
            "validation": "last",
            "test": "last",
            "join": {"item": "zones.jsonl"},
            "max_length": 6,
            "interactions": said,
        },
        budget={"size_ratio": 0.95},
    )
    result = api.run(recipe, output=tmp_path / "run", progress=Progress(quiet=True))
    assert result.verdict == "pass"
    found = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))["stages"]
    assert [each["stage"] for each in found] == ["finetune", "distill", "quantize"]
    levels = found[-1]["levels"]
    assert {*levels} == {"ndcg10", "hr10", "auroc"} and levels["auroc"]["lower"] < levels["auroc"]["value"]
    carried_out = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text("utf-8"))
    assert carried_out["data"]["join"] == {"item": str(tmp_path / "zones.jsonl")}


def test_models_that_cannot_read_it(contract: Any) -> None:
    with pytest.raises(InputError, match="must take ratings, scenario, about, which the rows set"):
        TASK.load_model(made(READY), contract)
    with pytest.raises(InputError, match="heads must divide the width"):
        TASK.load_model(made(heads=3), contract)
    assert "must leave out about, items" in TASK.check_model(made(items=3, about=[]), contract)[0].message
