"""The kit in C++ against the kit in Python: built here, both are given the same."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from onnx import helper
from PIL import Image
from tokenizers import Tokenizer, normalizers, processors

from tests import tiny
from tests.export import bundles, detector, test_python_media
from tests.export.kinds import Made
from tests.export.native import Kit
from tests.export.test_python import BOXES, TEXTS
from tests.export.test_python_tokens import texts
from tests.export.texts import BLANK
from tests.ship import runs
from tests.ship.test_kinds import rewritten


def same(one: Any, other: Any) -> None:
    """Equal, but for the last digits of numbers."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            same(mine, theirs)
    else:
        assert one == (pytest.approx(other, rel=1e-4, abs=1e-6) if isinstance(one, float) else other)


@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_texts(form: str, made: dict[str, Path], opened: Callable[[Path], Kit]) -> None:
    import kit

    ours, theirs = opened(made["text"].parent / form), kit.open_bundle(made["text"].parent / form)
    for text in TEXTS:
        row = {"text": text.replace("\ud800", "?")}
        same(ours.answer(row), theirs.answer(row))


@pytest.mark.parametrize("task", ["words", "passages", "heads"])
def test_other_texts(task: str, runs_of: dict[str, Made], opened: Callable[[Path], Kit]) -> None:
    import kit

    made = runs_of[task]
    ours, theirs = opened(made.bundle), kit.open_bundle(made.bundle)
    columns = json.loads((made.bundle / "contract.json").read_bytes())["preparation"]["columns"]
    rows = [{name: row[name] for name in columns} for row in made.rows]
    rows += [{**rows[0], columns[-1]: text} for text in TEXTS if text.isascii() and text.isprintable()]
    rows += [{**rows[0], columns[-1]: BLANK}]
    for row in rows:
        same(ours.answer(row), theirs.answer(row))
    if task == "passages":
        with pytest.raises(ValueError, match="^2 the first text must leave more than 4 tokens"):
            ours.answer({"question": "the film " * 20, "context": "x"})


def changed(**options: Any) -> Callable[[Tokenizer], None]:
    def change(tokenizer: Tokenizer) -> None:
        tokenizer.normalizer = normalizers.BertNormalizer(**options)

    return change


def templates(kind: type) -> Callable[[Tokenizer], None]:
    def change(tokenizer: Tokenizer) -> None:
        tokenizer.post_processor = kind(("[SEP]", 3), ("[CLS]", 2))

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed(),
        changed(lowercase=False),
        changed(strip_accents=False),
        changed(clean_text=False, handle_chinese_chars=False),
        templates(processors.BertProcessing),
        templates(processors.RobertaProcessing),
    ],
)
@pytest.mark.parametrize("cut", [{}, {"max_length": 7, "truncation_side": "left"}])
def test_tokens_are_the_library_s(
    change: Callable[[Tokenizer], None],
    cut: dict[str, Any],
    made: dict[str, Path],
    opened: Callable[[Path], Kit],
    tmp_path: Path,
) -> None:
    bundle = runs.copy(made["text"], tmp_path / "b")
    file = bundle / "processor" / "tokenizer.json"
    theirs = Tokenizer.from_file(str(file))
    change(theirs)
    theirs.save(str(file))
    settings = {"max_length": 64, **cut}
    runs.edit(bundle / "contract.json", lambda said: said["preparation"].update(settings))
    runs.seal(bundle)
    ours = opened(bundle)
    theirs.no_padding()
    theirs.enable_truncation(settings["max_length"], direction=settings.get("truncation_side", "right"))
    for text in texts(300, sorted(theirs.get_vocab()), seed=6):
        (feeds,) = ours.inputs({"text": text})
        assert feeds["input_ids"][0].tolist() == theirs.encode(text).ids, text


def test_windows_are_the_library_s(runs_of: dict[str, Made], opened: Callable[[Path], Kit], tmp_path: Path) -> None:
    bundle = runs.copy(runs_of["passages"].bundle, tmp_path / "b")
    for side in ("right", "left"):
        runs.edit(bundle / "contract.json", lambda said, side=side: said["preparation"].update(truncation_side=side))
        runs.seal(bundle)
        ours, theirs = opened(bundle), Tokenizer.from_file(str(bundle / "processor" / "tokenizer.json"))
        theirs.no_padding()
        theirs.enable_truncation(32, stride=4, strategy="only_second", direction=side)
        for passage in texts(60, sorted(theirs.get_vocab()), seed=7):
            first = theirs.encode("the film", passage)
            windows = ours.inputs({"question": "the film", "context": passage})
            assert [each["input_ids"][0].tolist() for each in windows] == [
                each.ids for each in (first, *first.overflowing)
            ]


@pytest.mark.parametrize(
    "change",
    [
        *({"resample": name, "resize": 31} for name in test_python_media.FILTERS),
        {"resize": [9, 40], "crop": None, "colour": "BGR", "layout": "NHWC", "mean": [0.1, 0.2, 0.3]},
        {"resize": None, "crop": [60, 61], "dtype": "uint8", "scale": None, "mean": None, "std": None},
        {"resize": 20, "crop": None, "colour": "L", "dtype": "int8", "scale": 1.0, "mean": 128.0, "std": None},
    ],
)
def test_pictures(change: dict[str, Any], made: dict[str, Path], opened: Callable[[Path], Kit], tmp_path: Path) -> None:
    import kit

    bundle = runs.copy(made["image"], tmp_path / "b")
    runs.edit(bundle / "contract.json", lambda said: said["preparation"].update(change))
    runs.seal(bundle)
    ours, theirs = opened(bundle), kit.open_bundle(bundle)
    rng = np.random.default_rng(0)
    for place, shape in enumerate([(31, 50, 3), (50, 31, 3), (90, 12, 3), (8, 9), (16, 16, 3)]):
        file = tmp_path / f"{place}.ppm"
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(file)
        (mine,), (other,) = ours.inputs({"image": str(file)}), theirs.preparation({"image": str(file)})
        fed = other.feeds["pixel_values"]
        assert mine["pixel_values"].dtype == fed.dtype and np.array_equal(mine["pixel_values"], fed)


def test_pictures_as_pixels(made: dict[str, Path], opened: Callable[[Path], Kit]) -> None:
    import kit

    ours, theirs = opened(made["image"]), kit.open_bundle(made["image"])
    for file in sorted((made["image"].parent / "rows").rglob("*.png"))[:6]:
        pixels = np.asarray(Image.open(file).convert("RGB"))
        given = pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        same(json.loads(ours.call("answer_pixels", given, *pixels.shape)), theirs.answer({"image": str(file)}))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"coefficients": None, "normalise": False, "window": "start"},
        {"features": "none", "seconds": 0.13},
        {"rate": 4000, "seconds": 0.5, "high": 1500.0, "frame": 0.03},
        {"rate": 11025},
    ],
)
def test_sounds(
    change: dict[str, Any], runs_of: dict[str, Made], opened: Callable[[Path], Kit], tmp_path: Path
) -> None:
    import kit

    bundle = runs.copy(runs_of["sounds"].bundle, tmp_path / "b")
    runs.edit(bundle / "contract.json", lambda said: said["preparation"].update(change))
    runs.seal(bundle)
    ours, theirs = opened(bundle), kit.open_bundle(bundle)
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        file = tmp_path / f"{subtype}.wav"
        soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 2)), 8000, subtype=subtype)
        (mine,), (other,) = ours.inputs({"audio": str(file)}), theirs.preparation({"audio": str(file)})
        fed = other.feeds["input_values"]
        assert mine["input_values"].shape == fed.shape
        assert np.abs(mine["input_values"] - fed).max() < 1e-4


@pytest.mark.parametrize("settings", BOXES)
def test_boxes(settings: dict[str, Any], opened: Callable[[Path], Kit], tmp_path: Path) -> None:
    labels = ["cat", "dog", "owl"]
    ours = opened(detector.boxes(tmp_path, labels, **settings))
    for seed in range(1, 4):
        row = detector.rows(3 + settings.get("more", 0), seed=seed)
        np.savez(tmp_path / "row.npz", **row)
        found = ours.answer({"file": str(tmp_path / "row.npz")})
        assert found["boxes"] == detector.expected(labels, row, settings)


@pytest.mark.parametrize(("dtype", "shape"), [("float32", [4]), ("float32", [2, 3]), ("int64", [2, 1, 2])])
def test_numbers_lie_as_they_do_in_the_output(
    dtype: str, shape: list[int], opened: Callable[[Path], Kit], tmp_path: Path
) -> None:
    import kit

    bundle = handed_on(tmp_path, dtype, shape)
    x = np.arange(1, 1 + np.prod(shape)).reshape(1, *shape).astype(dtype)
    np.savez(tmp_path / "row.npz", x=x)
    found = opened(bundle).answer({"file": str(tmp_path / "row.npz")})
    same(found, kit.open_bundle(bundle).answer({"x": x}))
    assert found == x.tolist()


def handed_on(folder: Path, dtype: str, shape: list[int]) -> Path:
    """A bundle whose model answers with the numbers that it is given."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ends = [helper.make_tensor_value_info(name, kind, [1, *shape]) for name in ("x", "logits")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["logits"])], "same", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    contract = {"labels": [], "options": {"inputs": {"x": {"shape": shape, "dtype": dtype}}, "metric": "r2"}}
    run = rewritten(folder, model, contract, tiny.rows(40), "arrays", {})
    bundles.without_text(run)
    np.savez(folder / "golden.npz", x=np.ones((1, *shape), dtype))
    return bundles.packed(run, folder, "numbers", inputs=folder / "golden.npz", variants=("model",))


def test_sound_in_frames(
    streamed: dict[str, Path],
    run: Callable[..., Any],
    opened: Callable[[Path], Kit],
    tmp_path: Path,
) -> None:
    import kit

    file = streamed["clean"].parent / "rows" / "noisy.wav"
    theirs = kit.open_bundle(streamed["clean"]).answer({"audio": str(file)})
    for form in ("bundle", "bundle.zip"):
        run(streamed["clean"].parent / form, "--file", file, "--output", tmp_path / "out.wav", "--golden")
        ours, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
        assert rate == theirs["rate"] and np.abs(ours - theirs["samples"]).max() < 1e-6
    given = soundfile.read(file, dtype="float32")[0]
    room = np.zeros(len(given), np.float32)
    pointers = [each.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) for each in (given, room)]
    words = (pointers[0], ctypes.c_size_t(len(given)), rate, pointers[1], ctypes.c_size_t(len(room)))
    told = json.loads(opened(streamed["clean"]).call("answer_samples", *words))
    assert told == {"rate": rate, "samples": len(given)} and np.abs(room - theirs["samples"]).max() < 1e-6
    row = {"audio": str(streamed["voice"].parent / "rows" / "noisy.wav")}
    same(opened(streamed["voice"]).answer(row), kit.open_bundle(streamed["voice"]).answer(row))
