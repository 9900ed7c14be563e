"""Models that others' tools make of the same fine-tuned model, for `bench/compression.py`."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_pruning as tp
from torch import nn

from edgesft.errors import EdgesftError
from edgesft.pipeline.job import Job
from edgesft.pipeline.models import Maker
from edgesft.pipeline.plan import plan
from edgesft.stages import distill
from edgesft.stages.artefact import CONTRACT
from edgesft.stages.export import export_onnx
from edgesft.train import checkpoint
from edgesft.train.distillation import TeacherObjective
from edgesft.train.engine import fit
from edgesft.train.objective import inputs_of
from edgesft.train.predictor import runner

SHARES = (0.75, 0.5, 0.35, 0.25, 0.15)
"""Of the multiply-accumulates, tried in this order until validation accuracy falls by more than the allowance."""

ROUND_TO = 8
"""Channels are kept in multiples of this, as torch-pruning's examples do."""


def pruned_by_macs(job: Job, folder: Path) -> dict[str, Path]:
    """torch-pruning as its examples use it: uniform ratios by group magnitude, all at once, to a share of the MACs.

    Then trained as our last training is. The smallest one within the allowance, and the first one beyond it.
    """
    steps = {step.spec.stage: step for step in plan(job.recipe)}
    maker = Maker(job)
    finetuned, _ = maker.make(steps["finetune"], maker.start(), None)
    teacher = checkpoint.load(finetuned.path, job.task)
    base, found = _accuracy(job, teacher), dict[str, Path]()
    folder.mkdir(parents=True, exist_ok=True)
    ours = maker.context(steps["distill"], finetuned, folder, finetuned, None)
    # The same rows, changed as ours are, and as long.
    lengthened = distill.lengthened(steps["distill"].spec, ours, job.contract).training
    settings = lengthened.model_copy(update={"quantization": "none"})
    for share in SHARES:
        place = folder / f"macs-{share:g}"
        accuracy_file = place / "accuracy.txt"
        if not accuracy_file.is_file():
            model = checkpoint.load(finetuned.path, job.task)
            try:
                reached = _cut(job, model, share)
            except Exception as error:  # whatever a library raises on a model that it does not know
                print(f"torch-pruning to {share:g} of the MACs: {type(error).__name__}: {error}", file=sys.stderr)
                break
            _train(job, model, checkpoint.load(finetuned.path, job.task), settings, place)
            export_onnx(model, job.task, job.processor, job.validation, job.contract, place, opset=job.target.opset)
            accuracy_file.write_text(f"{_accuracy(job, model)} {reached}")
        accuracy, reached = map(float, accuracy_file.read_text().split())
        within = base - accuracy <= job.allowance
        if within:
            found.clear()
        found[f"torch-pruning, {reached:.2f} of the MACs"] = place
        if not within:
            break
    return found


def _cut(job: Job, model: nn.Module, share: float) -> float:
    """Cuts a model in place to about this share of its MACs; the share reached."""
    batch = job.task.collate(job.train[:1], job.processor)
    example = inputs_of({name: torch.as_tensor(value) for name, value in batch.items()})
    whole, _ = tp.utils.count_ops_and_params(model, example)
    low, high, best = 0.0, 1.0, None
    for _ in range(8):
        middle = (low + high) / 2
        candidate = copy.deepcopy(model)
        _prune(job, candidate, example, middle)
        left, _ = tp.utils.count_ops_and_params(candidate, example)
        if left <= share * whole:
            best, high = candidate, middle
        else:
            low = middle
    if best is None:
        raise ValueError("no ratio reaches it")
    model.__dict__.update(best.__dict__)
    return tp.utils.count_ops_and_params(model, example)[0] / whole


def _prune(job: Job, model: nn.Module, example: Any, pruning_ratio: float) -> None:
    """Cuts the same share of everything; of attention whole heads, as torch-pruning's example for BERT does."""
    last = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    attentions = [each for each in model.modules() if {"query", "key", "value"} <= {*dict(each.named_children())}]
    heads = {getattr(each, name): each.num_attention_heads for each in attentions for name in ("query", "key", "value")}
    pruner = tp.pruner.BasePruner(
        model,
        example,
        tp.importance.GroupMagnitudeImportance(),
        pruning_ratio=pruning_ratio,
        ignored_layers=[last],
        round_to=ROUND_TO,
        num_heads=heads,
        prune_num_heads=True,
        prune_head_dims=False,
        head_pruning_ratio=pruning_ratio,
        output_transform=job.task.logits,
    )
    pruner.step()
    for each in attentions:
        each.num_attention_heads = pruner.num_heads[each.query]
        each.all_head_size = each.query.out_features


def _train(job: Job, model: nn.Module, teacher: nn.Module, settings: Any, place: Path) -> None:
    (place / "work").mkdir(parents=True, exist_ok=True)
    hard = 0.0 if settings.mixup else 0.3  # as our distillation has it
    objective = TeacherObjective(job.task, teacher, temperature=2.0, hard_weight=hard)
    fit(
        model,
        task=job.task,
        processor=job.processor,
        contract=job.contract,
        train=job.train,
        validation=job.validation,
        settings=settings,
        seed=job.recipe.seed,
        work=place / "work",
        progress=job.progress,
        label="torch-pruning",
        objective=objective,
        reader=teacher,
    )


def _accuracy(job: Job, model: nn.Module) -> float:
    answers = job.task.predict(runner(model), job.validation, job.processor, batch_size=32)
    return job.task.score(answers, job.task.references(job.validation), job.contract)[job.metric]


def olive(job: Job, python: Path, original: Path, folder: Path) -> dict[str, Path]:
    """What Olive makes of the exported model, each candidate in a folder.

    Raises:
        EdgesftError: It failed.
    """
    rows = job.task.requests(job.train[:128], job.processor)
    data = folder / "olive-rows.npz"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(data, **{f"{number}/{name}": value for number, row in enumerate(rows) for name, value in row.items()})
    script = Path(__file__).with_name("olive_passes.py")
    done = subprocess.run([python, script, original / "model.onnx", data, folder / "olive"], check=False)
    if done.returncode:
        raise EdgesftError(f"Olive ended with {done.returncode}")
    places = sorted((folder / "olive").iterdir())
    for place in places:
        (place / CONTRACT).write_text(job.contract.text(), "utf-8")
    return {f"Olive, {place.name}": place for place in places}
