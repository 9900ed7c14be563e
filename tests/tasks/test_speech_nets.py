"""The networks of the bench are those whose weights they take: held against ONNX files that others made."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

WEIGHTS = Path(os.environ.get("EDGESFT_WEIGHTS", "nowhere"))
GIVEN = pytest.mark.skipif(not (WEIGHTS / "gtcrn").is_dir(), reason="EDGESFT_WEIGHTS names no folder of weights")


def module(name: str) -> ModuleType:
    """One of the bench."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[2] / "bench" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def nets() -> ModuleType:
    return module("speech")


def spectra(count: int) -> np.ndarray:
    """Of noise, shape [count, 257, 2]."""
    return np.random.default_rng(0).standard_normal((count, 257, 2)).astype(np.float32)


def test_gtcrn_frame_by_frame_is_gtcrn_of_all_frames(nets: ModuleType) -> None:
    torch.manual_seed(0)
    net = nets.gtcrn().eval()
    frames = torch.from_numpy(spectra(14)).reshape(2, 7, 257, 2)
    with torch.no_grad():
        whole, *last = net(frames)
        states: list[torch.Tensor] = []
        for place in range(7):
            one, *states = net(frames[:, place : place + 1], *states)
            assert torch.allclose(one[:, 0], whole[:, place], atol=1e-6)
    assert all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in zip(states, last, strict=True))
    assert [tuple(state.shape[1:]) for state in last] == list(net.states.values())


@GIVEN
def test_gtcrn_answers_as_its_authors_onnx_file_does(nets: ModuleType) -> None:
    """The file has other weights than the safetensors beside it: they are taken out of it."""
    import onnxruntime

    file = WEIGHTS / "gtcrn" / "gtcrn_stream.onnx"
    net, frames = nets.GTCRN().eval(), spectra(12)
    net.load_state_dict(nets._as_here(_state_of(file, net)))
    with torch.no_grad():
        found = net(torch.from_numpy(frames)[None])[0][0].numpy()
    session = onnxruntime.InferenceSession(str(file))
    shapes = {each.name: each.shape for each in session.get_inputs()[1:]}
    states = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    for place, frame in enumerate(frames):
        outputs = session.run(None, {"mix": frame[None, :, None], **states})
        states = dict(zip(states, outputs[1:], strict=True))
        assert np.abs(outputs[0][0, :, 0] - found[place]).max() < 1e-4


def _state_of(file: Path, net: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of the authors' streaming graph by the names of their module.

    Nodes come in the order in which modules are called. Normalisations of the encoder are in its convolutions.
    """
    import onnx

    graph = onnx.load(str(file)).graph
    known = {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer}
    nodes: dict[str, list[Any]] = {}
    for node in graph.node:
        kind = {"ConvTranspose": "Conv", "PRelu": "PReLU", "MatMul": "Linear"}.get(node.op_type, node.op_type)
        nodes.setdefault(kind, []).append([known[name] for name in node.input[1:] if name in known])
    found: dict[str, torch.Tensor] = {name: tensor for name, tensor in known.items() if "." in name}
    found = {name.replace(".ConvTranspose2d", ""): tensor for name, tensor in found.items()}
    for name, module in _called(net):
        own = _theirs(name)
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            found[f"{own}.weight"], found[f"{own}.bias"] = nodes["Conv"].pop(0)
        elif isinstance(module, nn.PReLU):
            found[f"{own}.weight"] = nodes["PReLU"].pop(0)[0].reshape(1)
        elif isinstance(module, nn.Linear):
            found[f"{own}.weight"] = nodes["Linear"].pop(0)[0].T
        elif isinstance(module, nn.GRU):
            found |= _gates(own, *nodes["GRU"].pop(0)[:3])
        elif isinstance(module, nn.BatchNorm2d) and f"{own}.weight" not in found:
            # One that is folded already multiplies by 1, which takes its epsilon away.
            ones, zeros = torch.ones(module.num_features), torch.zeros(module.num_features)
            found |= {f"{own}.weight": ones, f"{own}.bias": zeros, f"{own}.running_mean": zeros}
            found[f"{own}.running_var"] = ones - module.eps
    for name, module in net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            found[f"{_theirs(name)}.num_batches_tracked"] = torch.tensor(0)
    return found


def _called(net: nn.Module) -> list[tuple[str, nn.Module]]:
    """Leaves in the order in which they are called."""
    order: list[tuple[str, nn.Module]] = []
    hooks = [
        module.register_forward_hook(lambda module, *_, name=name: order.append((name, module)))
        for name, module in net.named_modules()
        if not list(module.children())
    ]
    with torch.no_grad():
        net(torch.zeros(1, 1, 257, 2))
    for hook in hooks:
        hook.remove()
    return order


def _theirs(name: str) -> str:
    own = name.replace("encoder.", "encoder.en_convs.").replace("decoder.", "decoder.de_convs.")
    own = own.replace(".att_", ".tra.att_")
    return f"erb.{own}" if own in ("erb_fc", "ierb_fc") else own


def _gates(own: str, weights: torch.Tensor, recurrent: torch.Tensor, biases: torch.Tensor) -> dict[str, torch.Tensor]:
    """A GRU as torch has it: reset, update and new gate, where ONNX has update, reset and hidden."""
    found = {}
    for suffix, w, r, b in zip(("", "_reverse"), weights, recurrent, biases, strict=False):
        size = r.shape[1]
        order = torch.cat([torch.arange(size, 2 * size), torch.arange(size), torch.arange(2 * size, 3 * size)])
        found |= {f"{own}.weight_ih_l0{suffix}": w[order], f"{own}.weight_hh_l0{suffix}": r[order]}
        found |= {f"{own}.bias_ih_l0{suffix}": b[: 3 * size][order], f"{own}.bias_hh_l0{suffix}": b[3 * size :][order]}
    return found


@GIVEN
def test_the_speech_embedding_answers_as_its_authors_onnx_file_does() -> None:
    import onnxruntime

    file = WEIGHTS / "speech_embedding" / "embedding_model.onnx"
    net = module("nets").hearing(str(file)).eval()
    features = np.random.default_rng(0).standard_normal((2, 1, 76, 32)).astype(np.float32)
    (theirs,) = onnxruntime.InferenceSession(str(file)).run(None, {"input_1": features.transpose(0, 2, 3, 1)})
    with torch.no_grad():
        ours = net.embed(torch.from_numpy(features))[..., 0, 0].numpy()
        assert net(torch.zeros(2, 1, 98, 32)).shape == (2, 10)
    np.testing.assert_allclose(ours, theirs[:, 0, 0], atol=1e-4 * np.abs(theirs).max())
