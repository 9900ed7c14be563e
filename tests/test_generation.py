"""A decoder through the whole chain: fine-tuned, taught by its own sequences, quantized, gated, and asked."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

import edgesft
from edgesft.gate.accuracy import evaluate
from edgesft.gate.artefact import artefact
from edgesft.progress import Progress
from edgesft.spec.profile import ProfileSpec
from tests import chain, tiny


@pytest.mark.slow
def test_an_encoder_decoder_goes_through_the_chain(t5: Path, tmp_path: Path) -> None:
    pytest.importorskip("sacrebleu", reason="needs edgesft[text]")
    learning = {"epochs": 6, "learning_rate": 5.0e-3, "batch_size": 16, "arithmetic": "fp32"}
    recipe = chain.write(
        tmp_path,
        t5,
        rows=tiny.translated(500),
        task="text-to-text",
        data={"train": "train.jsonl", "validation": "dev.jsonl", "test": "test.jsonl", "max_length": 24},
        stages=(
            {"stage": "finetune", **learning},
            {"stage": "distill", **learning, "epochs": 1, "sequences": True, "keep": "always"},
            {"stage": "quantize", "scheme": "int8-dynamic", "keep": "always", "exclude": ["encoder.*.k.*"]},
        ),
        budget={"first_token_ms": {"p50": 1000}, "tokens_per_second": 5, "max_drop": {"log_likelihood": 5, "chrf": 1}},
    )
    quiet = Progress(quiet=True)
    found = edgesft.run(recipe, output=tmp_path / "run", store=tmp_path / "store", progress=quiet)
    (result,) = found.profiles.values()
    assert found.verdict != "fail" and chain.held(result.results["budget"])
    final = result.results["stages"][-1]
    assert final["opening"]["latency_ns"]["p50"] > final["latency_ns"]["p50"] > 0, (
        "reading comes before the first token"
    )
    (chosen,) = final["details"]["candidates"]
    both = chosen["beside"]["encoder"]
    assert [name for name in both["plan"]["excluded"] if name.endswith("SelfAttention.k.MatMul")]
    files = [tmp_path / "run" / f"{name}.onnx" for name in ("encoder", "model")]
    assert chosen["size_bytes"] == sum(file.stat().st_size for file in files)
    assert chosen["size_ratio"] < 0.6
    assert result.results["evaluation"]["averages"]["answers"] == result.results["evaluation"]["rows"]
    assert edgesft.generate(tmp_path / "run", "say 7", 20).answer.tokens
    packed = edgesft.pack(tmp_path / "run", tmp_path / "bundle.zip", progress=quiet)
    assert {"encoder.onnx", "model.onnx"} <= {Path(name).name for name in zipfile.ZipFile(packed.path).namelist()}
    again = evaluate(artefact(tmp_path / "run"), None, ProfileSpec.model_validate(chain.PROFILE), progress=quiet)
    assert again.score(np.arange(len(again.references)))["chrf"] == pytest.approx(final["levels"]["chrf"]["value"])


@pytest.mark.slow
def test_a_decoder_goes_through_the_chain(llama: Path, tmp_path: Path) -> None:
    learning = {"epochs": 2, "learning_rate": 5.0e-3, "batch_size": 16, "arithmetic": "fp32", "packing": True}
    recipe = chain.write(
        tmp_path,
        llama,
        rows=tiny.asked(500),
        task="text-generation",
        data={"train": "train.jsonl", "validation": "dev.jsonl", "test": "test.jsonl", "max_length": 64},
        stages=(
            {"stage": "finetune", **learning},
            {"stage": "distill", **learning, "epochs": 1, "sequences": True, "keep": "always"},
            {"stage": "quantize", "scheme": "int8-dynamic", "keep": "always"},
        ),
        budget={"first_token_ms": {"p50": 1000}, "tokens_per_second": 5, "max_drop": {"log_likelihood": 5}},
    )
    quiet = Progress(quiet=True)
    found = edgesft.run(recipe, output=tmp_path / "run", store=tmp_path / "store", progress=quiet)
    (result,) = found.profiles.values()
    lines = {line["name"]: line for line in result.results["budget"]}
    assert all(lines[name]["value"] > 0 for name in ("first_token_ms.p50", "tokens_per_second"))
    assert found.verdict != "fail" and chain.held(lines.values())
    assert result.results["evaluation"]["averages"]["perplexity"] < 20
    assert result.results["stages"][-1]["opening"]["latency_ns"]["p50"] > 0
    assert edgesft.generate(tmp_path / "run", "what is 7 and 7?", 20).answer.tokens
    packed = edgesft.pack(tmp_path / "run", tmp_path / "bundle.zip", progress=quiet, variants=("model",))
    assert edgesft.verify(packed.path).holds
