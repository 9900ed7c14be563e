"""Two more bundles, of sound as it comes in frames: one that takes noise away, one that tells where there is a tone.

They are packed as arrays, and their contracts are then told how sound is framed: a kit goes by what a bundle says.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import soundfile
from onnx import helper

from edgesft.ship import archive
from edgesft.ship.pack import Order, pack
from edgesft.ship.source import Folder
from tests import tiny
from tests.export import bundles
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.test_kinds import rewritten

WINDOW, HOP = 64, 32
POINTS = WINDOW // 2 + 1

FRAMING = {"window": WINDOW, "hop": HOP}


def clean(folder: Path) -> Path:
    """Takes noise from a tone; `rows/noisy.wav` and `rows/clean.wav` are what it hears and what it should say."""
    noisy, spoken = _mixed(40)
    heard, said = _spectra(noisy), _spectra(spoken)
    power, rest = (said**2).sum(-1), ((heard - said) ** 2).sum(-1)
    wanted = np.clip(np.log((power + 1e-6) / (rest + 1e-6)), -6, 6)
    shape = {"spectrum": [1, POINTS, 2], "cache": [1, POINTS]}
    body = _masking(np.zeros((2 * POINTS, POINTS), np.float32))
    features = _played(body, "features", heard)
    weights = _ridge(features.reshape(-1, 2 * POINTS), wanted.reshape(-1, POINTS))
    way = {**FRAMING, "taper": "sqrt-hann", "features": "spectrum"}
    after = {"kind": "frames", "output": "logits", **way, "gain": 1.0}
    _written(folder / "rows", noisy[0], spoken[0])
    return _packed(folder, _masking(weights), shape, {"input": "spectrum", **way}, after, heard[0], [])


def voice(folder: Path) -> Path:
    """Tells of each frame whether a tone sounds; `rows/noisy.wav` has silence, a tone, and silence."""
    noisy, spoken = _mixed(40, quiet=True)
    frames = np.stack([_frames(each, np.ones(WINDOW)) for each in noisy]).astype(np.float32)
    truth = np.stack([_frames(each, np.ones(WINDOW)) for each in spoken])
    wanted = np.where((truth**2).mean(-1) > 1e-3, 4.0, -4.0)
    features = _played(_detecting(np.zeros((2, 1), np.float32)), "features", frames)
    weights = _ridge(features.reshape(-1, 2), wanted.reshape(-1, 1))
    way = {**FRAMING, "taper": "none", "features": "samples"}
    after = {"kind": "probability", "output": "logits", "threshold": 0.5}
    _written(folder / "rows", noisy[0], spoken[0])
    model = _detecting(weights)
    shape = {"frame": [1, WINDOW], "cache": [1, 1]}
    return _packed(folder, model, shape, {"input": "frame", **way}, after, frames[0], ["tone"])


def _mixed(count: int, *, quiet: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Tones with noise and without, [count, samples]; with silence before and behind where that is asked for."""
    spoken = np.stack([row["audio"] for row in tiny.sounded(count, seed=2)]).astype(np.float64)
    if quiet:
        spoken[:, : spoken.shape[1] // 4] = spoken[:, -spoken.shape[1] // 4 :] = 0
    noise = np.random.default_rng(2).normal(scale=0.1, size=spoken.shape)
    return spoken + noise, spoken


def _written(folder: Path, noisy: np.ndarray, spoken: np.ndarray) -> None:
    folder.mkdir(parents=True)
    for name, samples in (("noisy", noisy), ("clean", spoken)):
        soundfile.write(folder / f"{name}.wav", samples, tiny.RATE, subtype="FLOAT")


def _frames(samples: np.ndarray, taper: np.ndarray) -> np.ndarray:
    """Frames of a sound, each ending `HOP` samples after the one before, the first after `HOP` samples."""
    padded = np.concatenate([np.zeros(WINDOW - HOP), samples])
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * taper


def _spectra(sounds: np.ndarray) -> np.ndarray:
    taper = np.sin(np.pi * np.arange(WINDOW) / WINDOW)
    found = np.fft.rfft(np.stack([_frames(each, taper) for each in sounds]))
    return np.stack([found.real, found.imag], -1).astype(np.float32)


def _ridge(features: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    wide = features.astype(np.float64)
    square = wide.T @ wide + 1e-3 * len(wide) * np.eye(wide.shape[1])
    return np.linalg.solve(square, wide.T @ wanted).astype(np.float32)


def _played(model: onnx.ModelProto, name: str, sounds: np.ndarray) -> np.ndarray:
    """An inner value of a model for each frame of each sound, its state fed back; [sounds, frames, …]."""
    import onnxruntime

    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(shown.SerializeToString())
    first, state = session.get_inputs()
    found = []
    for frames in sounds:
        cache, answers = np.zeros(state.shape, np.float32), []
        for frame in frames:
            value, cache = session.run([name, "cache_out"], {first.name: frame[np.newaxis], state.name: cache})
            answers.append(value[0])
        found.append(answers)
    return np.asarray(found)


def _masking(weights: np.ndarray) -> onnx.ModelProto:
    """A gain for each frequency, by its power now and before."""
    node = helper.make_node
    nodes = [
        node("Mul", ["spectrum", "spectrum"], ["squares"]),
        node("ReduceSum", ["squares", "last"], ["power"], keepdims=0),
        *_remembered("power"),
        node("MatMul", ["features", "weights"], ["scores"]),
        node("Sigmoid", ["scores"], ["gains"]),
        node("Unsqueeze", ["gains", "last"], ["column"]),
        node("Mul", ["spectrum", "column"], ["logits"]),
    ]
    ends = [
        {"spectrum": [1, POINTS, 2], "cache": [1, POINTS]},
        {"logits": [1, POINTS, 2], "cache_out": [1, POINTS]},
    ]
    return bundles.built("clean", nodes, ends, weights=weights, last=np.asarray([2], np.int64), **SMALL)


def _detecting(weights: np.ndarray) -> onnx.ModelProto:
    """A probability by a frame's power now and before."""
    node = helper.make_node
    nodes = [
        node("Mul", ["frame", "frame"], ["squares"]),
        node("ReduceMean", ["squares", "last"], ["power"], keepdims=1),
        *_remembered("power"),
        node("MatMul", ["features", "weights"], ["scores"]),
        node("Add", ["scores", "bias"], ["moved"]),
        node("Sigmoid", ["moved"], ["logits"]),
    ]
    ends = [{"frame": [1, WINDOW], "cache": [1, 1]}, {"logits": [1, 1], "cache_out": [1, 1]}]
    more = {"last": np.asarray([1], np.int64), "bias": np.asarray(0.0, np.float32)}
    return bundles.built("voice", nodes, ends, weights=weights, **more, **SMALL)


SMALL = {
    "floor": np.asarray(1e-4, np.float32),
    "middle": np.asarray(4.0, np.float32),
    "old_share": np.asarray(0.8, np.float32),
    "new_share": np.asarray(0.2, np.float32),
}


def _remembered(power: str) -> list[onnx.NodeProto]:
    """`features`: the logarithm of a power, and its running mean, which is the state."""
    node = helper.make_node
    return [
        node("Add", [power, "floor"], ["lifted"]),
        node("Log", ["lifted"], ["logarithm"]),
        node("Add", ["logarithm", "middle"], ["now"]),
        node("Mul", ["now", "new_share"], ["new"]),
        node("Mul", ["cache", "old_share"], ["old"]),
        node("Add", ["new", "old"], ["cache_out"]),
        node("Concat", ["now", "cache_out"], ["features"], axis=1),
    ]


def _packed(
    folder: Path,
    model: onnx.ModelProto,
    shape: dict[str, list[int]],
    before: dict[str, Any],
    after: dict[str, Any],
    frames: np.ndarray,
    labels: list[str],
) -> Path:
    """A bundle, and an archive of it, whose contract says how sound is framed."""
    frame = next(iter(shape))
    inputs = {name: {"shape": axes[1:], "dtype": "float32"} for name, axes in shape.items() if name == frame}
    contract = {"labels": [], "options": {"inputs": inputs, "metric": "r2"}}
    run = rewritten(folder / "made", model, contract, tiny.rows(40), "arrays", {})
    bundles.without_text(run)
    caches = _played(model, "cache_out", frames[np.newaxis])[0]
    states = np.concatenate([np.zeros((1, *caches.shape[1:]), np.float32), caches])
    midst = list(enumerate(range(3, 6)))
    requests = {f"{row}/{frame}": frames[place][np.newaxis] for row, place in midst}
    requests |= {f"{row}/cache": states[place][np.newaxis] for row, place in midst}
    np.savez(folder / "golden.npz", **requests)
    bundle = pack(Order(run, folder / "bundle", name=folder.name, inputs=folder / "golden.npz"), QUIET).path

    def frame_it(said: dict[str, Any]) -> None:
        said["preparation"] = {"kind": "frames", "columns": ["audio"], "rate": tiny.RATE, **before}
        said["decoding"], said["labels"] = after, labels

    runs.edit(bundle / "contract.json", frame_it)
    runs.seal(bundle)
    with (folder / "bundle.zip").open("wb") as out:
        archive.write({name: bundle / name for name in Folder(bundle).files}, out)
    return bundle


def write(folder: Path) -> dict[str, Path]:
    """Both, by kind."""
    found = {}
    for make in (clean, voice):
        (folder / make.__name__).mkdir(parents=True)
        found[make.__name__] = make(folder / make.__name__)
    return found
