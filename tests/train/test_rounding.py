"""What int8 leaves of weights, tables and inputs while a model trains."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgesft.measure.fingerprint import machine
from edgesft.measure.saturation import saturates
from edgesft.stages.export.graph import convert, save
from edgesft.stages.quantize import dynamic, static
from edgesft.tasks.base import Graph
from edgesft.train.distillation import Student
from edgesft.train.rounding import LEVELS, REDUCED, by_batch, by_channel, ranged, ranges, rounded
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
    for reduced in {True, saturates(machine())}:  # 8 bits where they are computed right
        dynamic(tmp_path / "f.onnx", tmp_path / "q.onnx", reduced=reduced)
        run = onnxruntime.InferenceSession(tmp_path / "q.onnx").run
        with rounded(net, levels=REDUCED if reduced else LEVELS), torch.no_grad():
            ours = net(x).numpy()
        theirs, plain = run(["y"], {"x": x.numpy()})[0], net(x).detach().numpy()
        assert np.abs(ours - theirs).max() < 0.2 * np.abs(plain - theirs).max()


def test_ranges_are_learned_and_taken_over(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, x = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1)), torch.randn(8, 3, 6, 6)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with ranged(net, {"input": x}):
        first = ranges(net)
        assert first["0"][0] <= float(x.min()) + 0.05 and first["0"][1] >= float(x.max()) - 0.05 and first["2"][0] == 0
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(20):
            optimizer.zero_grad()
            (net(x) - 0.5 * nn.functional.pad(x, (0, -2, 0, -2)).sum(1, keepdim=True)).square().mean().backward()
            optimizer.step()
        learned = ranges(net)
        assert all(learned[name] != first[name] for name in ("0", "2"))
        with torch.no_grad():
            ours = net.eval()(x).numpy()
    assert ranges(net) == {} and list(net.state_dict()) == list(before)

    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"y": self.net(x)}

    graph = Graph("model", Named().eval(), {"x": x[:2]}, {"x": {0: "batch"}}, ("y",))
    save(convert(graph, opset=20), tmp_path / "f.onnx")
    bounds = {f"net.{name}": list(each) for name, each in learned.items()}
    requests = [{"x": row[None].numpy()} for row in x]
    apart = {}
    for name, given in (("taken", bounds), ("seen", None)):
        static(tmp_path / "f.onnx", tmp_path / f"{name}.onnx", requests, ranges=given)
        theirs = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx").run(["y"], {"x": x.numpy()})[0]
        apart[name] = float(np.abs(theirs - ours).mean())
    assert apart["taken"] < apart["seen"], "the device reads as it was learned"


def test_what_does_not_run_in_evaluation_has_no_range() -> None:
    torch.manual_seed(0)
    states, taught = [torch.randn(2, 5, 8, requires_grad=True) for _ in range(2)], [torch.randn(2, 5, 12)] * 2
    student = Student(nn.Sequential(nn.Linear(8, 8)), [8, 8], [12, 12], seed=0)
    student.forward = student.student.forward  # type: ignore[method-assign]
    with ranged(student, {"input": states[0].detach()}):
        assert set(ranges(student)) == {"student.0"}
        student.hidden_loss(states, taught, None).backward()
    assert all(float(each.grad.abs().max()) > 0 for each in (*states, *student.projections.parameters()))


@pytest.mark.parametrize("quantization", ["none", "int8-dynamic", "int8-static"])
def test_training_sees_it(bert: Path, tmp_path: Path, quantization: str) -> None:
    task = mood.make(bert, rows=200)
    model = task.model()
    settings = mood.SETTINGS.model_copy(update={"quantization": quantization})
    found = task.fit(model, tmp_path / "work", settings=settings)
    assert "forward" not in vars(model.classifier) and not hasattr(model.classifier, "reads")
    assert bool(found.ranges) == (quantization == "int8-static")
    if quantization != "int8-static":
        with rounded(model) if quantization == "int8-dynamic" else nullcontext():
            assert task.accuracy(model) == found.best["accuracy"]
