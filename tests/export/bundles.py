"""Three small bundles that every kit opens: a text classifier, an image classifier, a streaming model of sound.

Each holds a model that has learned its rows: random features, and a last layer by least squares. That takes a moment,
and the answers mean something. `python -m tests.export.bundles FOLDER` writes them for programs in other languages:
`text/`, `image/` and `stream/`, each with `bundle/`, `bundle.zip` and raw rows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from edgesft.data.media.image import Reader
from edgesft.ship.pack import Order, pack
from edgesft.spec.media import ImageSpec
from edgesft.tasks.pictures import FEED
from tests import tiny
from tests.ship import runs
from tests.ship.conftest import QUIET
from tests.ship.test_kinds import renewed, rewritten

FRAME, STATE = 160, 48
"""Samples of a frame, and numbers of the state."""


def packed(run: Path, folder: Path, name: str, **order: object) -> Path:
    """Packs a run twice, `bundle/` and `bundle.zip`; gives the first."""
    pack(Order(run, folder / "bundle.zip", name=name, **order), QUIET)
    return pack(Order(run, folder / "bundle", name=name, **order), QUIET).path


def text(folder: Path) -> Path:
    """A text's mood by its words; `rows.jsonl` has texts with their label."""
    from tokenizers import Tokenizer

    run = runs.write(folder / "made")
    rows = tiny.rows(300, seed=1)
    model = runs.model()
    weights = {each.name: each for each in model.graph.initializer}
    table = numpy_helper.to_array(weights["table"])
    tokenizer = Tokenizer.from_file(str(run / "tokenizer.json"))
    features = np.stack([table[tokenizer.encode(row["text"]).ids].sum(axis=0) for row in rows])
    head = _solved(features, [row["label"] == "positive" for row in rows])
    weights["head"].CopyFrom(numpy_helper.from_array(head, "head"))
    onnx.save(model, str(run / "model.onnx"))
    renewed(run)
    tiny.write_rows(folder / "rows.jsonl", rows[:20])
    return packed(run, folder, "mood")


def image(folder: Path) -> Path:
    """Whether a bar stands or lies; `rows/<label>/` has pictures."""
    options = ImageSpec(resize=18, resample="bicubic", crop=(16, 16), mean=0.4, std=0.3).model_dump(mode="json")
    options |= {"input": "pixel_values", **FEED}
    data = tiny.pictured(200, seed=1)
    reader = Reader(options)
    feeds = np.stack([reader.feed(reader.pixels(row["image"])) for row in data])
    labels, rows = ["lying", "standing"], tiny.filed(data[:40], folder / "rows")
    filters = np.random.default_rng(0).normal(size=(8, 3, 3, 3), scale=0.3).astype(np.float32)
    first = _pictures(filters, np.zeros((16, 2), np.float32))
    head = _solved(_outputs(first, "features", feeds), [row["label"] == "standing" for row in data])
    made = rewritten(
        folder / "made",
        _pictures(filters, head),
        {"labels": labels, "options": {**options, "temperature": 1.2, "accept_above": 0.1}},
        [{key: str(row[key]) for key in ("image", "label")} for row in rows],
        "image-classification",
        {},
    )
    without_text(made)
    return packed(made, folder, "bars")


def stream(folder: Path) -> Path:
    """Whether a tone rises, frame after frame with a state between them; `rows/<label>/` has sounds."""
    data = tiny.sounded(120, seed=1)
    tiny.filed(data[:8], folder / "rows")
    rng = np.random.default_rng(0)
    sizes = (((32, STATE), 0.3), ((STATE, STATE), 0.1))
    mixing = [rng.normal(size=size, scale=scale).astype(np.float32) for size, scale in sizes]
    sounds = [framed(row["audio"]) for row in data]
    body = _recurrent(*mixing, np.zeros((STATE, 2), np.float32))
    last = np.stack([played(body, frames)[-1]["state_out"][0] for frames in sounds])
    head = _solved(last, [row["label"] == "rising" for row in data])
    options = {"inputs": {"frame": {"shape": [FRAME], "dtype": "float32"}}, "metric": "accuracy"}
    contract = {"labels": ["falling", "rising"], "options": options}
    model = _recurrent(*mixing, head)
    run = rewritten(folder / "made", model, contract, tiny.rows(40), "arrays", {})
    without_text(run)
    answers = played(model, sounds[0])
    states = [np.zeros((1, STATE), np.float32), *(each["state_out"] for each in answers)]
    requests = {f"{place}/frame": sounds[0][place][np.newaxis] for place in range(5)}
    requests |= {f"{place}/state": states[place] for place in range(5)}
    np.savez(folder / "golden.npz", **requests)
    return packed(run, folder, "tones", inputs=folder / "golden.npz")


def write(folder: Path) -> dict[str, Path]:
    """All of them, by kind."""
    found = {}
    for make in (text, image, stream):
        (folder / make.__name__).mkdir(parents=True)
        found[make.__name__] = make(folder / make.__name__)
    return found


def _solved(features: np.ndarray, truth: Sequence[bool]) -> np.ndarray:
    """Scores of two classes by ridge regression on features, [features, 2]."""
    wide = features.astype(np.float64)
    targets = np.where(np.stack([np.logical_not(truth), truth], axis=1), 2.0, -2.0)
    square = wide.T @ wide + 1e-2 * len(wide) * np.eye(wide.shape[1])
    return np.linalg.solve(square, wide.T @ targets).astype(np.float32)


def _outputs(model: onnx.ModelProto, name: str, feeds: np.ndarray) -> np.ndarray:
    """An inner value of a model with one input, of each feed."""
    import onnxruntime

    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(shown.SerializeToString())
    return np.concatenate([session.run([name], {"pixel_values": feed[np.newaxis]})[0] for feed in feeds])


def played(model: onnx.ModelProto, frames: np.ndarray) -> list[dict[str, np.ndarray]]:
    """What a streaming model answers to each frame, its state fed back."""
    import onnxruntime

    session = onnxruntime.InferenceSession(model.SerializeToString())
    state, found = np.zeros((1, STATE), np.float32), []
    for frame in frames:
        logits, state = session.run(["logits", "state_out"], {"frame": frame[np.newaxis], "state": state})
        found.append({"logits": logits, "state_out": state})
    return found


def framed(samples: np.ndarray) -> np.ndarray:
    count = len(samples) // FRAME
    return samples[: count * FRAME].reshape(count, FRAME)


def built(
    name: str, nodes: list[onnx.NodeProto], ends: list[dict[str, list[object]]], **weights: np.ndarray
) -> onnx.ModelProto:
    """A model of float inputs and outputs, each with its shape."""
    inputs, outputs = (
        [helper.make_tensor_value_info(each, TensorProto.FLOAT, shape) for each, shape in end.items()] for end in ends
    )
    initializers = [numpy_helper.from_array(value, each) for each, value in weights.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def _pictures(filters: np.ndarray, head: np.ndarray) -> onnx.ModelProto:
    """Convolutions; the strongest row and the strongest column of each are what the classes are told by."""
    node = helper.make_node
    nodes = [
        node("Conv", ["pixel_values", "filters"], ["convolved"]),
        node("Relu", ["convolved"], ["positive"]),
        node("ReduceMean", ["positive", "height"], ["columns"], keepdims=0),
        node("ReduceMean", ["positive", "width"], ["lines"], keepdims=0),
        node("ReduceMax", ["columns", "height"], ["column"], keepdims=0),
        node("ReduceMax", ["lines", "height"], ["line"], keepdims=0),
        node("Concat", ["column", "line"], ["features"], axis=1),
        node("MatMul", ["features", "head"], ["logits"]),
    ]
    ends = [{"pixel_values": ["batch", 3, 16, 16]}, {"logits": ["batch", 2]}]
    axes = {"height": np.asarray([2], np.int64), "width": np.asarray([3], np.int64)}
    return built("bars", nodes, ends, filters=filters, head=head, **axes)


def _recurrent(into: np.ndarray, back: np.ndarray, head: np.ndarray) -> onnx.ModelProto:
    """The logarithm of a frame's spectrum, mixed into a state from which the classes are told."""
    times, tones = np.arange(FRAME)[:, np.newaxis], np.arange(1, len(into) + 1) * 2
    turns = 2 * np.pi * times * tones / FRAME
    node = helper.make_node
    nodes = [
        node("MatMul", ["frame", "cosines"], ["real"]),
        node("MatMul", ["frame", "sines"], ["imaginary"]),
        node("Mul", ["real", "real"], ["real_power"]),
        node("Mul", ["imaginary", "imaginary"], ["imaginary_power"]),
        node("Add", ["real_power", "imaginary_power"], ["power"]),
        node("Add", ["power", "floor"], ["lifted"]),
        node("Log", ["lifted"], ["bands"]),
        node("MatMul", ["bands", "into"], ["new"]),
        node("MatMul", ["state", "back"], ["old"]),
        node("Add", ["new", "old"], ["mixed"]),
        node("Tanh", ["mixed"], ["state_out"]),
        node("MatMul", ["state_out", "head"], ["logits"]),
    ]
    ends = [{"frame": [1, FRAME], "state": [1, STATE]}, {"logits": [1, 2], "state_out": [1, STATE]}]
    weights = {"cosines": np.cos(turns), "sines": np.sin(turns), "into": into, "back": back, "head": head}
    weights["floor"] = np.asarray(1e-2)
    return built("tones", nodes, ends, **{name: each.astype(np.float32) for name, each in weights.items()})


def without_text(run: Path) -> None:
    """Takes away what `runs.write` left of another task."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (run / name).unlink()
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["data"].pop("max_length", None)
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))


if __name__ == "__main__":
    sys.stdout.write(json.dumps({kind: str(path) for kind, path in write(Path(sys.argv[1])).items()}) + "\n")
