"""What the training settings do, each on a real training of the tiny task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM, Trainer

from edgesft.errors import InputError, StageError
from edgesft.train.depth import depths, lowest, rates
from edgesft.train.engine import FitReport
from edgesft.train.objective import task_objective
from edgesft.train.regularisation import balanced, penalty
from tests.train.mood import SETTINGS, Mood, digest

SHORT = SETTINGS.model_copy(update={"epochs": 1.0, "token_dropout": 0.0, "evaluations": 2})


def trained(task: Mood, work: Path, **changes: Any) -> tuple[nn.Module, FitReport]:
    model = task.model()
    return model, task.fit(model, work, settings=SHORT.model_copy(update=changes))


def changed(task: Mood, model: nn.Module) -> set[str]:
    """Names of the parameters that a training moved."""
    before = dict(task.model().named_parameters())
    return {name for name, now in model.named_parameters() if not torch.equal(now, before[name])}


def test_depths_go_from_the_embeddings_to_the_head(task: Mood) -> None:
    found = depths(task.model())
    assert found["bert.embeddings.word_embeddings.weight"] == 0
    assert found["bert.encoder.layer.0.output.dense.weight"] == 1
    assert found["bert.encoder.layer.1.output.dense.weight"] == 2
    assert found["bert.pooler.dense.weight"] == found["classifier.weight"] == 3
    with pytest.raises(InputError, match="must have a model with a list of layers, got Linear"):
        depths(nn.Linear(1, 1))


def test_a_decoder_lies_behind_its_encoder(t5: Path) -> None:
    found = depths(AutoModelForSeq2SeqLM.from_pretrained(t5))
    last = max(found.values())
    assert found["shared.weight"] == 0
    assert found["encoder.block.0.layer.0.SelfAttention.q.weight"] == 1
    encoder = max(depth for name, depth in found.items() if name.startswith("encoder.block."))
    assert found["encoder.final_layer_norm.weight"] == encoder
    assert found["decoder.block.0.layer.0.SelfAttention.q.weight"] == encoder + 1
    assert (
        found["decoder.final_layer_norm.weight"]
        == last
        == 1 + max(depth for name, depth in found.items() if name.startswith("decoder.block."))
    )


def test_rates_fall_towards_the_embeddings(task: Mood) -> None:
    found = rates(task.model(), 0.5)
    assert found["classifier.bias"] == 1 and found["bert.embeddings.word_embeddings.weight"] == 0.125
    assert set(rates(nn.Linear(1, 1), 1.0).values()) == {1.0}


def test_layer_decay_moves_lower_layers_less(task: Mood, tmp_path: Path) -> None:
    start = dict(task.model().named_parameters())

    def moved(name: str, decay: float) -> float:
        model, _ = trained(task, tmp_path / f"{name}{decay}", layer_decay=decay)
        return float((dict(model.named_parameters())[name] - start[name]).abs().mean())

    low = "bert.encoder.layer.0.output.dense.weight"
    assert moved(low, 0.1) < 0.1 * moved(low, 1.0)


def test_attention_of_torch_itself_learns(task: Mood, tmp_path: Path) -> None:
    model = task.model()
    attention = nn.MultiheadAttention(32, 4, batch_first=True)
    assert "q_proj_weight" in attention._parameters, "a name without a weight"
    model.add_module("more", attention)
    model.bert.register_forward_hook(lambda _, __, found: _attended(found, attention))
    before = attention.in_proj_weight.detach().clone()
    task.fit(model, tmp_path, settings=SHORT)
    assert not torch.equal(attention.in_proj_weight, before)


def _attended(found: Any, attention: nn.MultiheadAttention) -> Any:
    found.pooler_output = found.pooler_output + attention(*[found.pooler_output[:, None]] * 3)[0][:, 0]
    return found


def test_the_head_alone(task: Mood, tmp_path: Path) -> None:
    model, _ = trained(task, tmp_path, unfreeze="head")
    moved = changed(task, model)
    assert moved and all(name.startswith(("classifier.", "bert.pooler.")) for name in moved)
    assert all(parameter.requires_grad for parameter in model.parameters()), "as before"


def test_gradual_unfreezing_ends_with_everything(task: Mood, tmp_path: Path) -> None:
    assert [lowest("gradual", 3, step, 12) for step in (0, 1, 2, 4, 6, 11)] == [3, 3, 2, 1, 0, 0]
    model, _ = trained(task, tmp_path, unfreeze="gradual")
    assert "bert.embeddings.word_embeddings.weight" in changed(task, model)


def test_parts_make_the_same_step(task: Mood, tmp_path: Path) -> None:
    # Without dropout, whose numbers fall on other values in other parts.
    whole, _ = trained(task, tmp_path / "whole", dropout=0.0)
    parts, _ = trained(task, tmp_path / "parts", dropout=0.0, accumulation=4)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.allclose(one, other, atol=2e-3)
    assert digest(whole) != digest(task.model())


def test_dropout_is_the_training_s_alone(task: Mood, tmp_path: Path) -> None:
    plain, none = trained(task, tmp_path / "a")[0], trained(task, tmp_path / "b", dropout=0.0)[0]
    assert digest(plain) != digest(none)
    assert {module.p for module in none.modules() if isinstance(module, nn.Dropout)} == {0.1}
    with pytest.raises(InputError, match="dropout: must have a model with dropout"):
        task.fit(nn.Linear(1, 1), tmp_path / "c", settings=SHORT.model_copy(update={"dropout": 0.1}))


def test_an_average_is_what_is_kept(task: Mood, tmp_path: Path) -> None:
    model, report = trained(task, tmp_path, average=0.9)
    plain, _ = trained(task, tmp_path / "plain")
    assert digest(model) != digest(plain)
    assert task.accuracy(model) == pytest.approx(report.best["accuracy"])


def test_an_average_is_of_the_weights_where_they_are_trained(
    task: Mood, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To another device as to another type: the trainer moves the model while it is made.
    monkeypatch.setattr(Trainer, "_move_model_to_device", lambda self, model, device: model.double())
    model, _ = trained(task, tmp_path, average=0.9, epochs=0.1)
    assert next(model.parameters()).dtype == torch.float64


class Stop(Exception):
    pass


@pytest.mark.parametrize(
    "changes", [{"average": 0.9}, {"unfreeze": "gradual", "layer_decay": 0.5}, {"accumulation": 3}], ids=str
)
def test_each_goes_on_to_the_same_weights(task: Mood, tmp_path: Path, changes: dict[str, Any]) -> None:
    settings = SHORT.model_copy(update={**changes, "checkpoint_minutes": 1e-9})
    usual, calls = task_objective(task.task), [0]

    def stopping(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        calls[0] += 1
        if calls[0] > 7:
            raise Stop
        return usual(model, batch)

    whole, cut = task.model(), task.model()
    task.fit(whole, tmp_path / "whole", settings=settings)
    with pytest.raises(Stop):
        task.fit(cut, tmp_path / "cut", settings=settings, objective=stopping)
    resumed = task.model()
    task.fit(resumed, tmp_path / "cut", settings=settings)
    assert digest(resumed) == digest(whole)


def test_patience_ends_a_training_that_gets_no_better(task: Mood, tmp_path: Path) -> None:
    settings = {"epochs": 6.0, "evaluations": 12, "learning_rate": 1e-9, "patience": 2}
    _, report = trained(task, tmp_path, **settings)
    # A tie is the later one's, so that weights that stand still are never worse.
    assert len(report.history) == 12
    scores = iter([0.5, 0.6, 0.55, 0.59, 0.9, 0.9])

    class Falling(type(task.task)):
        def score(self, *_: Any) -> dict[str, float]:
            return {"accuracy": next(scores), "f1_macro": 0.0}

    model = task.model()
    stopped = task.fit(model, tmp_path / "b", task=Falling(), settings=SHORT.model_copy(update=settings))
    assert [each["metrics"]["accuracy"] for each in stopped.history] == [0.5, 0.6, 0.55, 0.59]
    assert stopped.best["accuracy"] == 0.6
    again = task.fit(task.model(), tmp_path / "b", task=Falling(), settings=SHORT.model_copy(update=settings))
    assert again.best_step == stopped.best_step, "and is not taken up again"
    scores = iter([0.5, 0.6, 0.55, 0.59, 0.9, 0.9])
    last = SHORT.model_copy(update={**settings, "selection": "last"})
    ended = task.fit(task.model(), tmp_path / "c", task=Falling(), settings=last)
    assert len(ended.history) == 4 and ended.best["accuracy"] == 0.59


def test_the_first_number_is_better_than_none(task: Mood, tmp_path: Path) -> None:
    scores = iter([float("nan"), 0.6])

    class Late(type(task.task)):
        def score(self, *_: Any) -> dict[str, float]:
            return {"accuracy": next(scores), "f1_macro": 0.0}

    report = task.fit(task.model(), tmp_path, task=Late(), settings=SHORT.model_copy(update={"epochs": 0.2}))
    assert report.best["accuracy"] == 0.6


def test_penalties_shrink_the_weights(task: Mood, tmp_path: Path) -> None:
    def size(**changes: float) -> float:
        model, _ = trained(task, tmp_path / str(changes), weight_decay=0.0, **changes)
        return float(penalty(model, 0.0, 1.0))

    assert size(l2=0.01) < size() and size(l1=0.001) < size()
    weight = nn.Linear(2, 1)
    weight.weight.data = torch.tensor([[1.0, -2.0]])
    assert float(penalty(weight, 0.1, 0.01).detach()) == pytest.approx(0.3 + 0.05)


def test_balanced_weights_are_scikit_learn_s() -> None:
    examples = [{"labels": torch.tensor(label).numpy()} for label in (0, 0, 0, 2, -100)]
    assert balanced(examples, 4).tolist() == pytest.approx([4 / 6, 0, 2, 0])


def test_class_weights_make_rare_classes_count(task: Mood, tmp_path: Path) -> None:
    rare = [each for each in task.train if each["labels"] == 0][:4]
    train = [each for each in task.train if each["labels"] == 1] + rare

    def taken(weights: str) -> float:
        model = task.model()
        settings = SHORT.model_copy(update={"class_weights": weights, "epochs": 0.5, "learning_rate": 1e-3})
        task.fit(model, tmp_path / weights, settings=settings, train=train)
        from edgesft.train.engine import runner

        logits = task.task.predict(runner(model), task.validation, task.processor, batch_size=32)
        return float((logits[:, 0] - logits[:, 1]).mean())

    assert taken("balanced") > taken("none")


def test_a_loss_that_is_no_number_names_the_rows(task: Mood, tmp_path: Path) -> None:
    usual, calls = task_objective(task.task), [0]

    def breaking(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        calls[0] += 1
        return usual(model, batch) * (float("nan") if calls[0] == 8 else 1.0)

    settings = SHORT.model_copy(update={"evaluations": 5})
    with pytest.raises(StageError) as caught:
        numbers = range(1002, 1002 + 2 * len(task.train), 2)
        task.fit(task.model(), tmp_path, settings=settings, objective=breaking, numbers=numbers)
    told = str(caught.value)
    number = int(told.split("on the training rows ")[1].split(",")[0])
    assert number > 1000 and number % 2 == 0
    assert "the loss of step 8 is nan, on the training rows " in told and "24 more" in told
    assert "the checkpoint of step 6 is kept" in told and (tmp_path / "checkpoint-6").is_dir()


def test_out_of_memory_halves_the_batch(task: Mood, tmp_path: Path) -> None:
    usual, sizes = task_objective(task.task), list[int]()

    def hungry(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        sizes.append(len(batch["labels"]))
        if sizes[-1] > 10:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        return usual(model, batch)

    report = task.fit(task.model(), tmp_path, settings=SHORT, objective=hungry)
    assert report.steps == len(report.history) * 5 and sizes[:3] == [32, 16, 8] and max(sizes[3:]) <= 8

    def hopeless(model: nn.Module, batch: Mapping[str, Any]) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    with pytest.raises(StageError, match="must suffice for a row of step 1"):
        task.fit(task.model(), tmp_path / "none", settings=SHORT, objective=hopeless)
