"""The stages as plain functions: on a net of one's own and on one of transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

import edgesft
from edgesft.errors import StageError
from tests.tasks import nets

torch.set_num_threads(1)


def net(width: int = 32) -> nn.Module:
    torch.manual_seed(0)
    return nets.make(width, 4).eval()


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.fixture(scope="module")
def rows() -> torch.Tensor:
    return torch.randn(64, 6, generator=torch.Generator().manual_seed(1))


def test_prune_cuts_what_matters_least(rows: torch.Tensor) -> None:
    model = net()
    with torch.no_grad():
        for block in model.blocks:
            # Of 128 units, 96 do nothing.
            block.up.weight[32:], block.up.bias[32:], block.down.weight[:, 32:] = 0, 0, 0
    before = {name: value.clone() for name, value in model.state_dict().items()}
    smaller = edgesft.prune(model, (rows,), parameters=0.5)
    assert count(smaller) <= 0.5 * count(model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    torch.testing.assert_close(smaller(rows), model(rows), atol=1e-5, rtol=0)


def test_prune_keeps_what_it_is_told_to(rows: torch.Tensor) -> None:
    smaller = edgesft.prune(net(), (rows,), parameters=0.7, exclude=["blocks.0*"])
    assert smaller.blocks[0].up.out_features == 128 and smaller.blocks[1].up.out_features < 128


def test_prune_says_where_it_finds_nothing(rows: torch.Tensor) -> None:
    plain = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 4))
    with pytest.raises(edgesft.InputError, match="no blocks or convolutions were recognised"):
        edgesft.prune(plain, (rows,), parameters=0.5)


@pytest.mark.parametrize("share", [0.0, 1.0, 1.5])
def test_prune_refuses_what_is_no_share(share: float, rows: torch.Tensor) -> None:
    with pytest.raises(edgesft.InputError, match="'parameters' must be a share"):
        edgesft.prune(net(), (rows,), parameters=share)


def test_distill_brings_the_student_to_the_teacher(rows: torch.Tensor) -> None:
    teacher, student = net(), net(16)
    batches = [(part,) for part in rows.split(16)]

    def apart(model: nn.Module) -> float:
        with torch.no_grad():
            return float((model(rows).softmax(-1) - teacher(rows).softmax(-1)).abs().mean())

    taught = edgesft.distill(student, teacher, batches, epochs=40, learning_rate=3e-3)
    assert apart(taught) < 0.5 * apart(student)
    again = edgesft.distill(student, teacher, batches, epochs=40, learning_rate=3e-3)
    assert all(torch.equal(one, other) for one, other in zip(taught.parameters(), again.parameters(), strict=True))
    with pytest.raises(edgesft.InputError, match="at least one"):
        edgesft.distill(student, teacher, [])


def test_export_and_quantize(rows: torch.Tensor, tmp_path: Path) -> None:
    model = net(128)
    file = edgesft.export(model, (rows[:2],), tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (name,) = [each.name for each in session.get_inputs()]
    (found,) = session.run(None, {name: rows.numpy()})
    np.testing.assert_allclose(found, model(rows).detach().numpy(), atol=1e-4)
    requests = [{name: rows[place : place + 1].numpy()} for place in range(32)]
    static: dict[str, Any] = {"calibration": requests}
    for scheme, more in (
        ("int8-dynamic", {}),
        ("int8-static", static),
        ("int8-static", {**static, "types": "u8u8"}),
        ("fp16", {}),
    ):
        smaller = edgesft.quantize(file, tmp_path / f"{scheme}.onnx", scheme=scheme, **more)
        if types := more.get("types"):
            constants = {tensor.data_type for tensor in onnx.load(smaller).graph.initializer}
            assert onnx.TensorProto.INT8 not in constants, types
        assert smaller.stat().st_size < 0.7 * file.stat().st_size
        other = onnxruntime.InferenceSession(str(smaller), providers=["CPUExecutionProvider"])
        assert np.abs(other.run(None, {name: rows.numpy()})[0] - found).max() < 0.1 * np.abs(found).max()
    with pytest.raises(edgesft.InputError, match="calibration"):
        edgesft.quantize(file, tmp_path / "x.onnx", scheme="int8-static")
    with pytest.raises(edgesft.InputError, match="mappings of input names to arrays. Got: Tensor"):
        edgesft.quantize(file, tmp_path / "x.onnx", scheme="int8-static", calibration=[rows])  # type: ignore[list-item]
    with pytest.raises(edgesft.InputError, match="'types' must be one of u8s8, .*Got 's4s4'"):
        edgesft.quantize(file, tmp_path / "x.onnx", scheme="int8-static", calibration=requests, types="s4s4")
    with pytest.raises(edgesft.InputError, match="'scheme' must be"):
        edgesft.quantize(file, tmp_path / "x.onnx", scheme="int3")


@pytest.mark.parametrize("content", [b"no ONNX", None], ids=["something else", "nothing"])
def test_what_is_no_onnx_file_is_not_quantized(content: bytes | None, tmp_path: Path) -> None:
    if content:
        (tmp_path / "weights.onnx").write_bytes(content)
    with pytest.raises(StageError, match=r"'weights.onnx' must be an ONNX file"):
        edgesft.quantize(tmp_path / "weights.onnx", tmp_path / "smaller.onnx")
    assert not (tmp_path / "smaller.onnx").exists()


def test_a_model_of_transformers(bert: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=3, attn_implementation="eager").eval()
    ids = torch.randint(5, 100, (16, 12), generator=torch.Generator().manual_seed(0))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    smaller = edgesft.prune(model, inputs, parameters=0.7)
    assert count(smaller) <= 0.7 * count(model) and smaller(**inputs).logits.shape == (16, 3)
