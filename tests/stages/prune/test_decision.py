"""What later rounds of pruning may still choose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgesft.spec.stages import PruneSpec
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.costs import Parameters
from edgesft.stages.prune.decision import Decision
from edgesft.stages.prune.plan import make_plan
from edgesft.stages.prune.sizes import smallest
from tests.stages.prune import models, nets


def allowed(net: Any, sizes: dict[str, int]) -> tuple[dict[str, tuple[int, ...]], int]:
    """The sizes that a next round may choose after a cut, and the parameters of its smallest model."""
    layout = nets.layout_of(net)
    apply_plan(net, make_plan(layout, sizes, models.random_scores(layout)), nets.inputs(), nets.logits)
    bench: Any = SimpleNamespace(layout=layout, sample=nets.inputs())
    context: Any = SimpleNamespace(
        task=SimpleNamespace(logits=nets.logits), profile=SimpleNamespace(channel_multiple=4)
    )
    spec = PruneSpec(stage="prune", parameters=0.5)
    found = Decision(spec, net, bench, context, 0.5)._allowed
    return found, layout.parameters(smallest(Parameters(layout, found).layout, found))


def test_a_stream_whose_branches_are_gone_stays_as_it_is() -> None:
    net = nets.Sequence(nets.Attending("heads")).eval()
    found, least = allowed(net, {"body.query": 0, "body.up": 0, "stem": 24})
    assert found == {"body.query": (0,), "body.up": (0,), "stem": (24,)}
    assert least == sum(each.numel() for each in net.parameters())


@pytest.mark.parametrize("left", [0, 8])
def test_what_is_left_may_shrink_further(left: int) -> None:
    found, _ = allowed(nets.build(nets.Late), {"blocks.0.0.0": left})
    assert found["blocks.0.0.0"][0] == left and found["blocks.1.0.0"][:2] == (24, 20)
    assert found["stem"][:2] == (16, 12)
