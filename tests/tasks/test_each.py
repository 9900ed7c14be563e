"""What holds of every task: it learns, and its ONNX export answers as torch does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft.data.histories import gather
from edgesft.progress import Progress
from edgesft.spec.interactions import InteractionsSpec
from edgesft.spec.model import FactorySpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export import export_onnx, file_of
from edgesft.stages.export.checks import check_file, parity
from edgesft.tasks import registry
from edgesft.tasks.models import factory
from edgesft.tasks.models.source import Source
from edgesft.tasks.recommendation import READY
from edgesft.train import checkpoint
from edgesft.train.engine import fit, runner
from tests import tiny

OPSET = 20

ROWS: dict[str, Callable[[int], list[dict[str, Any]]]] = {
    "text-classification": tiny.rows,
    "token-classification": tiny.tagged,
    "question-answering": tiny.answered,
    "multi-task": tiny.headed,
    "zero-shot-classification": tiny.rows,
    "image-classification": tiny.pictured,
    "image-multi-task": tiny.headed_pictures,
    "image-generation": tiny.pictured,
    "audio-classification": tiny.sounded,
    "audio-multi-task": tiny.headed_sounds,
    "object-detection": tiny.boxed,
    "speech-enhancement": tiny.mixed,
    "text-to-speech": tiny.recited,
    "text-generation": tiny.asked,
    "text-to-text": tiny.translated,
    "recommendation": tiny.visited,
}
MODELS = {
    "image-classification": "resnet",
    "image-multi-task": "resnet",
    "image-generation": "painter",
    "audio-classification": "listener",
    "audio-multi-task": "headed_listener",
    "object-detection": "detector",
    "speech-enhancement": "enhancer",
    "text-to-speech": "reader",
    "text-generation": "llama",
    "text-to-text": "t5",
    "recommendation": "sasrec",
}
"""Fixtures of models for what is no text."""

HEARD = {"audio": {"rate": tiny.RATE, "seconds": 0.25, "mels": 16}}
OPTIONS: dict[str, dict[str, Any]] = {"audio-classification": HEARD, "audio-multi-task": HEARD}
SETTINGS = ResolvedTraining(epochs=8, learning_rate=3e-3, batch_size=16, arithmetic="fp32", evaluations=2)


def test_every_task_is_tested() -> None:
    # A model of one's own, on arrays, and what is mostly brought have tests of their own.
    assert set(ROWS) == set(registry.TASKS) - {"arrays", "voice-activity"}


@pytest.fixture
def listener() -> Source:
    """A net of ones own for what sounds are made into."""
    return factory.resolve(FactorySpec(factory="nets:image", path=str(Path(__file__).parent)), Path())


@pytest.fixture
def headed_listener() -> Source:
    """One that answers two questions."""
    spec = FactorySpec(factory="nets:image", path=str(Path(__file__).parent), arguments={"classes": 4})
    return factory.resolve(spec, Path())


@pytest.fixture
def painter() -> Source:
    """One that takes noise from pictures."""
    inputs = ("noisy", "time")
    return factory.resolve(FactorySpec(factory="nets:painter", path=str(Path(__file__).parent), inputs=inputs), Path())


@pytest.fixture
def enhancer() -> Source:
    """One that goes from frame to frame."""
    states = {"hidden": (24,), "cell": (24,)}
    spec = FactorySpec(factory="nets:enhancer", path=str(Path(__file__).parent), inputs=("frames",), states=states)
    return factory.resolve(spec, Path())


@pytest.fixture
def reader() -> Source:
    """A net of ones own that says texts."""
    return factory.resolve(FactorySpec(factory="nets:reader", path=str(Path(__file__).parent)), Path())


@pytest.fixture
def detector() -> Source:
    """A net of ones own for pictures with boxes."""
    return factory.resolve(FactorySpec(factory="nets:detector", path=str(Path(__file__).parent)), Path())


@pytest.fixture
def sasrec() -> Source:
    """A small one of the nets that come along."""
    return factory.resolve(FactorySpec(factory=READY, arguments={"width": 32, "layers": 2, "dropout": 0.1}), Path())


@pytest.mark.parametrize("name", ROWS)
def test_learns_and_exports(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place: Source = request.getfixturevalue(MODELS.get(name, "bert"))
    task, rows = registry.task(name), ROWS[name](200)
    if task.by_user:
        rows = [*gather(rows, InteractionsSpec(), "rows").rows()]
    assert task.check({"train": rows[40:], "validation": rows[:40]}) == []
    contract = task.contract(rows, task.implied(place, {"max_length": 32, **OPTIONS.get(name, {})}))
    assert task.check_model(place, contract) == []
    processor = task.load_processor(place, contract)
    train, held = (task.encode(each, processor, contract) for each in (rows[40:], rows[:40]))
    torch.manual_seed(0)
    model = task.load_model(place, contract)
    score = dict[str, float]()

    def scored() -> dict[str, float]:
        predictions = task.predict(runner(model, task.modules), held, processor, batch_size=8)
        assert len(predictions) == len(held)
        return task.score(predictions, task.references(held), contract)

    score = scored()
    assert set(score) == set(task.metrics) - {"top5"}, "of two classes"
    report = fit(
        model, task=task, processor=processor, contract=contract, train=train, validation=held, settings=SETTINGS,
        seed=0, work=tmp_path / "work", progress=Progress(quiet=True), label=name,
    )  # fmt: skip
    assert report.history[-1]["loss"] < report.history[0]["loss"]
    assert scored()[task.metrics[0]] > score[task.metrics[0]] + 0.2
    checkpoint.save(model, tmp_path / "model", processor, contract)
    again = checkpoint.load(tmp_path / "model", task)
    predicted, again_predicted = (task.predict(runner(each, task.modules), held, processor) for each in (model, again))
    np.testing.assert_allclose(predicted, again_predicted, atol=1e-6)
    graphs = export_onnx(again, task, processor, held, contract, tmp_path / "onnx", opset=OPSET)
    files = {graph.name: file_of(graph, tmp_path / "onnx") for graph in graphs}
    for graph in graphs:
        check_file(files[graph.name], graph, OPSET)
    assert parity(files, graphs, task, processor, held).difference < 1e-4
    told = task.evaluate(again_predicted, task.references(held), contract)
    assert told["rows"] == len(held)
