from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.plan import make_plan
from edgesft.stages.prune.sensitivity import sensitivity
from tests.stages.prune import models

LABELS = torch.tensor([0, 1, 1, 0])


def objective(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    inputs = {name: values for name, values in batch.items() if name != "labels"}
    return torch.nn.functional.cross_entropy(model(**inputs).logits, batch["labels"])


@pytest.mark.parametrize("kind", ["heads", "ffn"])
def test_it_is_what_cutting_does(kind: str) -> None:
    model = models.build("bert")
    layout, batch = models.layout_of(model, kind), {**models.inputs(model, 4), "labels": LABELS}
    scores = models.random_scores(layout)
    tried = {width.name: (width.size, width.size // 2, 0) for width in layout.widths}
    found = sensitivity(model, layout.widths, tried, scores, [batch, batch], objective)
    with torch.no_grad():
        whole = float(objective(model, batch))
        for name, sizes in tried.items():
            for size, grown in zip(sizes, found[name], strict=True):
                cut = copy.deepcopy(model)
                apply_plan(cut, make_plan(layout, {name: size}, scores), models.inputs(model), models.logits)
                assert grown == pytest.approx(max(0.0, float(objective(cut, batch)) - whole), abs=1e-5)
    assert all(values[0] == 0 for values in found.values()) and any(values[-1] > 0 for values in found.values())
