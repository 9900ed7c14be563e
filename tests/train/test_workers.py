"""Several processes train as one does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgesft import processes
from edgesft.errors import UnavailableError
from edgesft.train import workers
from tests.train import together
from tests.train.mood import Mood


def finish(*given: object, processes: int = 2) -> list[int]:
    """The exit codes of the processes."""
    started = together.start(processes, *given)
    return [process.wait(timeout=300) for process in started]


@pytest.fixture(scope="module")
def pair(task: Mood, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of each case, trained by two processes."""
    folder = tmp_path_factory.mktemp("pair")
    assert finish(task.source, folder, 0, *together.CASES) == [0, 0]
    return folder


@pytest.mark.parametrize("name", [name for name in together.CASES if name != "dropout"])
def test_two_processes_train_as_one(task: Mood, pair: Path, tmp_path: Path, name: str) -> None:
    start, alone = task.model().state_dict(), together.fit(task, name, tmp_path).state_dict()
    found = load_file(pair / f"{name}.safetensors")
    assert set(found) == set(alone)
    moved = max(float((alone[each][: len(values)] - values).abs().max()) for each, values in start.items())
    apart = max(float((found[each] - values).abs().max()) for each, values in alone.items())
    # Sums in another order; and hidden states are compared by the mean over a process's tokens, then over its rows.
    assert apart < (2e-4 if name == "taught" else 1e-5) < 5e-3 < moved


@pytest.mark.slow
def test_three_processes(task: Mood, tmp_path: Path) -> None:
    assert finish(task.source, tmp_path, 0, "plain", processes=3) == [0, 0, 0]
    alone = together.fit(task, "plain", tmp_path / "alone").state_dict()
    for name, values in load_file(tmp_path / "plain.safetensors").items():
        torch.testing.assert_close(values, alone[name], atol=1e-5, rtol=0.0)


def test_the_first_one_s_end_frees_the_others_and_it_goes_on_to_the_same_bytes(
    task: Mood, pair: Path, tmp_path: Path
) -> None:
    killed, freed = finish(task.source, tmp_path, 4, "dropout")
    assert killed < 0 < freed
    assert (tmp_path / "work" / "dropout" / "checkpoint-4").is_dir()
    assert finish(task.source, tmp_path, 0, "dropout") == [0, 0]
    assert (tmp_path / "dropout.safetensors").read_bytes() == (pair / "dropout.safetensors").read_bytes()


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    yield monkeypatch


def test_alone_without_a_launcher() -> None:
    with workers.joined() as rank, workers.exchanging(torch.nn.Linear(1, 1)) as exchange:
        assert (rank, processes.count(), exchange) == (0, 1, None)


def test_processes_that_do_not_find_each_other(surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("WORLD_SIZE", "2")
    surroundings.setenv("RANK", "1")
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        surroundings.delenv(name, raising=False)
    with (
        pytest.raises(UnavailableError, match="WORLD_SIZE=2: so many processes must find each other"),
        workers.joined(),
    ):
        pass
    assert os.environ["WORLD_SIZE"] == "2" and processes.count() == 1
