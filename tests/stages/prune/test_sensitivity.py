from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.plan import make_plan
from edgesft.stages.prune.sensitivity import sensitivity
from edgesft.tasks.arrays import Arrays
from edgesft.tasks.text_classification import TextClassification
from edgesft.train.drift import drift_of
from tests.stages.prune import models

LABELS = torch.tensor([0, 1, 1, 0])


def drift(outputs: Any, whole: Any, _: Any) -> torch.Tensor:
    return (outputs.logits - whole.logits).square().mean()


@pytest.mark.parametrize("kind", ["heads", "ffn"])
def test_it_is_what_cutting_does(kind: str) -> None:
    model = models.build("bert")
    layout, batch = models.layout_of(model, kind), {**models.inputs(model, 4), "labels": LABELS}
    scores = models.random_scores(layout)
    tried = {width.name: (width.size, width.size // 2, 0) for width in layout.widths}
    found = sensitivity(model, layout.widths, tried, scores, [batch, batch], drift)
    with torch.no_grad():
        whole = model(**models.inputs(model, 4))
        for name, sizes in tried.items():
            for size, grown in zip(sizes, found[name], strict=True):
                cut = copy.deepcopy(model)
                apply_plan(cut, make_plan(layout, {name: size}, scores), models.inputs(model), models.logits)
                assert grown == pytest.approx(float(drift(cut(**models.inputs(model, 4)), whole, batch)), abs=1e-5)
    assert all(values[0] == 0 and values[-1] > 0 for values in found.values())


def test_drift_is_of_answers_or_of_quantities() -> None:
    ours, theirs = {"logits": torch.tensor([[2.0, 0.0]])}, {"logits": torch.tensor([[0.0, 0.0]])}
    found = drift_of(TextClassification())
    assert float(found(theirs, theirs, {"labels": LABELS[:1]})) == pytest.approx(0, abs=1e-6)
    expected = torch.nn.functional.kl_div(ours["logits"].log_softmax(1), torch.full((1, 2), 0.5), reduction="sum")
    assert float(found(ours, theirs, {"labels": LABELS[:1]})) == pytest.approx(float(expected))
    ours, theirs = {"logits": torch.tensor([[1.0], [4.0]])}, {"logits": torch.tensor([[1.0], [3.0]])}
    of_numbers = drift_of(Arrays(metric="r2"))
    assert float(of_numbers(ours, theirs, {"labels": torch.tensor([1.0, 2.0])})) == pytest.approx(0.5 / 2)
