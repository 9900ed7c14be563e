from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from edgesft.stages.prune.replay import Replay
from edgesft.stages.prune.sensitivity import sensitivity
from tests.stages.prune import models, nets

TEXTS = ("bert", "distilbert", "electra", "albert", "mpnet", "modernbert", "llama", "neox", "gpt2", "vit")
NETS = (
    nets.Plain,
    nets.Residual,
    nets.Shuffled,
    nets.Twice,
    nets.Branches,
    nets.Concat,
    nets.Tied,
    nets.Recurrent,
    nets.Shared,
)


class Writing(nets.Net):
    """Writes to what it read before, and reads that again: a block, a module and a sum in place."""

    def build(self) -> None:
        self.norm = nn.BatchNorm2d(16)
        self.active = nn.Hardswish(inplace=True)
        self.first, self.second, self.third = nets.conv(16, 24), nets.conv(24, 16), nets.conv(16, 16)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        seen = self.norm(x)
        found = self.second(self.first(self.active(seen)))
        found += seen
        return self.third(found) + found


def drift(outputs: Any, whole: Any, _: Any) -> torch.Tensor:
    ours, theirs = (each["logits"] if isinstance(each, dict) else each.logits for each in (outputs, whole))
    return (ours - theirs).square().mean()


def drifts(kind: Any) -> dict[str, list[float]]:
    place, model = (models, models.build(kind)) if isinstance(kind, str) else (nets, nets.build(kind))
    layout = place.layout_of(model)
    batches = [{**(place.inputs(model, 4) if place is models else nets.inputs(4)), "labels": torch.zeros(4)}] * 2
    widths = [width for width in layout.widths if not width.linear]
    sizes = {width.name: (width.size, width.size // 2, 0) for width in widths}
    return sensitivity(model, widths, sizes, models.random_scores(layout), batches, drift)


@pytest.mark.parametrize("kind", [*TEXTS, *NETS, Writing], ids=lambda kind: getattr(kind, "__name__", kind))
def test_nothing_changes(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = drifts(kind)
    monkeypatch.setattr(Replay, "before", lambda self, modules: [])
    assert found == drifts(kind)


def test_what_ran_before_is_not_run_again() -> None:
    model = models.build("bert", num_hidden_layers=3)
    inputs = models.inputs(model)
    layers = [f"bert.encoder.layer.{number}" for number in range(3)]
    replay = Replay(model, inputs)
    known = replay.before([f"{layers[2]}.output.dense"])
    assert known == ["bert.embeddings", *layers[:2], f"{layers[2]}.attention", f"{layers[2]}.intermediate"]
    whole, answers = replay.answers(known, inputs)
    forwards = set[str]()
    for name in layers:
        query = model.get_submodule(f"{name}.attention.self.query")
        query.register_forward_pre_hook(lambda *_, name=name: forwards.add(name))
    with torch.no_grad(), replay.given(answers):
        again = model(**inputs)
    assert torch.equal(again.logits, whole.logits)
    assert not forwards
    with torch.no_grad():
        assert torch.equal(model(**inputs).logits, whole.logits)
    assert forwards == set(layers)
    assert not any("forward" in vars(module) for module in model.modules())


def test_what_is_shared_or_did_not_run_is_run() -> None:
    net = nets.build(nets.Plain)
    net.unused = nn.Linear(2, 2)
    replay = Replay(net, nets.inputs())
    assert replay.before(["unused"]) == []
    assert replay.before([]) == []
    assert replay.before(["body.1.0"]) == ["stem", "body.0"]
    assert replay.before(["body.1.0", "body.0.0"]) == ["stem"]
    # One module that runs once a layer.
    albert = models.build("albert")
    replay = Replay(albert, models.inputs(albert))
    assert all("layer_groups" not in name for name in replay.before(["classifier"]))


def test_a_forward_of_a_modules_own_comes_back() -> None:
    net = nets.build(nets.Plain)
    own = net.stem.forward
    net.stem.forward = own
    replay = Replay(net, nets.inputs())
    _, answers = replay.answers(["stem", "body"], nets.inputs())
    with pytest.raises(ZeroDivisionError), replay.given(answers):
        raise ZeroDivisionError
    assert vars(net.stem)["forward"] is own
    assert "forward" not in vars(net.body)
