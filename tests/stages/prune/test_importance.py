import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from edgesft.stages.prune.importance import gated, magnitude, taylor
from edgesft.train.objective import inputs_of
from tests.stages.prune import models


def objective(model, batch):
    return cross_entropy(model(**inputs_of(batch)).logits, batch["labels"])


def batch(model, rows, seed=0):
    return {**models.inputs(model, rows), "labels": torch.arange(rows) % 2}


@pytest.mark.parametrize("name", ["bert", "vit"])
def test_taylor_is_the_mean_square_of_each_rows_slope(name):
    model = models.build(name)
    layout = models.layout_of(model, "heads", "ffn")
    whole = batch(model, 4)
    scores = taylor(model, layout.widths, [whole], objective)
    for width in layout.widths:
        reader = model.get_submodule(width.consumers[0].name)
        slopes = []
        for row in range(4):
            model.zero_grad()
            objective(model, {key: value[row : row + 1] for key, value in whole.items()}).backward()
            # A gate's derivative is what the reader's column and its gradient have in common.
            slopes.append((reader.weight * reader.weight.grad).sum(0).reshape(width.size, -1).sum(1).detach())
        expected = torch.stack(slopes).square().mean(0).numpy()
        np.testing.assert_allclose(scores[width.name], expected, rtol=1e-3, atol=1e-10)


def test_taylor_does_not_depend_on_the_batches():
    model = models.build("bert")
    widths = models.layout_of(model).widths
    whole = batch(model, 6)
    parts = [{key: value[start : start + 2] for key, value in whole.items()} for start in (0, 2, 4)]
    one, three = taylor(model, widths, [whole], objective), taylor(model, widths, parts, objective)
    for width in widths:
        np.testing.assert_allclose(one[width.name], three[width.name], rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("importance", ["taylor", "magnitude"])
def test_planted_useless_units_rank_lowest(importance):
    model = models.build("bert")
    layout = models.layout_of(model, "heads", "ffn")
    planted = {}
    with torch.no_grad():
        for place, width in enumerate(layout.widths):
            unit = planted[width.name] = 1 + place
            channels = slice(unit * width.channels, (unit + 1) * width.channels)
            reader = model.get_submodule(width.consumers[0].name).weight
            reader[:, channels] = 0
            if importance == "magnitude":
                for name, axis, *_ in width.axes:
                    model.get_parameter(name).movedim(axis, 0)[channels] = 0
    if importance == "taylor":
        scores = taylor(model, layout.widths, [batch(model, 4)], objective)
    else:
        scores = magnitude(layout.widths, dict(model.named_parameters()))
    for name, unit in planted.items():
        assert scores[name].argmin() == unit
        assert scores[name][unit] == 0 < np.delete(scores[name], unit).min()


def test_taylor_leaves_no_hooks_and_no_gradients():
    model = models.build("bert")
    before = models.answers(model)
    taylor(model, models.layout_of(model).widths, [batch(model, 2)], objective)
    assert torch.equal(models.answers(model), before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_taylor_leaves_what_runs_without_derivatives_alone():
    model, widths = models.build("bert"), models.layout_of(models.build("bert"), "ffn").widths
    rows, others = batch(model, 4), batch(model, 3)

    def beside(model, batch):
        with torch.no_grad():
            model(**inputs_of(others))
        return objective(model, batch)

    expected, found = taylor(model, widths, [rows], objective), taylor(model, widths, [rows], beside)
    np.testing.assert_array_equal(found[widths[0].name], expected[widths[0].name])


def test_magnitude_sums_squares_over_coupled_parameters():
    model = models.build("bert")
    width = models.layout_of(model, "ffn").widths[0]
    layer = model.bert.encoder.layer[0]
    first, second = layer.intermediate.dense, layer.output.dense
    expected = first.weight.square().sum(1) + first.bias.square() + second.weight.square().sum(0)
    scores = magnitude([width], dict(model.named_parameters()))
    np.testing.assert_allclose(scores[width.name], expected.detach().numpy(), rtol=1e-5)


def test_gates_cover_units_of_rows_in_any_shape():
    gates = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    values = torch.ones(2, 5, 4)
    out = gated(values, gates, 2)
    assert out.shape == values.shape
    assert out[1, 3].tolist() == [3, 3, 4, 4]
    assert torch.equal(gated(values.reshape(10, 4), gates, 2), out.reshape(10, 4))
    assert torch.equal(gated(values[:, 0], gates, 2), out[:, 0])
