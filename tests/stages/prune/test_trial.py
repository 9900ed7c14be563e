"""What does not run once it is cut is left alone and named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from edgesft.errors import InputError
from edgesft.stages.prune.layout import Layout
from edgesft.stages.prune.trial import that_bear_it
from edgesft.train import environment
from tests.stages.prune import nets


def tried(net: nets.Net) -> Layout:
    return that_bear_it(net, nets.layout_of(net), nets.inputs(), nets.logits, 4)


@pytest.mark.parametrize("kind", nets.ALL, ids=lambda kind: kind.__name__)
def test_what_bears_everything_stays_what_it_is(kind: type[nets.Net]) -> None:
    net = nets.build(kind)
    before = nets.answers(net)
    assert tried(net) == nets.layout_of(net)
    assert torch.equal(nets.answers(net), before)


def test_a_number_in_the_code() -> None:
    found = tried(nets.build(nets.Stiff))
    assert [width.name for width in found.widths] == ["stem.0"] and found.left_alone == ("first.0",)


def test_a_weight_that_two_layers_have() -> None:
    found = tried(nets.build(nets.Shared))
    assert [width.name for width in found.widths] == ["body.0.0", "body.1.0"]
    assert set(found.left_alone) == {"stem.0", "one", "two"}


def test_what_may_shrink_but_not_go() -> None:
    net = nets.build(nets.Fused)
    (before,), (after,) = nets.layout_of(net).widths, tried(net).widths
    assert before.name == after.name == "layer.linear1" and before.may_go and not after.may_go


@pytest.mark.parametrize(
    "error", [RuntimeError(f"DefaultCPUAllocator: {environment.SHORTAGES[0]}"), torch.OutOfMemoryError()], ids=str
)
def test_a_lack_of_memory_says_nothing_of_the_widths(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    net = nets.build(nets.Plain)
    layout, features = nets.layout_of(net), nets.Plain.features

    def starving(narrow: Callable[[nets.Plain], bool]) -> None:
        def hungry(self: nets.Plain, x: torch.Tensor) -> torch.Tensor:
            if narrow(self):
                raise error
            return features(self, x)

        monkeypatch.setattr(nets.Plain, "features", hungry)

    starving(lambda cut: cut.classifier.in_features < net.classifier.in_features)
    with pytest.raises(type(error)):
        that_bear_it(net, layout, nets.inputs(), nets.logits, 4)
    starving(lambda cut: layout.parameters() > sum(each.numel() for each in cut.parameters()))
    with pytest.raises(type(error)):
        nets.layout_of(net)  # tries which layers the next one can do without


def test_nothing_is_left() -> None:
    net = nets.build(nets.Stiff)
    stiff = [width for width in nets.layout_of(net).widths if width.name == "first.0"]
    with pytest.raises(InputError, match=r"'model' must run with fewer units.*left alone: first.0"):
        that_bear_it(net, nets.layout_of(net).only(stiff), nets.inputs(), nets.logits, 4)
