"""The kit in Python on a bundle that recommends, against what edgesft's own task answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from edgesft.data.histories import gather
from edgesft.ship.pack import Order, pack
from edgesft.spec.interactions import InteractionsSpec
from edgesft.spec.model import FactorySpec
from edgesft.stages.export import export_onnx, file_of
from edgesft.stages.export.checks import file_run
from edgesft.tasks.models import factory
from edgesft.tasks.recommendation import READY, TWO_TOWERS, Recommendation
from tests import tiny
from tests.export import bundles
from tests.ship.conftest import QUIET
from tests.ship.test_kinds import rewritten

TASK = Recommendation()


KNOWN: dict[str, Any] = {
    "scale": [1, 5], "about": {"where": ["tags"]},
    "scenario": {"way": ["category"], "time": ["hour", "weekday"], "speed": ["number"], "with": ["tags"]},
}  # fmt: skip
MOMENT = {"way": "back", "time": "2024-06-03T17:30:00+02:00", "speed": 2.5, "with": "dog|bike"}


def made(folder: Path, done: list[dict[str, Any]], name: str, said: dict[str, Any]) -> tuple[Path, Any, Path]:
    """A bundle, its contract, and its model."""
    spec = InteractionsSpec(**said)
    rows = list(gather(done, spec, "rows").rows())
    contract = TASK.contract(rows, {"max_length": 6, "interactions": said})
    source = factory.resolve(FactorySpec(factory=name, arguments={"width": 16}), Path())
    torch.manual_seed(0)
    model = TASK.load_model(source, contract).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    processor = TASK.load_processor(source, contract)
    examples = TASK.encode(rows, processor, contract)
    (graph,) = export_onnx(model, TASK, processor, examples, contract, folder / "onnx", opset=20)
    told = {"labels": list(contract.labels), "options": dict(contract.options)}
    data = {"interactions": said, "columns": {}} if said else {}
    run = rewritten(folder, onnx.load(file_of(graph, folder / "onnx")), told, done, TASK.name, data)
    tiny.write_rows(folder / "test.jsonl", done)
    bundles.without_text(run)
    bundle = pack(Order(run, folder / "bundle", variants=("model",)), QUIET).path
    return bundle, contract, file_of(graph, folder / "onnx")


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Path]:
    """One that reads what was done alone."""
    return made(tmp_path_factory.mktemp("items"), tiny.visited(40), READY, {})


@pytest.fixture(scope="module")
def informed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Path]:
    """One that reads how it was rated, and the moment."""
    done = [
        {**row, "speed": number % 7 / 2, "with": ["dog", "friend"][: number % 3]}
        for number, row in enumerate(tiny.toured(40))
    ]
    return made(tmp_path_factory.mktemp("informed"), done, TWO_TOWERS, KNOWN)


def test_it_answers_as_the_task_does(packed: tuple[Path, Any, Path]) -> None:
    import kit
    from kit.errors import InputError

    bundle, contract, file = packed
    opened, processor, run = kit.open_bundle(bundle), TASK.load_processor(Path(), contract), file_run({"model": file})
    names = list(contract.labels)
    for items in (names[:3], names[:9], [], ["nowhere", *names[4:6]]):
        (request,) = TASK.requests(TASK.encode([{"items": items}], processor, contract), processor)
        expected, answer = run(request), opened.answer({"items": items})
        assert answer["items"] == [names[place] for place in expected["chosen"][0]]
        assert np.allclose(answer["scores"], expected["scores"][0]) and not {*answer["items"]} & {*items}
        assert answer["unknown"] == items.count("nowhere")
    few = opened.answer({"items": names[: len(names) - 3]})
    assert sorted(few["items"]) == sorted(names[-3:]), "no item fills up what is left"
    with pytest.raises(InputError, match="'items' must be a list of items, got str"):
        opened.answer({"items": "place 1"})


def test_golden_rows_hold_and_have_what_they_were_made_of(packed: tuple[Path, Any, Path]) -> None:
    import kit

    bundle, contract, _ = packed
    assert list(kit.open_bundle(bundle).golden()) == []
    golden = kit.open_bundle(bundle).bundle.json("golden.json")
    assert {*golden["rows"][0]["row"]["items"]} <= {*contract.labels}


def test_ratings_and_moments_are_fed_as_the_task_does(informed: tuple[Path, Any, Path]) -> None:
    import kit

    bundle, contract, file = informed
    opened, processor, run = kit.open_bundle(bundle), TASK.load_processor(Path(), contract), file_run({"model": file})
    names, moments = list(contract.labels), [MOMENT, dict.fromkeys(MOMENT), {**MOMENT, "way": "up", "time": 0}]
    for items, moment in zip((names[:3], [], ["nowhere", *names[4:9]]), moments, strict=True):
        row = {"items": items, "ratings": [1 + place % 5 for place in range(len(items))], **moment}
        (request,) = TASK.requests(TASK.encode([row], processor, contract), processor)
        expected, answer = run(request), opened.answer(row)
        assert answer["items"] == [names[place] for place in expected["chosen"][0]]
        assert np.allclose(answer["scores"], expected["scores"][0], atol=1e-6)
    assert list(opened.golden()) == []
    golden = opened.bundle.json("golden.json")["rows"][0]["row"]
    assert {*golden} == {"items", "ratings", *MOMENT} and "about" not in opened.bundle.contract["options"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"ratings": None}, "'ratings' must be a number from 1 to 5 for each of 'items', got None"),
        ({"ratings": [3]}, "for each of 'items'"),
        ({"ratings": [3, 6]}, "must be a number from 1 to 5"),
        ({"ratings": [3, float("nan")]}, "must be a number from 1 to 5"),
        ({"time": "soon"}, "'time' must be seconds since 1970 or an ISO date, got 'soon'"),
        ({"time": "inf"}, "'time' must be seconds since 1970 or an ISO date, got 'inf'"),
        ({"time": float("inf")}, "'time' must be seconds since 1970 or an ISO date, got inf"),
        ({"time": 10**400}, "'time' must be seconds since 1970 or an ISO date, got 1000"),
        ({"ratings": [3, 10**400]}, "must be a number from 1 to 5"),
        ({"speed": "fast"}, "'speed' must be a number, got 'fast'"),
        ({"way": 2.5}, "'way' must be a text or a whole number, got 2.5"),
        ({"way": ...}, "a row must have 'way', or null where it is not known"),
    ],
)
def test_rows_that_it_refuses(informed: tuple[Path, Any, Path], wrong: dict[str, Any], words: str) -> None:
    import kit
    from kit.errors import InputError

    row = {"items": list(informed[1].labels[:2]), "ratings": [3, 3], **MOMENT, **wrong}
    with pytest.raises(InputError, match=words):
        kit.open_bundle(informed[0]).answer({name: value for name, value in row.items() if value is not ...})
