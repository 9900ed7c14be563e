from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.data.media.image import Pipeline
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value

PREPROCESSOR = {
    "do_resize": True,
    "size": {"height": 8, "width": 12},
    "resample": 2,
    "do_center_crop": False,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}
"""As transformers saves it."""


def pipeline(folder: Path, *settings: str, value: Value | None = None, **preprocessor: Any) -> Pipeline:
    if preprocessor:
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor), "utf-8")
    value = value or Value("pixels", "float32", ("batch", 3, "height", "width"))
    source = find(folder / "model.onnx", kind="image", inputs=[value], settings=settings)
    return Pipeline(str(source.folder), json.loads(json.dumps(source.options)))


def picture(path: Path, height: int, width: int, *, colours: int = 3) -> tuple[dict[str, str], np.ndarray]:
    """A row with a file of noise, and its pixels."""
    image = pytest.importorskip("PIL.Image")
    shape = (height, width, colours) if colours > 1 else (height, width)
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    image.fromarray(pixels).save(path)
    return {"image": str(path)}, pixels


def bilinear(pixels: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Resampling of one axis by a triangle as wide as the scale, rounded to 8 bits, as Pillow documents it."""
    held = pixels.shape[axis]
    scale = held / size
    support = max(scale, 1.0)
    centres = (np.arange(size) + 0.5) * scale
    distance = np.abs(np.arange(held) + 0.5 - centres[:, None]) / support
    weights = np.clip(1 - distance, 0, None)
    weights /= weights.sum(axis=1, keepdims=True)
    mixed = np.moveaxis(np.tensordot(weights, pixels.astype(np.float64), (1, axis)), 0, axis)
    return np.clip(np.floor(mixed + 0.5), 0, 255)


def test_numbers_are_those_of_an_independent_computation(tmp_path: Path) -> None:
    row, pixels = picture(tmp_path / "noise.png", 30, 41)
    feeds = pipeline(tmp_path, **PREPROCESSOR).before(row)
    expected = bilinear(bilinear(pixels, 12, 1), 8, 0) / 255
    expected = ((expected - PREPROCESSOR["image_mean"]) / PREPROCESSOR["image_std"]).transpose(2, 0, 1)[None]
    assert feeds.keys() == {"pixels"}
    assert feeds["pixels"].dtype == np.float32
    assert feeds["pixels"].shape == (1, 3, 8, 12)
    assert feeds["pixels"].flags["C_CONTIGUOUS"]
    # Pillow's weights are fixed-point: a pixel on the edge between two values may fall either way.
    np.testing.assert_allclose(feeds["pixels"], expected, atol=1.01 / 255 / 0.2)
    assert np.isclose(feeds["pixels"], expected, atol=1e-5).mean() > 0.95


def test_values_without_resizing_are_exact(tmp_path: Path) -> None:
    row, pixels = picture(tmp_path / "noise.png", 6, 5)
    feeds = pipeline(tmp_path, **{**PREPROCESSOR, "do_resize": False, "do_normalize": False}).before(row)
    np.testing.assert_array_equal(feeds["pixels"][0], (pixels / 255).astype(np.float32).transpose(2, 0, 1))


def test_shorter_side_then_centre(tmp_path: Path) -> None:
    row, pixels = picture(tmp_path / "noise.png", 6, 10)
    given = {"do_resize": True, "size": {"shortest_edge": 6}, "do_center_crop": True, "do_rescale": False}
    made = pipeline(tmp_path, **given, crop_size={"height": 4, "width": 7})
    np.testing.assert_array_equal(made.before(row)["pixels"][0], pixels[1:5, 1:8].transpose(2, 0, 1))
    tall, _ = picture(tmp_path / "tall.png", 31, 10)
    assert pipeline(tmp_path, "resize=7", "crop=null").before(tall)["pixels"].shape == (1, 3, 21, 7)


def test_a_centre_beyond_the_picture_is_black(tmp_path: Path) -> None:
    row, pixels = picture(tmp_path / "noise.png", 4, 3)
    feeds = pipeline(tmp_path, "resize=null", "crop=[7, 3]", "scale=null").before(row)["pixels"][0]
    np.testing.assert_array_equal(feeds[:, 2:6], pixels.transpose(2, 0, 1))
    assert not feeds[:, :2].any()
    assert not feeds[:, 6:].any()


def test_the_graph_says_layout_size_channels_and_type(tmp_path: Path) -> None:
    row, pixels = picture(tmp_path / "noise.png", 4, 6)
    last = pipeline(tmp_path, value=Value("x", "uint8", (1, 4, 6, 3))).before(row)["x"]
    assert last.dtype == np.uint8
    np.testing.assert_array_equal(last[0], pixels)
    grey = pipeline(tmp_path, value=Value("x", "float32", (1, 1, 2, 2))).before(row)["x"]
    assert grey.shape == (1, 1, 2, 2)
    assert 0 < grey.max() <= 1


def test_colours_and_whole_numbers(tmp_path: Path) -> None:
    row, pixels = picture(tmp_path / "noise.png", 4, 4)
    made = pipeline(tmp_path, "colour=BGR", "scale=null", "mean=128", "dtype=int8").before(row)["pixels"]
    assert made.dtype == np.int8
    np.testing.assert_array_equal(made[0], (pixels[..., ::-1].astype(int) - 128).transpose(2, 0, 1))
    row, pixels = picture(tmp_path / "grey.png", 4, 4, colours=1)
    np.testing.assert_array_equal(pipeline(tmp_path, "scale=null").before(row)["pixels"][0], np.stack([pixels] * 3))


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    _, pixels = picture(tmp_path / "noise.png", 4, 6)
    exif = image.Exif()
    exif[0x0112] = 6  # orientation: the top is on the right (EXIF 2.3, section 4.6.4)
    image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    feeds = pipeline(tmp_path, "scale=null").before({"image": str(tmp_path / "turned.png")})
    np.testing.assert_array_equal(feeds["pixels"][0], np.rot90(pixels, -1).transpose(2, 0, 1))


def test_a_row_without_an_image_is_named(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    with pytest.raises(ValueError, match="must have 'image', got 'a.jpg'"):
        pipeline(tmp_path).before("a.jpg")  # type: ignore[arg-type]


def test_scores_become_a_class(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    made = pipeline(tmp_path, "labels=[cat, dog]")
    chances = np.float32([[0.25, 0.75]])
    assert made.after({"anything": chances}) == {"label": "dog", "score": pytest.approx(0.75)}
    assert made.after({"logits": np.log(chances) - 5, "features": np.zeros((1, 9))}) == {
        "label": "dog",
        "score": pytest.approx(0.75, abs=1e-5),
    }
    assert pipeline(tmp_path).after({"anything": chances})["label"] == 1


def test_other_outputs_give_their_shapes(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    outputs = {"boxes": np.zeros((1, 10, 4)), "scores": np.zeros((1, 10))}
    assert pipeline(tmp_path).after(outputs) == {"shapes": {"boxes": [1, 10, 4], "scores": [1, 10]}}


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(RuntimeError, match="needs the package pillow.*pip install pillow"):
        Pipeline("anywhere", {})
