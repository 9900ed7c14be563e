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
from edgesft.tasks import factory
from edgesft.tasks.recommendation import READY, Recommendation
from tests import tiny
from tests.export import bundles
from tests.ship.conftest import QUIET
from tests.ship.test_kinds import rewritten

TASK = Recommendation()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Path]:
    """A bundle, its contract, and its model."""
    folder = tmp_path_factory.mktemp("items")
    done = tiny.visited(40)
    rows = list(gather(done, InteractionsSpec(), "rows").rows())
    contract = TASK.contract(rows, {"max_length": 6})
    source = factory.resolve(FactorySpec(factory=READY, arguments={"width": 16}), Path())
    torch.manual_seed(0)
    model = TASK.load_model(source, contract).eval()
    torch.nn.init.normal_(model.model.table.weight)
    processor = TASK.load_processor(source, contract)
    examples = TASK.encode(rows, processor, contract)
    (graph,) = export_onnx(model, TASK, processor, examples, contract, folder / "onnx", opset=20)
    said = {"labels": list(contract.labels), "options": dict(contract.options)}
    run = rewritten(folder, onnx.load(file_of(graph, folder / "onnx")), said, done, TASK.name, {})
    tiny.write_rows(folder / "test.jsonl", done)
    bundles.without_text(run)
    bundle = pack(Order(run, folder / "bundle", variants=("model",)), QUIET).path
    return bundle, contract, file_of(graph, folder / "onnx")


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
