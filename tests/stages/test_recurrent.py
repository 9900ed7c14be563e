"""Recurrent layers of every kind as one operator each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgesft.measure.model.facts import read_facts
from edgesft.stages.export.checks import file_run
from edgesft.stages.export.graph import convert, save
from edgesft.tasks.base import Graph


class Net(nn.Module):
    """A recurrent layer, given its state or not."""

    def __init__(self, layer: nn.Module, *, given: bool) -> None:
        super().__init__()
        self.layer, self.given = layer, given

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        state = state.transpose(0, 1)
        pair = (state, state * 2) if isinstance(self.layer, nn.LSTM) else state
        found, state = self.layer(x, pair) if self.given else self.layer(x)
        return found, (state[1] if isinstance(state, tuple) else state).transpose(0, 1)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize(
    ("options", "given"),
    [({"batch_first": True}, True), ({"num_layers": 2, "bidirectional": True}, False), ({"bias": False}, True)],
)
def test_one_operator_a_layer_answers_alike(
    kind: type[nn.LSTM] | type[nn.GRU], options: dict[str, int], given: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    layer = kind(3, 4, **options)  # type: ignore[arg-type]
    ways = layer.num_layers * (2 if layer.bidirectional else 1)
    rows = 0 if layer.batch_first else 1
    x, state = torch.randn(2, 2, 3), torch.randn(2, ways, 4)
    net, names = Net(layer, given=given), {"x": {rows: "rows"}, "state": {0: "rows"}}
    before = dict(net.state_dict())
    graph = Graph("model", net, {"x": x, "state": state}, names if given else {"x": {rows: "rows"}}, ("y", "after"))
    program = convert(graph, opset=20)
    save(program, tmp_path / "model.onnx")
    assert read_facts(tmp_path / "model.onnx").operators[kind.__name__] == layer.num_layers
    assert "Loop" not in read_facts(tmp_path / "model.onnx").operators
    assert net.state_dict().keys() == before.keys() and "forward" not in vars(layer)
    with torch.no_grad():
        expected = net(x, state)
    found = file_run({"model": tmp_path / "model.onnx"})({"x": x.numpy(), "state": state.numpy()})
    for name, tensor in zip(("y", "after"), expected, strict=True):
        assert np.abs(found[name] - tensor.numpy()).max() < 1e-6
