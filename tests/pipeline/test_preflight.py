"""What the preflight finds before anything is trained."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edgesft.errors import InputError
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.pipeline.preflight import _answers, _rehearse_pruning, preflight
from edgesft.progress import Progress
from edgesft.spec.stages import PruneSpec
from edgesft.store.store import Store
from edgesft.tasks.base import Task
from edgesft.tasks.image_classification import ImageClassification
from edgesft.tasks.voice_activity import VoiceActivity
from tests.stages.prune import nets


def rehearse(net: nets.Net, **settings: Any) -> None:
    job: Any = SimpleNamespace(
        profile=SimpleNamespace(channel_multiple=4), task=SimpleNamespace(logits=nets.logits), progress=None
    )
    _rehearse_pruning(job, PruneSpec(stage="prune", parameters=0.8, **settings), net, nets.inputs())


@pytest.mark.parametrize("settings", [{}, {"targets": ["rank"]}], ids=["channels", "rank"])
def test_a_model_that_can_be_cut_stays_whole(settings: dict[str, Any]) -> None:
    net = nets.Sequence(nets.Attending("heads")) if settings else nets.build(nets.Residual)
    before = sum(each.numel() for each in net.parameters())
    rehearse(net, **settings)
    assert sum(each.numel() for each in net.parameters()) == before


def test_what_does_not_run_once_it_is_cut_is_no_part_of_what_can_be_reached() -> None:
    net = nets.build(nets.Stiff)
    with pytest.raises(InputError, match=r"prune.parameters: .* can reach, at least 1.000"):
        rehearse(net, max_share=0.1)
    with pytest.raises(InputError, match="left alone: first.0"):
        rehearse(net, exclude=["stem.*"])


@pytest.mark.parametrize(
    ("task", "field"),
    [(ImageClassification(), "data.image"), (VoiceActivity(), "data.frames")],
    ids=["pictures", "frames of sounds"],
)
def test_a_model_that_does_not_take_the_inputs_is_told_what_they_are(task: Task, field: str) -> None:
    with pytest.raises(InputError) as raised:
        _answers(task, nn.Conv2d(1, 4, 3), {"input": torch.zeros(4, 3, 8, 8)})
    (problem,) = raised.value.problems
    assert "must take what is read of the data, input of [4, 3, 8, 8]. Got RuntimeError: " in problem.message
    assert str(problem.hint).startswith(f"{field} says how it is read")


def of_arrays(folder: Path, stages: str, classes: int = 2) -> Job:
    shutil.copy(Path(__file__).parents[1] / "tasks" / "nets.py", folder)
    np.savez(folder / "train.npz", x=np.arange(240, dtype=np.float32).reshape(40, 6), label=np.arange(40) % 2)
    (folder / "recipe.yaml").write_text(
        f"version: 1\ntask: arrays\nmodel: {{factory: 'nets:make', arguments: {{classes: {classes}}}, inputs: [x]}}\n"
        f"data: {{train: train.npz, validation: 0.5}}\nprofile: x86-1-thread\nstages: [{{stage: finetune}}, {stages}]\n"
    )
    checked, store = check(folder / "recipe.yaml"), Store(folder / "store")
    return Job(checked.recipe, checked.base, checked.profiles[0], store, Progress(quiet=True))


def test_a_model_with_more_scores_than_labels_is_found_before_it_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must give a score for each of 2 labels, got 3"):
        preflight(of_arrays(tmp_path, "{stage: distill}", classes=3))


@pytest.mark.parametrize("weight", ["hidden_weight", "relation_weight"])
def test_what_a_model_does_not_tell_is_found_before_it_is_trained(weight: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{weight}: needs .*none"):
        preflight(of_arrays(tmp_path, f"{{stage: distill, {weight}: 1}}"))


def test_what_is_wrong_with_several_stages_is_told_at_once(tmp_path: Path) -> None:
    job = of_arrays(tmp_path, "{stage: prune, parameters: 0.8, exclude: [up]}, {stage: quantize, exclude: [down]}")
    with pytest.raises(InputError) as raised:
        preflight(job)
    told = [each.message for each in raised.value.problems]
    assert len(told) == 2 and "prune.exclude: 'up'" in told[0] and "Got 'down', which matches none" in told[1]
