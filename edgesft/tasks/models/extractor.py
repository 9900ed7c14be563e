"""The file that transformers' feature extractors of sounds leave beside a model, as the options of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesft.spec.media import AudioSpec

SPECTROGRAMS = "audio-spectrogram-transformer"
"""The model type whose extractor makes Kaldi's features."""

EXTRACTOR = "ASTFeatureExtractor"
"""What the file calls that extractor."""

KALDI: Mapping[str, Any] = {
    "features": "fbank",
    "frame": 0.025,
    "hop": 0.01,
    "low": 20.0,
    "high": None,
    "floor": 2.0**-23,
    "coefficients": None,
    "normalise": False,
    "in_graph": "matmul",
}
"""What the extractor's code has and its file does not say (transformers' `ASTFeatureExtractor`)."""

FIXED = (*KALDI, "mels", "frames")
"""Options that are as the extractor's code and the model's configuration have them."""

DEFAULTS: Mapping[str, Any] = {
    "sampling_rate": 16000,
    "num_mel_bins": 128,
    "max_length": 1024,
    "do_normalize": True,
    "mean": -4.2677393,
    "std": 4.5689974,
}
"""What it takes where the file leaves something out; mean and std are AudioSet's."""


def read(said: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """The options that an extractor's file means.

    Args:
        said: What the file holds; empty where there is none.
        config: The model's `config.json`.
    """
    if config.get("model_type") != SPECTROGRAMS and said.get("feature_extractor_type") != EXTRACTOR:
        rate = {"rate": said["sampling_rate"]} if "sampling_rate" in said else {}
        return {"features": "none", "normalise": bool(said.get("do_normalize", True)), **rate}
    sizes = {name: config[name] for name in ("num_mel_bins", "max_length") if name in config}
    known = {**DEFAULTS, **sizes, **said}
    rate, frames = known["sampling_rate"], known["max_length"]
    scale = {"mean": known["mean"], "std": 2 * known["std"]} if known["do_normalize"] else {}
    seconds = round(KALDI["frame"] + (frames - 1) * KALDI["hop"], 6)
    return {**KALDI, "rate": rate, "seconds": seconds, "mels": known["num_mel_bins"], "frames": frames, **scale}


def to_json(audio: AudioSpec) -> dict[str, Any]:
    """What such a file would say of options; none where no extractor of transformers makes such features."""
    alike = {"sampling_rate": audio.rate, "padding_value": 0.0, "feature_size": 1}
    if audio.features == "none":
        return {**alike, "feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": audio.normalise}
    if audio.frames is None or any(getattr(audio, name) != value for name, value in KALDI.items()):
        return {}
    return {
        **alike,
        "feature_extractor_type": EXTRACTOR,
        "num_mel_bins": audio.mels,
        "max_length": audio.frames,
        "do_normalize": True,
        "mean": audio.mean,
        "std": audio.std / 2,
    }
