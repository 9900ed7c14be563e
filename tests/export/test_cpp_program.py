"""The kit in C++ as a program: golden rows, latency, what it refuses, and what sanitizers say of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from edgesft.cli.main import main
from edgesft.measure.recording import recordings
from tests.export import (
    bundles,
    detector,
    native,
    test_cpp_tokens,
    test_js_writing,
    test_python_attacks,
    test_python_tokens,
)
from tests.export.kinds import Made
from tests.export.native import program
from tests.export.test_cpp import same
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
    sanitized: Path,
    made: dict[str, Path],
    streamed: dict[str, Path],
    said: dict[str, Path],
    runs_of: dict[str, Made],
    tmp_path: Path,
) -> None:
    """Nothing is read or written where nothing is, and nothing undefined is done, as two sanitizers have it."""
    kit = sanitized / "kit"
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
    writing(kit, said, tmp_path)


def writing(kit: Path, said: dict[str, Path], folder: Path) -> None:
    """The same of models that write: what they are asked and how, a cache that is full, contracts that do not fit."""
    short = ("--samples", 5, "--seconds", 0, "--rounds", 1, "--warmup-seconds", 0, "--max-tokens", 4)
    for task, bundle in said.items():
        place = folder / task
        place.mkdir()
        asked = [json.dumps(row) + "\n" for row in test_js_writing.rows(task)]
        (place / "rows.jsonl").write_text("".join(asked), "utf-8")
        for words in ((), ("--temperature", 0.9, "--top-k", 20, "--top-p", 0.95, "--seed", 3), ("--temperature", 3)):
            program(kit, [bundle.parent / "bundle.zip", "--golden", "--file", place / "rows.jsonl", *words], 0)
        program(kit, [bundle, "--measure", *short], 0)
        for change in ({"output": "scores"}, {"cache": {}}, {"stop": [], "positions": 40}, {"keep": "input_ids"}):
            other = runs.copy(bundle, place / "-".join(change))
            runs.edit(other / "contract.json", lambda told, change=change: told["decoding"].update(change))
            runs.seal(other)
            command = [kit, "--runtime", native.library(), other, "--text", "what is 1?", "--max-tokens", 60]
            done = subprocess.run([str(word) for word in command], capture_output=True, timeout=120)
            assert done.returncode in (0, 1, 2) and b"Sanitizer" not in done.stderr, done.stderr


@pytest.mark.slow
def test_tokenizers_under_the_sanitizers(tmp_path: Path) -> None:
    ask = test_cpp_tokens.asking(native.compiled("tokens", tmp_path, *native.SANITIZED), tmp_path)
    for name, make in test_python_tokens.KINDS.items():
        if name == "stripped":
            continue
        _, theirs = test_python_tokens.loaded(make(tmp_path))
        asked = texts(200, sorted(theirs.get_vocab()), seed=9)
        told = ask(theirs, [{"text": text} for text in asked])
        assert [each["ids"] for each in told] == [theirs.encode(text).ids for text in asked]
        ask(theirs, [{"ids": each["ids"][place:]} for each in told for place in (0, 1, 2)])
