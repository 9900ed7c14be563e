"""The kit in C++ as a program: golden rows, latency, what it refuses, and what sanitizers say of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from edgesft.cli.main import main
from edgesft.measure.recording import recordings
from tests.export import bundles, detector, native, test_python_attacks
from tests.export.kinds import Made
from tests.export.native import program
from tests.export.test_cpp import SOURCE, same
from tests.export.test_python_tokens import texts
from tests.ship import runs


def test_streams(made: dict[str, Path], run: Callable[..., Any], tmp_path: Path) -> None:
    import kit

    theirs = kit.open_bundle(made["stream"])
    for file in sorted((made["stream"].parent / "rows").rglob("*.wav")):
        frames = bundles.framed(soundfile.read(file, dtype="float32")[0])
        np.savez(tmp_path / "f.npz", frame=frames)
        same(json.loads(run(made["stream"], "--file", tmp_path / "f.npz").stdout), theirs.answer({"frame": frames}))


@pytest.mark.parametrize("kind", ["text", "image", "stream"])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_golden_rows_and_latency(
    kind: str, form: str, made: dict[str, Path], run: Callable[..., Any], tmp_path: Path
) -> None:
    bundle = made[kind].parent / form
    assert "hold" in run(bundle, "--golden").stderr
    short = ("--samples", 60, "--seconds", 0.02, "--rounds", 5, "--warmup-seconds", 0.02)
    lines, budget = tmp_path / "device.jsonl", tmp_path / "budget.yaml"
    lines.write_text(run(bundle, "--measure", *short).stdout)
    assert len(recordings(lines)) == 1
    for limit, code in ((1000.0, 0), (1e-6, 1)):
        budget.write_text(f"version: 1\nprofile: x86-1-thread\nlatency_ms: {{p50: {limit}}}\n")
        words = ["check", made[kind] / "models/fp32/model.onnx", "--budget", budget, "--measurements", lines]
        assert main([str(word) for word in words]) == code


def test_a_golden_row_that_is_answered_otherwise(
    made: dict[str, Path], run: Callable[..., Any], tmp_path: Path
) -> None:
    spoilt = runs.copy(made["text"], tmp_path / "b")

    def shift(said: Any) -> None:
        said["rows"][0]["row"]["text"] = "another text"
        for outputs in said["rows"][1]["outputs"].values():
            outputs["logits"] = runs.packed(np.asarray([[5.0, -5.0]], np.float32))

    runs.edit(spoilt / "golden.json", shift)
    runs.seal(spoilt)
    told = run(spoilt, "--golden", code=1).stderr
    assert "'logits' must be within 0.001" in told and "golden row 1: input_ids" in told


def test_fixed_sizes(made: dict[str, Path], run: Callable[..., Any], tmp_path: Path) -> None:
    fixed = runs.copy(made["text"], tmp_path / "b")

    def prefer(said: dict[str, Any]) -> None:
        said["variants"] = [each | {"providers": ["*"]} for each in said["variants"] if each["static"]]

    runs.seal(fixed, prefer)
    assert "hold" in run(fixed, "--golden").stderr
    same(*(json.loads(run(each, "--text", "a lovely film").stdout) for each in (fixed, made["text"])))


def test_spoilt_folders(made: dict[str, Path], run: Callable[..., Any], tmp_path: Path) -> None:
    """Those that the kit in Python refuses, refused with the same file named."""
    for place, (spoil, told) in enumerate(test_python_attacks.FOLDERS.values()):
        bundle = runs.copy(made["text"], tmp_path / str(place))
        spoil(bundle)
        assert told.partition(":")[0].split(" must")[0] in run(bundle, code=1).stderr


def test_spoilt_archives(made: dict[str, Path], run: Callable[..., Any], tmp_path: Path) -> None:
    whole = (made["text"].parent / "bundle.zip").read_bytes()
    for spoil, told in test_python_attacks.ARCHIVES.values():
        (tmp_path / "b.zip").write_bytes(spoil(whole))
        assert told.partition(":")[0] in run(tmp_path / "b.zip", code=1).stderr
    files = list(runs.contents(made["text"]).items())
    for order in (files[::-1], [*files, files[-1]], [("../x", b"x"), *files]):
        runs.zipped(order, tmp_path / "b.zip")
        assert "must" in run(tmp_path / "b.zip", code=1).stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nowhere"], 2, "bundle must be a folder or an archive"),
        (["{text}", "--file", "nowhere"], 2, "rows as JSON lines"),
        (["{text}", "--question", "why?", "--text", "x"], 2, "--question"),
        (["{image}", "--text", "x"], 2, "--file"),
        (["{image}", "--file", "{text}/contract.json"], 2, "PPM"),
        (["{text}", "--provider", "CUDAExecutionProvider"], 4, "provider must be one"),
        (["{text}", "--threads", "x"], 2, "--threads must be a number"),
        (["{text}", "--dance"], 2, "must have a value"),
        ([], 2, "a bundle must be named"),
        (["{text}", "--runtime", "/nowhere.so"], 4, "cannot be opened"),
    ],
)
def test_what_cannot_be_done(
    words: list[str], code: int, told: str, made: dict[str, Path], run: Callable[..., Any]
) -> None:
    assert told in run(*(word.format(**made) for word in words), code=code).stderr


@pytest.mark.slow
def test_under_the_sanitizers(
    made: dict[str, Path], streamed: dict[str, Path], runs_of: dict[str, Made], tmp_path: Path
) -> None:
    """Nothing is read or written where nothing is, and nothing undefined is done, as two sanitizers have it."""
    flags = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    kit = native.made(SOURCE, tmp_path / "out", "kit", CXXFLAGS=flags) / "kit"
    for bundle in (*made.values(), *(each.bundle for each in runs_of.values())):
        program(kit, [bundle, "--golden"], 0)
    for text in texts(40, ["the", "film"], seed=8):
        if "\0" not in text:
            program(kit, [made["text"], "--text", text], 0)
    for place, (spoil, _) in enumerate(test_python_attacks.FOLDERS.values()):
        bundle = runs.copy(made["text"], tmp_path / str(place))
        spoil(bundle)
        program(kit, [bundle], 1)
    detected = detector.boxes(tmp_path / "boxes", ["cat", "dog"], iou=0.5, most=9, least_score=0.1)
    program(kit, [detected, "--golden"], 0)
    np.savez(tmp_path / "row.npz", **detector.rows(2, seed=1))
    program(kit, [detected, "--file", tmp_path / "row.npz"], 0)
    for bundle in streamed.values():
        file = bundle.parent / "rows" / "noisy.wav"
        program(kit, [bundle, "--golden", "--file", file, "--output", tmp_path / "out.wav"], 0)
    for shape in ((1, 1, 3), (300, 2, 3), (2, 300, 3)):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "p.ppm")
        program(kit, [made["image"], "--file", tmp_path / "p.ppm"], 0)
    program(kit, [runs_of["sounds"].bundle, "--file", runs_of["sounds"].rows[0]["audio"]], 0)


def test_models_of_several_graphs_are_refused(
    run: Any, made: dict[str, Path], said: dict[str, Path], tmp_path: Path
) -> None:
    several = runs.copy(made["text"], tmp_path / "b")
    runs.edit(several / "contract.json", lambda told: told.update(graphs={}))
    runs.seal(several)
    assert "got a model of several" in run(several, code=1).stderr
    for bundle in said.values():
        run(bundle, code=1)
