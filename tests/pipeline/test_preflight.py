"""What the preflight finds before anything is trained."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.pipeline.preflight import _rehearse_pruning
from edgesft.spec.stages import PruneSpec
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
