"""Pictures, boxes and sounds by the kits' JavaScript: to the last bit, or as near as floats allow."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest

from edgesft.data.media import audio, image
from tests.export.same import same
from tests.export.script import Probe, RefusedInNode

IMAGE = {"resize": None, "crop": None, "resample": "bilinear", "colour": "RGB", "scale": None, "mean": None}
IMAGE |= {"std": None, "layout": "NHWC", "dtype": "uint8"}

AUDIO = {"rate": 4000, "seconds": 0.25, "window": "start", "features": "mel", "frame": 0.025, "hop": 0.01, "mels": 20}
AUDIO |= {"low": 20.0, "high": None, "floor": 1e-10, "coefficients": None, "normalise": True}


def unpacked(said: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(said["data"]), said["dtype"]).reshape(said["shape"])


def packed(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def pictures() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = ((31, 17, 3), (8, 40, 3), (1, 1, 3), (64, 64, 3), (5, 3, 3))
    noise = [rng.integers(0, 256, shape, np.uint8) for shape in shapes]
    edges = np.where(rng.random((37, 53, 1)) < 0.5, 0, 255).astype(np.uint8).repeat(3, axis=2)
    return [*noise, edges]


def said(pixels: np.ndarray) -> dict[str, Any]:
    height, width, *channels = pixels.shape
    return {"height": height, "width": width, "channels": channels[0] if channels else 1, "data": packed(pixels)}


@pytest.mark.parametrize("resample", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
@pytest.mark.parametrize("resize", [16, [7, 23], [90, 61], 33])
def test_resizing_is_pillow_s_to_the_last_bit(probe: Probe, resample: str, resize: Any) -> None:
    options = {**IMAGE, "resize": resize, "resample": resample}
    reader = image.Reader(options)
    for pixels in pictures():
        got = unpacked(probe("pixels", picture=said(pixels), options=options))
        np.testing.assert_array_equal(got, reader.pixels(pixels))


@pytest.mark.parametrize(
    "changes",
    [
        {"crop": [5, 9]},
        {"crop": [40, 40]},
        {"resize": 18, "crop": [16, 17], "layout": "NCHW", "scale": 1 / 255, "mean": [0.4, 0.5, 0.6], "std": 0.3},
        {"std": [0.2, 0.3, 0.4]},
        {"colour": "L", "resize": 9, "scale": 1 / 127.5, "mean": 1.0},
        {"colour": "BGR", "mean": [104.0, 117.0, 123.0], "dtype": "float32"},
        {"colour": "BGR", "resize": [11, 12], "layout": "NCHW"},
        {"scale": 0.5, "mean": 63.75, "std": None, "dtype": "int8"},
        {"scale": 1 / 255, "std": 0.25, "dtype": "float16"},
        {"scale": 1.0, "mean": 0.5, "dtype": "uint8"},
    ],
    ids=repr,
)  # fmt: skip
def test_pictures(probe: Probe, changes: dict[str, Any]) -> None:
    options = {**IMAGE, "dtype": "float32", **changes}
    reader = image.Reader(options)
    for pixels in pictures():
        got = unpacked(probe("picture", picture=said(pixels), options=options))
        expected = reader.feed(reader.pixels(pixels)[np.newaxis])
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("colour", ["RGB", "L"])
def test_pictures_in_grey_and_with_opacity(probe: Probe, colour: str) -> None:
    options, rng = {**IMAGE, "colour": colour, "resize": 9}, np.random.default_rng(1)
    for shape in ((12, 10), (12, 10, 4)):
        pixels = rng.integers(0, 256, shape, np.uint8)
        got = unpacked(probe("pixels", picture=said(pixels), options=options))
        np.testing.assert_array_equal(got, image.Reader(options).pixels(pixels))


def expected_boxes(said: dict[str, Any], labels: list[str], outputs: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """As BUNDLE.md has it, one box after another."""
    (scores,), (boxes,) = outputs["logits"].astype(float), outputs["boxes"].astype(float)
    more = scores.shape[1] > len(labels)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True) if more else 1 / (1 + np.exp(-scores))
    left, top = boxes[:, 0] - boxes[:, 2] / 2, boxes[:, 1] - boxes[:, 3] / 2
    right, bottom = left + boxes[:, 2], top + boxes[:, 3]

    def overlap(one: int, other: int) -> float:
        width = min(right[one], right[other]) - max(left[one], left[other])
        height = min(bottom[one], bottom[other]) - max(top[one], top[other])
        both = max(0, width) * max(0, height)
        return both / (boxes[one, 2:].prod() + boxes[other, 2:].prod() - both)

    found = []
    for label in range(len(labels)):
        order = [int(each) for each in np.argsort(-chances[:, label], kind="stable")]
        sure = [place for place in order if chances[place, label] >= said["least_score"]]
        kept: list[int] = []
        for place in sure[:300] if not more and "kept" not in said else sure:
            suppressed = not more and any(overlap(place, each) > said["iou"] for each in kept)
            wanted = outputs["kept"][0, place, label] if "kept" in said else not suppressed
            if wanted and (more or "kept" in said or len(kept) < said["most"]):
                kept.append(place)
        found += [(chances[place, label], place, label) for place in kept]
    found.sort(key=lambda each: -each[0])
    return [
        {"label": labels[label], "score": chance, "box": [left[place], top[place], *boxes[place, 2:]]}
        for chance, place, label in found[: said["most"]]
    ]


@pytest.mark.parametrize("more", [0, 1])
@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("most", [5, 200])
def test_boxes(probe: Probe, more: int, kept: bool, most: int) -> None:
    rng, labels = np.random.default_rng(0), ["cat", "dog", "bird"]
    centres = rng.uniform(0.2, 0.8, (12, 2)).repeat(40, axis=0) + rng.normal(0, 0.02, (480, 2))
    boxes = np.concatenate([centres, rng.uniform(0.1, 0.3, (480, 2))], axis=1)
    outputs = {"logits": rng.normal(-1, 2, (1, 480, 3 + more)).astype("float32")}
    outputs |= {"boxes": boxes[np.newaxis].astype("float32"), "kept": rng.random((1, 480, 3 + more)) < 0.3}
    said = {"output": "logits", "boxes": "boxes", "iou": 0.5, "most": most, "least_score": 0.3}
    said |= {"kept": "kept"} if kept else {}
    told = {
        name: {"dtype": str(each.dtype), "shape": list(each.shape), "data": packed(each)}
        for name, each in outputs.items()
    }
    got = probe("boxes", said=said, labels=labels, outputs=told)
    same(got, [{**each, "box": list(map(float, each["box"]))} for each in expected_boxes(said, labels, outputs)])
    assert len(got) == most or len(got) > 10


@pytest.mark.parametrize("rate", [4000, 8000, 3000, 11025, 44100])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"normalise": False},
        {"coefficients": 13},
        {"window": "centre", "seconds": 0.1},
        {"window": "centre", "seconds": 0.5, "low": 0.0, "high": 1500.0},
        {"features": "none"},
        {"features": "none", "normalise": False, "seconds": 0.3},
    ],
    ids=repr,
)
def test_sounds(probe: Probe, rate: int, changes: dict[str, Any]) -> None:
    options = {**AUDIO, **changes}
    reader, rng = audio.Reader(options), np.random.default_rng(rate)
    for samples in (rng.uniform(-1, 1, rate // 4), np.zeros(rate // 5), np.sin(np.arange(rate // 3) / 7)):
        got = unpacked(probe("sound", samples=packed(samples), rate=rate, options=options))
        ready = reader.samples(audio.resampled(samples, rate, options["rate"]))
        expected = reader.feed(ready[np.newaxis])
        assert got.dtype == expected.dtype and got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_wav_files(probe: Probe, subtype: str, form: str, channels: int) -> None:
    import soundfile

    file = io.BytesIO()
    samples = np.random.default_rng(0).uniform(-1, 1, (999, channels))
    soundfile.write(file, samples, 12345, subtype=subtype, format=form)
    got = probe("wav", data=base64.b64encode(file.getvalue()).decode())
    expected, rate = audio.decode(file.getvalue())
    assert got["wav"] and got["rate"] == rate
    np.testing.assert_allclose(
        np.frombuffer(base64.b64decode(got["samples"])), expected.mean(axis=1), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("data", [b"", b"RIFF", b"RIFF\0\0\0\0WAVE", b"RIFF\0\0\0\0WAVEdata\0\0\0\0", b"OggS" * 9])
def test_what_is_no_wav_file(probe: Probe, data: bytes) -> None:
    with pytest.raises(RefusedInNode, match="WAV"):
        probe("wav", data=base64.b64encode(data).decode())
