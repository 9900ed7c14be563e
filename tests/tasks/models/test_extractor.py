"""Audio spectrogram transformers: features as transformers makes them, in the model's file, through every stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft import api
from edgesft.data.media.audio import Pipeline, Reader
from edgesft.errors import InputError
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value
from edgesft.progress import Progress
from edgesft.spec.media import AudioSpec
from edgesft.spec.model import OnnxSpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export.checks import file_run
from edgesft.tasks import registry
from edgesft.tasks.audio.logmel import LogMel
from edgesft.tasks.audio_classification import AudioClassification, Listening
from edgesft.tasks.models import checkpoint, extractor, onnx_file
from edgesft.train.adapters import adapted
from tests import chain, tiny
from tests.tasks.test_audio_classification import recipe, taken_round

pytest.importorskip("soundfile")

TASK = AudioClassification()
SIZES = {"num_mel_bins": 64, "max_length": 98}


def settled(said: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    return AudioSpec.model_validate(extractor.read(said, config)).model_dump()


def heard(seconds: float) -> np.ndarray:
    """Tones in noise of 60 dB less, that do not end in zeros, around a level other than 0."""
    rng, times = np.random.default_rng(0), np.arange(round(seconds * 16000)) / 16000
    tones = np.sin(2 * np.pi * 300 * times * (1 + times)) + 0.3 * np.sin(2 * np.pi * 2500 * times)
    return (0.1 + 0.3 * tones + 3e-4 * rng.standard_normal(len(times))).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.4, 0.995, 1.3])
def test_features_are_those_of_transformers(seconds: float) -> None:
    """Of sounds that are padded, that fit, and that are cut."""
    from transformers import ASTFeatureExtractor

    theirs = ASTFeatureExtractor(**SIZES)
    options = settled(theirs.to_dict(), {"model_type": extractor.SPECTROGRAMS})
    reader = Reader({**options, "in_graph": "none"})
    samples = heard(seconds)
    expected = theirs(samples, sampling_rate=16000, return_tensors="np")["input_values"]
    kept = reader.samples(samples)[None]
    assert reader.shape == (98, 64)
    np.testing.assert_allclose(reader.feed(kept), expected, atol=1e-6)
    front = LogMel(options).eval()
    np.testing.assert_allclose(front(torch.from_numpy(kept)).numpy(), expected, atol=1e-4)


def test_less_is_read_than_the_model_takes() -> None:
    """A second, for a model of more: the rest of its frames are no sound."""
    from transformers import ASTFeatureExtractor

    theirs = ASTFeatureExtractor(num_mel_bins=32, max_length=128, do_normalize=False)
    said = extractor.read(theirs.to_dict(), {"model_type": extractor.SPECTROGRAMS})
    options = AudioSpec.model_validate({**said, "seconds": 1}).model_dump()
    samples = heard(1)
    expected = theirs(samples, sampling_rate=16000, return_tensors="np")["input_values"]
    found = LogMel(options).eval()(torch.from_numpy(samples[None])).numpy()
    assert found.shape == (1, 128, 32) and not found[:, 98:].any()
    np.testing.assert_allclose(found, expected, atol=1e-3)
    silence = LogMel(options).eval()(torch.zeros(1, 16000))
    assert not silence.any()


def test_its_file_is_read_and_written() -> None:
    config = {"model_type": extractor.SPECTROGRAMS, "num_mel_bins": 64, "max_length": 98}
    alone = settled({}, config)
    assert (alone["mels"], alone["frames"], alone["seconds"], alone["rate"]) == (64, 98, 0.995, 16000)
    written = extractor.to_json(AudioSpec.model_validate(alone))
    assert written["feature_extractor_type"] == extractor.EXTRACTOR and written["max_length"] == 98
    assert settled(written, {}) == alone
    plain = settled({**written, "do_normalize": False}, config)
    assert (plain["mean"], plain["std"]) == (0, 1)
    assert extractor.to_json(AudioSpec.model_validate({**alone, "hop": 0.02})) == {}
    assert extractor.to_json(AudioSpec()) == {}


def test_the_whole_chain(ast: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    noise = {"shift": [0.1], "snr": [10, 30], "masking": 0.1}
    stages = (
        {**chain.STAGES[0], "epochs": 6, **noise},
        {**chain.STAGES[1], "parameters": 0.7},
        chain.STAGES[2],
        {**chain.STAGES[3], "scheme": "int8-static"},
    )
    place = recipe(tmp_path, (240, 60, 60), audio={}, model=str(ast), stages=stages)
    api.run(place, output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    rows = results["stages"]
    assert all(row["metrics"]["test"]["accuracy"] > 0.8 for row in rows), rows
    assert {cut["kind"] for cut in rows[1]["details"]["plan"]["cuts"]} == {"heads", "ffn"}
    plan = rows[-1]["details"]["candidates"][0]["plan"]
    assert len(plan["quantized"]) == 14 and not [name for name in plan["quantized"] if name.startswith("front")]
    assert api.verify(api.pack(tmp_path / "run", output=tmp_path / "bundle").path).holds
    contract = json.loads((tmp_path / "bundle" / "contract.json").read_bytes())
    assert contract["preparation"]["features"] == "none" and not contract["preparation"]["normalise"]
    assert contract["inputs"][0]["shape"][1:] == [1180]
    # A device sends samples, and gets the same answers.
    model = tmp_path / "run" / "model.onnx"
    source = find(model, kind=None, inputs=[Value("input_values", "float32", ("batch", 1180))])
    device, ask = Pipeline(str(source.folder), source.options), file_run({"model": model})
    files = sorted((tmp_path / "sounds" / "test").rglob("*.wav"))
    told = [device.after(ask(device.before({"audio": str(file)}))) for file in files]
    right = np.mean([answer["label"] == file.parent.name for answer, file in zip(told, files, strict=True)])
    assert right == pytest.approx(rows[-1]["metrics"]["test"]["accuracy"])
    # The file may be taken up again as it is.
    file = onnx_file.resolve(OnnxSpec(onnx=str(model)), tmp_path)
    said = TASK.contract([], TASK.implied(file, {}))
    assert (said.options["features"], said.options["seconds"], said.options["frames"]) == ("none", 0.295, None)
    assert TASK.check_model(file, said) == []


@pytest.mark.parametrize("name", ["audio-classification", "audio-multi-task"])
def test_what_is_kept_reads_alike(name: str, ast: Path, tmp_path: Path) -> None:
    task: Any = registry.task(name)
    rows = (tiny.headed_sounds if "multi" in name else tiny.sounded)(16)
    said = task.contract(rows, task.implied(ast, {}))
    model, widths = taken_round(task, ast, rows, said, tmp_path)
    assert {width.kind for width in widths} >= {"heads", "ffn"}
    theirs = checkpoint.read_json(tmp_path / "model" / "preprocessor_config.json")
    assert theirs["feature_extractor_type"] == extractor.EXTRACTOR and theirs["std"] == pytest.approx(4.5689974)
    assert task.contract(rows, task.implied(tmp_path / "model", {})).options == said.options
    with adapted(model, ResolvedTraining(unfreeze="lora", lora_rank=2), seed=0):
        trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert any(".q_proj.lora_A" in name for name in trained) and "classifier.dense.weight" in trained
    assert not any("embeddings" in name for name in trained)


def test_what_does_not_fit(ast: Path) -> None:
    config = checkpoint.read_json(ast / "config.json")

    def wrong(**audio: Any) -> str:
        return str(TASK.misfits(config, TASK.contract([], TASK.implied(ast, {"audio": audio}))))

    assert wrong() == "[]"
    assert "data.audio.mels: must be 16 for this model, got 20" in wrong(mels=20)
    assert "data.audio.frames: must be 28 for this model, got 30" in wrong(frames=30)
    assert "data.audio.hop: must be 0.01 for this model, got 0.02" in wrong(hop=0.02)
    with pytest.raises(InputError, match="in_graph must be matmul"):
        wrong(in_graph="none")
    with pytest.raises(InputError, match="unless features is fbank"):
        wrong(features="mel")
    with pytest.raises(InputError, match="normalise must be false"):
        wrong(normalise=True)


def test_a_net_of_ones_own_may_read_them(tmp_path: Path) -> None:
    reading = {"rate": 4000, "seconds": 0.25, "features": "fbank", "mels": 16, "in_graph": "matmul"}
    said = TASK.contract([], {"audio": reading})
    processor = Listening(said.options)
    samples = np.stack([processor.kept(row["audio"]) for row in tiny.sounded(2)])
    fed = processor.fed(samples)
    assert fed.shape == (2, *Reader({**said.options, "in_graph": "none"}).shape)
    np.testing.assert_allclose(LogMel(said.options).eval()(torch.from_numpy(samples)), fed, atol=1e-4)
    assert processor.sent(samples) is samples or np.array_equal(processor.sent(samples), samples)
