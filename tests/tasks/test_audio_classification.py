"""Sounds: read as the contract says, learnt, compressed, answered alike by the device's own code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgesft import api
from edgesft.data.media.audio import Pipeline
from edgesft.errors import InputError
from edgesft.measure.pipelines import find
from edgesft.measure.replies import Value
from edgesft.pipeline.check import check
from edgesft.progress import Progress
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export import export_onnx, file_of
from edgesft.stages.export.checks import file_run, parity
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.layout import Width
from edgesft.tasks.audio_classification import AudioClassification, Listening
from edgesft.tasks.augmentation import distortion
from edgesft.tasks.contract import Contract
from edgesft.train import checkpoint
from edgesft.train.batches import changed
from tests import chain, tiny

pytest.importorskip("soundfile")

HERE = Path(__file__).parent
TASK = AudioClassification()
READING = {"rate": tiny.RATE, "seconds": 0.25, "mels": 16, "hop": 0.008}


def recipe(folder: Path, counts: tuple[int, int, int] = (80, 20, 20), *, audio: Any = READING, **changes: Any) -> Path:
    data: dict[str, Any] = {"audio": audio}
    for seed, (name, count) in enumerate(zip(("train", "validation", "test"), counts, strict=True)):
        tiny.save_sounds(folder / "sounds" / name, tiny.sounded(count, seed))
        data[name] = "sounds"
    model = {"factory": "nets:image", "path": str(HERE)}
    changes = {"data": data, "model": model, "budget": {"size_ratio": 0.95}, **changes}
    return chain.write(folder, HERE, task="audio-classification", **changes)


def test_the_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    noise = {"shift": [0.1], "snr": [10, 30], "masking": 0.2}
    stages = (
        {**chain.STAGES[0], "epochs": 6, "learning_rate": 1.0e-2, **noise},
        {**chain.STAGES[1], "parameters": 0.6, "channel_multiple": 1, "learning_rate": 5.0e-3},
        {**chain.STAGES[2], "hidden_weight": 0, "learning_rate": 1.0e-3, "mixup": 0.3, "shift": "auto"},
        {**chain.STAGES[3], "scheme": "int8-static"},
    )
    place = recipe(tmp_path, (240, 60, 60), stages=stages)
    api.run(place, output=tmp_path / "run", progress=Progress(quiet=True))
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert [row["stage"] for row in results["stages"]] == ["finetune", "prune", "distill", "quantize"]
    assert all(row["metrics"]["test"]["accuracy"] > 0.8 for row in results["stages"]), results["stages"]
    assert results["stages"][-1]["size_bytes"] < results["stages"][0]["size_bytes"]
    # The device's own code, with what ships beside the model, makes the same answers of the same files.
    model = tmp_path / "run" / "model.onnx"
    source = find(model, kind=None, inputs=[Value("x", "float32", ("batch", 1, 28, 16))])
    device, ask = Pipeline(str(source.folder), source.options), file_run({"model": model})
    files = sorted((tmp_path / "sounds" / "test").rglob("*.wav"))
    told = [device.after(ask(device.before({"audio": str(file)}))) for file in files]
    right = np.mean([answer["label"] == file.parent.name for answer, file in zip(told, files, strict=True)])
    assert right == pytest.approx(results["stages"][-1]["metrics"]["test"]["accuracy"])


def test_sounds_at_another_rate_are_converted_and_told(tmp_path: Path) -> None:
    place = recipe(tmp_path)
    tiny.save_sounds(tmp_path / "sounds" / "train", tiny.sounded(2, seed=7), rate=8000)
    warnings = check(place).warnings
    assert "data.train: 2 of 80 sounds have 8000 samples per second and are converted to 4000" in warnings
    (tmp_path / "sounds" / "train" / "rising" / "0001.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match=r"data.train: 1 of 80 sounds \(1.25%\) cannot be read"):
        check(place)


def test_noise_before_and_after_the_bands() -> None:
    rows = tiny.sounded(16)
    said = TASK.contract(rows, {"input": "x", "audio": READING})
    processor = Listening(said.options)
    examples = TASK.encode(rows, processor, said)
    still = changed(TASK, examples, processor, ResolvedTraining(), np.random.default_rng(0))
    assert still["x"].shape == (16, *processor.reader.shape)
    for noise in ({"shift": (0.2,)}, {"snr": (0.0, 10.0)}, {"mixup": 0.5}, {"masking": 0.5}):
        found = changed(TASK, examples, processor, ResolvedTraining(**noise), np.random.default_rng(0))
        again = changed(TASK, examples, processor, ResolvedTraining(**noise), np.random.default_rng(0))
        assert (found["x"] != still["x"]).any() and (found["x"] == again["x"]).all(), noise
        assert found["x"].dtype == np.float32 and (found["labels"] == still["labels"]).all()
    # Batches that were changed go through as examples again.
    split = [{name: values[row] for name, values in still.items()} for row in range(2)]
    assert (TASK.collate(split, processor)["x"] == still["x"][:2]).all()


def test_noise_has_the_ratio_that_was_asked() -> None:
    samples = np.sin(np.arange(4000) / 3).astype(np.float32)[None] * np.ones((8, 1), np.float32)
    found = distortion.drowned(samples, (20.0, 20.0), np.random.default_rng(0))
    ratio = 10 * np.log10((samples**2).mean(1) / ((found - samples) ** 2).mean(1))
    np.testing.assert_allclose(ratio, 20, atol=0.1)
    silence = np.zeros((2, 100), np.float32)
    assert not distortion.drowned(silence, (20.0, 20.0), np.random.default_rng(0)).any()
    moved = distortion.delayed(samples, 0.5, np.random.default_rng(0))
    assert ((moved[:, 0] == 0) | (moved[:, -1] == 0)).any()


def test_models_of_transformers_read_samples(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}), "utf-8")
    said = {"sampling_rate": 8000, "do_normalize": False}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(said), "utf-8")
    options = TASK.contract([], TASK.implied(tmp_path, {})).options
    assert (options["features"], options["rate"], options["normalise"]) == ("none", 8000, False)
    asked = TASK.contract([], TASK.implied(tmp_path, {"audio": {"features": "mel"}}))
    assert "data.audio.features: must be none" in str(TASK.misfits({"model_type": "wav2vec2"}, asked)[0])
    other = TASK.misfits({"model_type": "whisper"}, TASK.contract([], {"audio": {"features": "none"}}))
    assert "must read samples or Kaldi's features, got model_type 'whisper'" in str(other[0])


def test_an_encoder_of_samples_is_made_plain_and_exported(tmp_path: Path) -> None:
    """Its weight normalisation becomes weights, which pruning and quantization can follow."""
    import torch
    from transformers import Wav2Vec2Config, Wav2Vec2Model

    torch.manual_seed(0)
    config = Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, conv_dim=[16, 16],
        conv_stride=[5, 4], conv_kernel=[10, 8], num_feat_extract_layers=2, num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2, vocab_size=8, classifier_proj_size=16,
    )  # fmt: skip
    Wav2Vec2Model(config).save_pretrained(tmp_path)
    rows = tiny.sounded(12)
    said = TASK.contract(rows, TASK.implied(tmp_path, {"audio": {"rate": tiny.RATE, "seconds": 0.25}}))
    assert any("feed_forward" in width.name for width in taken_round(TASK, tmp_path, rows, said, tmp_path)[1])


def taken_round(
    task: AudioClassification, source: Path, rows: list[dict[str, Any]], said: Contract, folder: Path
) -> tuple[Any, list[Width]]:
    """A model, which answers alike after it was kept, loaded and exported, and what of it can shrink."""
    import torch

    processor = task.load_processor(source, said)
    assert task.check_model(source, said) == []
    examples = task.encode(rows, processor, said)
    model = task.load_model(source, said)
    checkpoint.save(model, folder / "model", processor, said)
    again = checkpoint.load(folder / "model", task)
    graphs = export_onnx(again, task, processor, examples, said, folder / "onnx", opset=20)
    files = {graph.name: file_of(graph, folder / "onnx") for graph in graphs}
    assert parity(files, graphs, task, processor, examples).difference < 1e-4
    batch = {"input_values": torch.from_numpy(task.collate(examples[:2], processor)["input_values"])}
    return model, list(find_widths(model, trace(model, batch, task.logits)).widths)
