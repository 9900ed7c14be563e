"""What the stage and its search are tried on."""

import json
from typing import Any

import pytest
import torch

from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec, ProviderSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext
from edgesft.stages.prune.bench import Bench
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_classification import TextClassification
from edgesft.train import checkpoint
from tests import tiny

TASK = TextClassification()


@pytest.fixture(scope="module")
def source(bert, tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    contract = Contract(TASK.name, ("negative", "positive"), {"max_length": 32})
    torch.manual_seed(0)
    model = TASK.load_model(bert, contract)
    checkpoint.save(model, folder, TASK.load_processor(bert, contract), contract)
    return Artefact("torch", folder, "0")


KNOWN: dict[str, Any] = {}


def record(facts, measure):
    """One table serves all tests: of the same sizes it is the same."""
    key = json.dumps(facts)
    if key not in KNOWN:
        KNOWN[key] = measure()
    return KNOWN[key]


@pytest.fixture
def few_rungs(monkeypatch):
    """Each rung costs an export."""
    monkeypatch.setattr("edgesft.stages.prune.sizes.RUNGS", (1, 1 / 4))
    monkeypatch.setattr("edgesft.stages.prune.sizes.FEW", 2)


@pytest.fixture
def real_exports():
    """Asked for where what is measured is read."""


@pytest.fixture
def weights_for_exports(request, monkeypatch):
    """An export takes seconds; where a device's latency is the bytes of a file, weights will do."""

    def weights(bench, model, name):
        place = bench.context.work / name / "model.onnx"
        place.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.write_weights(model, place)
        return place

    if "real_exports" not in request.fixturenames:
        monkeypatch.setattr(Bench, "_float", weights)


@pytest.fixture
def context(source, tmp_path):
    processor = TASK.load_processor(source.path, source.contract)
    encoded = TASK.encode(tiny.rows(72), processor, source.contract)

    def absent(*_):
        raise AssertionError("must not be asked")

    return StageContext(
        task=TASK,
        processor=processor,
        contract=source.contract,
        train=encoded[:48],
        validation=encoded[48:],
        profile=ProfileSpec(name="test", description="test", providers=(ProviderSpec(name="CPUExecutionProvider"),)),
        training=ResolvedTraining(epochs=2, batch_size=16, learning_rate=1e-3, evaluations=1),
        seed=0,
        work=tmp_path / "work",
        teacher=None,
        reference=None,
        allowance=0.01,
        latency=absent,
        record=record,
        evaluate=absent,
        encoded_by=lambda other: TASK.encode(tiny.rows(72)[48:], other, source.contract),
        progress=Progress(quiet=True),
    )
