"""What int8 leaves of weights, tables and inputs while a model trains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgesft.stages.quantize import dynamic
from edgesft.train.rounding import by_batch, by_channel, rounded
from tests.stages.prune import nets
from tests.train import mood


def test_steps_follow_the_values() -> None:
    weight = torch.tensor([[1.27, -0.5, 0.004], [0.0, 0.0, 0.0], [-254.0, 3.0, 1.1]])
    left = torch.tensor([[1.27, -0.5, 0.0], [0, 0, 0], [-254.0, 4.0, 2.0]])
    assert torch.allclose(by_channel(weight), left, atol=1e-6)
    values = torch.tensor([-1.0, 0.0, 0.5, 1.55])
    found = by_batch(values)
    assert float((found - values).abs().max()) <= 0.005 + 1e-6 and found[1] == 0
    assert torch.equal(by_batch(torch.zeros(3)), torch.zeros(3))


def test_only_within_and_gradients_pass() -> None:
    net, x = nets.build(nets.Depthwise), nets.inputs(4)
    before = net(**x)["logits"]
    with rounded(net):
        within = net(**x)["logits"]
        within.square().sum().backward()
    assert 0 < float((within - before).detach().abs().max()) < 0.3 * float(before.detach().abs().max())
    assert torch.equal(net(**x)["logits"], before)
    assert all(each.grad is not None for each in net.parameters())


def test_it_is_what_onnx_runtime_computes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 8)), torch.randn(3, 16)
    torch.onnx.export(net, (x,), tmp_path / "f.onnx", input_names=["x"], output_names=["y"], dynamo=False)
    dynamic(tmp_path / "f.onnx", tmp_path / "q.onnx")
    run = onnxruntime.InferenceSession(tmp_path / "q.onnx").run
    with rounded(net), torch.no_grad():
        ours = net(x).numpy()
    theirs, plain = run(["y"], {"x": x.numpy()})[0], net(x).detach().numpy()
    assert np.abs(ours - theirs).max() < 0.2 * np.abs(plain - theirs).max()


@pytest.mark.parametrize("quantization", ["none", "int8"])
def test_training_sees_it(bert: Path, tmp_path: Path, quantization: str) -> None:
    task = mood.make(bert, rows=200)
    model = task.model()
    settings = mood.SETTINGS.model_copy(update={"quantization": quantization})
    found = task.fit(model, tmp_path / "work", settings=settings)
    assert "forward" not in vars(model.classifier)
    with rounded(model):
        inside = task.accuracy(model)
    assert (inside if quantization == "int8" else task.accuracy(model)) == found.best["accuracy"]
