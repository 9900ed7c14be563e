"""`data.on_disk` changes where things lie, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.data import chunks
from edgesft.data.arrays import MappedArrays
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.pipeline.models import Maker
from edgesft.pipeline.plan import plan
from edgesft.progress import Progress
from edgesft.store.store import Store
from edgesft.tasks import chunked, registry
from edgesft.tasks.recommendation import READY
from tests import chain, tiny
from tests.tasks import nets
from tests.tasks.test_each import ROWS

FINETUNE = {
    "stage": "finetune",
    "epochs": 2,
    "learning_rate": 3.0e-3,
    "batch_size": 16,
    "arithmetic": "fp32",
    "token_dropout": 0.1,
    "class_weights": "balanced",
}


def job(recipe: Path, store: Path, on_disk: bool) -> Job:
    kept = Store(store)
    checked = check(recipe, [f"data.on_disk={str(on_disk).lower()}"], kept)
    return Job(checked.recipe, checked.base, checked.profiles[0], kept, Progress(quiet=True))


FACTORIES: dict[str, dict[str, Any]] = {
    "image-classification": {"factory": "nets:image"},
    "image-generation": {"factory": "nets:painter", "inputs": ["noisy", "time"]},
    "image-multi-task": {"factory": "nets:image", "arguments": {"classes": 4}},
    "audio-classification": {"factory": "nets:image"},
    "audio-multi-task": {"factory": "nets:image", "arguments": {"classes": 4}},
    "object-detection": {"factory": "nets:detector"},
    "text-to-speech": {"factory": "nets:reader"},
    "speech-enhancement": {
        "factory": "nets:enhancer",
        "inputs": ["frames"],
        "states": {"hidden": [24], "cell": [24]},
    },
    "recommendation": {"factory": READY, "arguments": {"width": 16}},
}
"""Models for what is no text."""


@pytest.mark.parametrize("name", sorted(ROWS))
def test_the_same_examples_of_every_task(
    name: str, bert: Path, llama: Path, t5: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 64)
    rows, changes = ROWS[name](500), dict[str, Any]()
    if name in FACTORIES:
        rows = tiny.filed(rows, tmp_path / "files")
        changes = {"model": {**FACTORIES[name], "path": str(Path(nets.__file__).parent)}}
    model = {"text-generation": llama, "text-to-text": t5}.get(name, bert)
    if registry.TASKS[name].unprunable:
        changes["stages"] = [{"stage": "finetune", "epochs": 0.1}]
    recipe = chain.write(tmp_path, model, rows=rows, task=name, budget={"size_ratio": 0.95}, **changes)
    memory, disk = (job(recipe, tmp_path / "store", on_disk) for on_disk in (False, True))
    for split in ("train", "validation", "test"):
        ours, theirs = getattr(memory, split), getattr(disk, split)
        assert isinstance(theirs, MappedArrays) and len(ours) == len(theirs) > 0
        for one, other in zip(ours, theirs, strict=True):
            assert list(one) == list(other)
            assert all(one[each].dtype == other[each].dtype and np.array_equal(one[each], other[each]) for each in one)
    assert memory.facts == disk.facts and memory.contract == disk.contract


def test_the_same_model(bert: Path, tmp_path: Path) -> None:
    recipe = chain.write(tmp_path, bert, stages=(FINETUNE,))

    def trained(on_disk: bool) -> tuple[bytes, Any]:
        given = job(recipe, tmp_path / str(on_disk), on_disk)
        maker = Maker(given)
        artefact, report = maker.make(plan(given.recipe)[0], maker.start(), None)
        (weights,) = artefact.path.glob("*.safetensors")
        told = report.details["training"]
        return weights.read_bytes(), (told["history"], told["steps"], report.details["diagnosis"])

    memory, disk = trained(False), trained(True)
    assert memory == disk and memory[1][1] == 38
    assert list((tmp_path / "True").rglob("rows-*.arrow")) and not list((tmp_path / "False").rglob("rows-*.arrow"))


def test_rows_are_encoded_once(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = chain.write(tmp_path, bert)
    first = job(recipe, tmp_path / "store", True).train[0]

    def refuse(*_: object) -> Any:
        raise AssertionError("encoded again")

    monkeypatch.setattr(chunked, "encode", refuse)
    again = job(recipe, tmp_path / "store", True)
    assert np.array_equal(again.train[0]["input_ids"], first["input_ids"])
    with pytest.raises(AssertionError, match="encoded again"):
        _ = Job(
            again.recipe.model_copy(update={"data": again.recipe.data.model_copy(update={"max_length": 8})}),
            again.base,
            again.profile,
            again.store,
            again.progress,
        ).train
