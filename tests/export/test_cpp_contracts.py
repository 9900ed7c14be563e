"""The kit in C++ on whole bundles whose contracts do not fit their models: refused, and no memory is touched beyond."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper

from tests.export import detector
from tests.export.kinds import Made
from tests.export.native import Kit, program
from tests.ship import runs

Change = Callable[[dict[str, Any]], None]


def put(part: str, **values: Any) -> Change:
    """Says something else in a part of the contract."""
    return lambda said: said[part].update(values)


def named(*labels: str) -> Change:
    """Other labels, as many as classes."""

    def change(said: dict[str, Any]) -> None:
        said["labels"] = list(labels)
        said["decoding"].update(classes=len(labels))

    return change


def headed(first: int, classes: int) -> Change:
    return lambda said: said["decoding"]["heads"][1].update(first=first, classes=classes)


def third(said: dict[str, Any]) -> None:
    """A head more than the model has scores of."""
    named(*said["labels"], "more/x", "more/y")(said)
    said["decoding"]["heads"].append({"name": "more", "first": 4, "classes": 2})


ADDED = {"window": 64, "hop": 32, "taper": "none", "features": "samples", "gain": 1}

CONTRACTS: tuple[tuple[str, Change, str], ...] = (
    ("words", named(), "labels must be as many as classes, got 0"),
    ("words", named("O", "B", "C", "D", "E"), "'logits' must have a score of each label for each token"),
    ("words", put("decoding", classes=2), "labels must be as many as classes, got 3"),
    ("words", put("preparation", columns=[]), "preparation.columns must be 1 or more, got 0"),
    ("words", lambda said: said.update(inputs=[]), "inputs must be there"),
    ("text", lambda said: said.pop("preparation"), "preparation must be there"),
    ("heads", headed(2, 3), "labels must have those of mood"),
    ("heads", headed(2**62, 2**62), "labels must have those of mood"),
    ("heads", headed(0, 2), "labels must have those of mood"),
    ("heads", third, "'logits' must have 6 numbers, got 4"),
    ("passages", put("preparation", columns=["question"]), "preparation.columns must be 2 or more, got 1"),
    ("image", put("preparation", mean=["a", "b", "c"]), "mean must be a number, or one a channel"),
    ("image", put("preparation", mean=[0.1, 0.2]), "mean must be one number, or one for each of 3 channels, got 2"),
    ("image", put("preparation", std=[0.1] * 3, colour="L"), "std must be one number, or one for each of 1 channels"),
    ("sounds", put("preparation", hop=0), "hop must be seconds of at least one sample, got 0"),
    ("sounds", put("preparation", frame=-1), "frame must be seconds of at least one sample, got -1"),
    ("sounds", put("preparation", rate=2**32), "rate must be at most 1048576"),
    ("clean", put("preparation", hop=65), "hop must be at most window, 64, got 65"),
    ("clean", put("decoding", hop=65), "hop must be at most window, 64, got 65"),
    ("clean", put("decoding", window=4096, hop=1), "decoding must have the window and the hop of preparation"),
    ("clean", put("preparation", window=128), "must have the 130 numbers of a frame"),
    ("voice", put("preparation", input="sound"), "must have the 64 numbers of a frame"),
    ("voice", put("decoding", kind="frames", **ADDED), "must be a frame, got 1 numbers"),
    ("stream", lambda said: said["states"].update(frame="logits"), "inputs must have one that is no state"),
)
"""Bundle, what is said otherwise, and what is told of it."""


def behind(model: onnx.ModelProto, output: str, kind: str, inputs: int = 1, **options: Any) -> None:
    """Puts a node behind an output, which then has no shape."""
    for node in model.graph.node:
        node.output[:] = [f"{output}_inner" if name == output else name for name in node.output]
    model.graph.node.append(helper.make_node(kind, [f"{output}_inner"] * inputs, [output], **options))
    for value in model.graph.output:
        if value.name == output:
            dtype = options.get("to", value.type.tensor_type.elem_type)
            value.CopyFrom(helper.make_tensor_value_info(output, dtype, None))


MODELS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    ("words", "logits", {"kind": "ReduceMax"}, "'logits' must have a score of each label for each token"),
    ("text", "logits", {"kind": "ReduceMax"}, "'logits' must have 2 numbers, got 1"),
    ("passages", "end_logits", {"kind": "ReduceMax"}, "'end_logits' must have"),
    ("clean", "logits", {"kind": "ReduceMax"}, "'logits' must be a frame, got 1 numbers"),
    ("boxes", "logits", {"kind": "Concat", "inputs": 2, "axis": 0}, "'boxes' must have four numbers for each place"),
    (
        "kept",
        "kept",
        {"kind": "Concat", "inputs": 2, "axis": 0},
        "'kept' must say of each score",
    ),
)
"""Bundle, an output, the node that is put behind it, and what is told of it."""


@pytest.fixture
def asked(
    made: dict[str, Path], streamed: dict[str, Path], runs_of: dict[str, Made], tmp_path: Path
) -> Callable[[str], tuple[Path, list[object]]]:
    """A bundle of a kind, to be spoilt, and words that ask it."""

    def get(kind: str) -> tuple[Path, list[object]]:
        if kind in ("boxes", "kept"):
            settings = {"iou": 0.5, "most": 9, "least_score": 0.1, "kept": kind == "kept"}
            np.savez(tmp_path / "row.npz", **detector.rows(2, seed=1))
            return detector.boxes(tmp_path / "made", ["cat", "dog"], **settings), ["--file", tmp_path / "row.npz"]
        places = {**made, **streamed, **{task: each.bundle for task, each in runs_of.items()}}
        rows = places[kind].parent / "rows"
        words: Mapping[str, list[object]] = {
            "passages": ["--question", "the mood", "--text", "the film is a plot " * 12],
            "sounds": ["--file", runs_of["sounds"].rows[0]["audio"]],
            "clean": ["--file", rows / "noisy.wav"],
            "voice": ["--file", rows / "noisy.wav"],
            "stream": ["--file", tmp_path / "row.npz"],
            "image": ["--file", tmp_path / "picture.ppm"],
        }
        (tmp_path / "picture.ppm").write_bytes(b"P6 20 20 255\n" + bytes(1200))
        np.savez(tmp_path / "row.npz", frame=np.zeros((2, 160), np.float32))
        return runs.copy(places[kind], tmp_path / "b"), words.get(kind, ["--text", "a lovely film it is"])

    return get


@pytest.fixture(params=["plain", pytest.param("sanitized", marks=pytest.mark.slow)])
def kit(request: pytest.FixtureRequest) -> Path:
    """The program; also as two sanitizers look on."""
    return request.getfixturevalue({"plain": "built", "sanitized": "sanitized"}[request.param]) / "kit"


@pytest.mark.parametrize("place", range(len(CONTRACTS)), ids=lambda place: f"{CONTRACTS[place][0]}-{place}")
def test_contracts(kit: Path, asked: Callable[[str], tuple[Path, list[object]]], place: int) -> None:
    kind, change, told = CONTRACTS[place]
    bundle, words = asked(kind)
    runs.edit(bundle / "contract.json", change)
    runs.seal(bundle)
    assert told in program(kit, [bundle, *words], 1).stderr


@pytest.mark.parametrize("place", range(len(MODELS)), ids=lambda place: f"{MODELS[place][0]}-{place}")
def test_models(kit: Path, asked: Callable[[str], tuple[Path, list[object]]], place: int) -> None:
    kind, output, node, told = MODELS[place]
    bundle, words = asked(kind)
    runs.edit_model(bundle / "models/fp32/model.onnx", lambda model: behind(model, output, **node))
    runs.seal(bundle)
    assert told in program(kit, [bundle, *words], 1).stderr


def test_more_scores_than_tokens(kit: Path, asked: Callable[[str], tuple[Path, list[object]]]) -> None:
    bundle, words = asked("passages")
    before = program(kit, [bundle, *words], 0).stdout
    file = bundle / "models/fp32/model.onnx"
    runs.edit_model(file, lambda model: behind(model, "start_logits", "Concat", 2, axis=1))
    runs.seal(bundle)
    assert program(kit, [bundle, *words], 0).stdout == before


@pytest.mark.parametrize("dtype", ["FLOAT16", "UINT8"])
def test_frames_of_other_types(
    kit: Path, asked: Callable[[str], tuple[Path, list[object]]], tmp_path: Path, dtype: str
) -> None:
    """66 numbers of a byte are no whole number of floats."""
    from kit import open_bundle

    bundle, words = asked("clean")
    to = getattr(TensorProto, dtype)
    runs.edit_model(bundle / "models/fp32/model.onnx", lambda model: behind(model, "logits", "Cast", to=to))
    runs.seal(bundle)
    program(kit, [bundle, *words, "--output", tmp_path / "out.wav"], 0)
    theirs = open_bundle(bundle).answer({"audio": str(words[1])})
    np.testing.assert_allclose(soundfile.read(tmp_path / "out.wav")[0], theirs["samples"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("part", "kind"),
    [("preparation", "items"), ("preparation", "symbols"), ("decoding", "mel"), ("decoding", "latent")],
)
def test_tasks_of_other_kits(
    kit: Path, asked: Callable[[str], tuple[Path, list[object]]], part: str, kind: str
) -> None:
    bundle, words = asked("text")

    def change(said: dict[str, Any]) -> None:
        said["task"] = "recommendation"
        said[part]["kind"] = kind

    runs.edit(bundle / "contract.json", change)
    runs.seal(bundle)
    told = f"this kit does not answer models for recommendation, which need {part} '{kind}'"
    assert told in program(kit, [bundle, *words], 4).stderr


def test_files_that_are_no_arrays(
    kit: Path, opened: Callable[[Path], Kit], made: dict[str, Path], tmp_path: Path
) -> None:
    np.savez_compressed(tmp_path / "small.npz", frame=np.zeros((2, 160), np.float32))
    (tmp_path / "none.npz").write_bytes(b"PK")
    for name, told in (
        ("nowhere", "which cannot be read"),
        ("small", "frame.npy is compressed: write the file with numpy.savez"),
        ("none", "it is no zip archive"),
    ):
        assert told in program(kit, [made["stream"], "--file", tmp_path / f"{name}.npz"], 2).stderr
    with pytest.raises(ValueError, match="^2 inputs must be an npz file"):
        opened(made["stream"]).answer(json.loads('{"file": "nowhere.npz"}'))
