"""What is read of a sound: the numbers of an independent computation, at any rate, on devices, too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft.data.media import audio
from edgesft.data.media.audio import Pipeline, Reader, resampled
from edgesft.data.media.inspection import inspect
from edgesft.data.media.medium import Inspection
from edgesft.data.media.sounds import Sounds
from edgesft.errors import InputError
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value
from edgesft.spec.media import AudioSpec
from tests import tiny

soundfile = pytest.importorskip("soundfile")


def options(**values: Any) -> dict[str, Any]:
    return AudioSpec(**values).model_dump()


def tone(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


def test_bands_are_those_of_an_independent_computation() -> None:
    from transformers import audio_utils

    reader = Reader(options(rate=8000, mels=24, low=50, high=3500, frame=0.03, hop=0.01, normalise=False))
    samples = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    samples[4000:] = 0
    filters = audio_utils.mel_filter_bank(129, 24, 50, 3500, 8000, norm=None, mel_scale="htk")
    window = audio_utils.window_function(240, "hann", periodic=True)
    expected = audio_utils.spectrogram(
        samples, window, 240, 80, 256, power=2.0, center=False, mel_filters=filters, mel_floor=1e-6, log_mel="log"
    ).T
    found = reader.feed(samples)
    assert found.shape == reader.shape == (1, 98, 24) and found.dtype == np.float32
    np.testing.assert_allclose(found[0][: len(expected)], expected, atol=1e-4)


def test_bands_by_the_formula() -> None:
    """A frame's power by sums over its samples, a band by its triangle."""
    reader = Reader(options(rate=1000, seconds=0.064, frame=0.064, hop=0.064, mels=3, low=0, normalise=False))
    samples = np.random.default_rng(0).standard_normal(64).astype(np.float32)
    times = np.arange(64)
    windowed = samples.astype(float) * (0.5 - 0.5 * np.cos(2 * np.pi * times / 64))
    power = [abs(sum(windowed * np.exp(-2j * np.pi * k * times / 64))) ** 2 for k in range(33)]
    top = 2595 * np.log10(1 + 500 / 700)
    edges = [700 * (10 ** (top * index / 4 / 2595) - 1) for index in range(5)]
    for band, value in enumerate(reader.feed(samples)[0, 0]):
        left, middle, right = edges[band : band + 3]
        weights = [max(0.0, min((h - left) / (middle - left), (right - h) / (right - middle)))
                   for h in (1000 * k / 64 for k in range(33))]  # fmt: skip
        assert value == pytest.approx(np.log(sum(w * p for w, p in zip(weights, power, strict=True))), abs=1e-5)


def test_cepstra_are_cosines_of_bands() -> None:
    own = {"rate": 4000, "mels": 20, "normalise": False}
    samples = np.random.default_rng(0).standard_normal((2, 4000)).astype(np.float32)
    mel, cepstrum = Reader(options(**own)).feed(samples), Reader(options(**own, coefficients=20)).feed(samples)
    # An orthonormal transform keeps lengths, and its first coefficient is the mean.
    np.testing.assert_allclose(np.linalg.norm(cepstrum, axis=-1), np.linalg.norm(mel, axis=-1), rtol=1e-4)
    np.testing.assert_allclose(cepstrum[..., 0], mel.mean(-1) * np.sqrt(20), rtol=1e-4)
    assert Reader(options(**own, coefficients=10)).shape == (1, 61, 10)


def test_loudness_says_nothing_where_it_is_normalised() -> None:
    reader = Reader(options(rate=8000, floor=1e-12))
    samples = np.random.default_rng(0).standard_normal(8000).astype(np.float32) * 0.1
    np.testing.assert_allclose(reader.feed(samples), reader.feed(samples * 0.01), atol=1e-3)
    assert abs(reader.feed(samples).mean()) < 1e-5
    assert np.abs(reader.feed(np.zeros(8000, np.float32))).max() < 1e-6, "silence is nothing, not a number that is none"
    raw = Reader(options(rate=8000, features="none"))
    assert raw.feed(samples).std() == pytest.approx(1, abs=1e-3) and raw.shape == (8000,)


@pytest.mark.parametrize(
    ("rate", "wanted"), [(8000, 16000), (44100, 16000), (16000, 8000), (22050, 16000), (48000, 8000)]
)
def test_another_rate_is_the_same_sound(rate: int, wanted: int) -> None:
    for hertz in (100.0, 1234.0, 0.42 * min(rate, wanted)):
        found, expected = resampled(tone(hertz, rate), rate, wanted), tone(hertz, wanted)
        assert len(found) == len(expected)
        inside = slice(wanted // 20, -wanted // 20)
        np.testing.assert_allclose(found[inside], expected[inside], atol=2e-3)


def test_what_the_lower_rate_cannot_hold_is_gone() -> None:
    assert np.abs(resampled(tone(6000, 16000), 16000, 8000)[400:-400]).max() < 1e-3


def test_windows() -> None:
    samples = np.arange(1, 11) / 16
    start, centre = (Reader(options(rate=1000, seconds=0.004, frame=0.004, window=w)) for w in ("start", "centre"))
    assert start.samples(samples).tolist() == (samples[:4]).tolist()
    assert centre.samples(samples).tolist() == (samples[3:7]).tolist()
    assert start.samples(samples[:2]).tolist() == [*samples[:2], 0, 0]
    assert centre.samples(samples[:2]).tolist() == [0, *samples[:2], 0]


def test_channels_and_rates_of_files(tmp_path: Path) -> None:
    left, right = tone(300, 8000), tone(500, 8000)
    soundfile.write(tmp_path / "two.wav", np.stack([left, right], 1), 8000, subtype="FLOAT")
    reader = Reader(options(rate=8000))
    np.testing.assert_allclose(reader.samples(str(tmp_path / "two.wav")), (left + right) / 2, atol=1e-6)
    content = (tmp_path / "two.wav").read_bytes()
    assert (reader.samples(content) == reader.samples(str(tmp_path / "two.wav"))).all()
    assert len(Reader(options(rate=16000)).samples(content)) == 16000


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"high": 9000}, "half of the rate"),
        ({"frame": 1.0, "seconds": 0.5}, "at most seconds"),
        ({"coefficients": 99}, "at most mels"),
    ],
)
def test_impossible_options(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        AudioSpec(**changes)


def looked(folder: Path) -> Inspection:
    return inspect(Sounds(), [{"audio": str(file)} | {"audio": _file(file)} for file in sorted(folder.glob("*"))])


def _file(path: Path) -> Any:
    from edgesft.data.media.medium import File

    return File(path)


def test_what_sounds_are_is_told(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(300, 8000), 8000)
    soundfile.write(tmp_path / "b.flac", np.stack([tone(300, 44100, 2.5)] * 2, 1), 44100)
    soundfile.write(tmp_path / "c.wav", np.zeros(16000), 16000)
    soundfile.write(tmp_path / "d.wav", np.full(100, np.nan), 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "e.wav", np.zeros(0), 16000)
    (tmp_path / "f.wav").write_bytes(b"no sound")
    found = looked(tmp_path)
    assert set(found.faults) == {3, 4, 5}
    assert ["no numbers" in found.faults[3], "no samples" in found.faults[4]] == [True, True]
    problems, warnings = Sounds().findings("train", found, options())
    assert problems == []
    assert warnings == [
        "data.train: 1 of 3 sounds have 2 channels, which are averaged",
        "data.train: 1 sounds are silent: nothing in them is above -80 dB",
        "data.train: 1 of 3 sounds have 44100 samples per second and are converted to 16000",
        "data.train: 1 of 3 sounds have 8000 samples per second and are converted to 16000; converting adds no "
        "information: "
        "data.audio.rate=8000 suffices if the model accepts any rate",
        "data.train: 1 of 3 sounds are longer than 1 s and are cut off",
    ]


@pytest.mark.parametrize(("samples", "cut"), [(15360, False), (15361, True)])
def test_what_is_as_long_as_the_longest_is_not_cut(samples: int, cut: bool, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(300, 16000)[:samples], 16000)
    _, warnings = Sounds().findings("train", looked(tmp_path), options(seconds=0.96))
    assert any("longer than 0.96 s" in each for each in warnings) == cut


def test_the_pipeline_of_a_contract(tmp_path: Path) -> None:
    said = {"task": "audio-classification", "labels": ["no", "yes"]}
    said["options"] = {"input": "x", **options(rate=8000), "temperature": 2.0, "accept_above": 100.0}
    (tmp_path / "contract.json").write_text(json.dumps(said), "utf-8")
    value = Value("x", "float32", ("batch", 1, 61, 40))
    source = find(tmp_path / "model.onnx", kind=None, inputs=[value])
    made = Pipeline(str(tmp_path), json.loads(json.dumps(source.options)))
    soundfile.write(tmp_path / "a.wav", tone(300, 8000), 8000, subtype="FLOAT")
    fed = made.before({"audio": str(tmp_path / "a.wav")})["x"]
    assert fed.shape == (1, 1, 61, 40)
    assert (fed == made.before({"audio": np.float32(tone(300, 8000)).tolist()})["x"]).all()
    answer = made.after({"logits": np.float32([[0.0, 2.0]])})
    assert answer == {"label": "yes", "score": pytest.approx(np.e / (1 + np.e)), "known": False}
    with pytest.raises(ValueError, match="must have 'audio'"):
        made.before({"image": "a.wav"})
    with pytest.raises(InputError, match="feeds one input, float32"):
        find(tmp_path / "model.onnx", kind=None, inputs=[value, value])


def test_it_runs_where_edgesft_is_not(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(300, 8000), 8000)
    code = "import importlib.util, json, sys\nsys.path = [p for p in sys.path if p]\n"
    code += f"spec = importlib.util.spec_from_file_location('audio', {audio.__file__!r})\n"
    code += "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module)\n"
    code += f"made = module.Pipeline('.', json.loads({json.dumps({**options(), 'inputs': ['x'], 'labels': []})!r}))\n"
    code += f"print(made.before({{'audio': {str(tmp_path / 'a.wav')!r}}})['x'].shape, 'edgesft' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "(1, 1, 61, 40) False", done.stderr


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(RuntimeError, match="needs the package soundfile.*pip install soundfile"):
        Pipeline("anywhere", {})


def test_tones_are_sounds_of_their_rate(tmp_path: Path) -> None:
    folder = tiny.save_sounds(tmp_path, tiny.sounded(2))
    assert looked(folder / "rising").seen == {("rate", "4000"): 1, ("channels", "1"): 1, ("seconds", "0.25"): 1}
