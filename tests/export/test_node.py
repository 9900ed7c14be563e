"""The kit for Node.js, run as a person runs it: equal answers, golden rows, refusals, figures that gate."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgesft.cli.main import main
from edgesft.measure.recording import recordings
from tests.export.reference import Reference, same
from tests.export.script import installed, node
from tests.export.test_js import NASTY, random_texts
from tests.ship import runs
from tests.ship.test_kinds import packed, renewed, test_words

pytestmark = pytest.mark.kits

Kit = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ("--samples", "60", "--seconds", "0.2", "--rounds", "3", "--warmup-seconds", "0.2")

CHROMIUM = Path("/usr/lib/chromium")
SWIFTSHADER = CHROMIUM / "vk_swiftshader_icd.json"
"""Debian's chromium brings a GPU in software, whose driver Vulkan programs can load, and Vulkan's own library."""


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Kit:
    """Runs `node kit.mjs …`."""
    program = [node(), str(installed("node", tmp_path_factory.mktemp("node")) / "kit.mjs")]

    def run(*words: object, code: int | None = 0, **more: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*program, *map(str, words)], capture_output=True, text=True, timeout=120, **more)
        assert code is None or done.returncode == code, done.stderr
        return done

    return run


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("kind", ["text", "image", "stream"])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_golden_rows(kit: Kit, made: Path, kind: str, form: str) -> None:
    done = kit(made / kind / form, "--golden")
    assert "golden rows: hold" in done.stdout
    assert kind != "text" or "5 texts become the tokens" in done.stdout


@pytest.mark.parametrize("variant", ["fp32", "fp32-static", "fp32-ort"])
def test_texts(kit: Kit, made: Path, variant: str) -> None:
    rows = [json.loads(line)["text"] for line in (made / "text/rows.jsonl").read_text("utf-8").splitlines()]
    texts = [*rows, *NASTY, *random_texts(30)]
    asked = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    answers = lines(kit(made / "text/bundle", "--rows", "--variant", variant, input=asked))
    reference = Reference(made / "text/bundle")
    for text, mine in zip(texts, answers, strict=True):
        same(mine, reference({"text": text}))


def pictures(made: Path, folder: Path) -> Iterator[Path]:
    """Pictures of every form that the reference reads, and one for the turn that its EXIF asks for."""
    from PIL import Image

    yield from sorted((made / "image/rows").glob("*/*.png"))[::8]
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (24, 40, 3), np.uint8)).resize((90, 70), Image.Resampling.BICUBIC)
    turned = Image.Exif()
    turned[0x0112] = 6
    opacity = np.dstack([np.asarray(noise), rng.integers(0, 256, (70, 90), np.uint8)])
    made_of = {
        "plain.png": (noise, {}),
        "grey.png": (noise.convert("L"), {}),
        "palette.png": (noise.convert("P"), {}),
        "opacity.png": (Image.fromarray(opacity), {}),
        "deep.png": (Image.fromarray(rng.integers(0, 65536, (30, 20)).astype(np.uint16)), {}),
        "half.jpg": (noise, {"quality": 80}),
        "whole.jpg": (noise, {"quality": 95, "subsampling": 0}),
        "slow.jpg": (noise, {"progressive": True}),
        "grey.jpg": (noise.convert("L"), {}),
        "turned.jpg": (noise, {"exif": turned}),
        "small.webp": (noise, {"quality": 70}),
        "plain.ppm": (noise, {}),
        "plain.pgm": (noise.convert("L"), {}),
    }
    for name, (picture, options) in made_of.items():
        picture.save(folder / name, **options)
        yield folder / name


def test_pictures(kit: Kit, made: Path, tmp_path: Path) -> None:
    files = list(pictures(made, tmp_path))
    asked = [word for file in files for word in ("--file", str(file))]
    answers, reference = lines(kit(made / "image/bundle.zip", *asked)), Reference(made / "image/bundle")
    for file, mine in zip(files, answers, strict=True):
        assert mine["file"] == str(file)
        same(mine, reference({"image": str(file)}))


def test_a_stream(kit: Kit, made: Path) -> None:
    reference = Reference(made / "stream/bundle")
    for file in sorted((made / "stream/rows").glob("*/*.wav"))[:3]:
        answers, expected = lines(kit(made / "stream/bundle", "--file", file)), list(reference.stream(file))
        assert len(expected) == 6
        for mine, theirs in zip(answers, expected, strict=True):
            same(mine, theirs)


def test_weights_beside_the_model(kit: Kit, tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    file = str(run / "model.onnx")
    onnx.save(runs.model(), file, save_as_external_data=True, location="model.onnx.data", size_threshold=1024)
    renewed(run)
    bundle = packed(run)
    runs.zipped(list(runs.contents(bundle).items()), tmp_path / "b.zip")
    for path in (bundle, tmp_path / "b.zip"):
        assert "hold (5)" in kit(path, "--golden").stdout


def test_what_is_changed_is_refused_by_name(kit: Kit, made: Path, tmp_path: Path) -> None:
    broken = runs.copy(made / "text/bundle", tmp_path / "b")
    runs.flip(broken / "models/fp32/model.onnx")
    (broken / "extra.bin").write_bytes(b"x")
    done = kit(broken, code=1)
    assert "models/fp32/model.onnx: must have sha256" in done.stderr and "extra.bin: must be a file of" in done.stderr
    assert not done.stdout


def test_other_weights_are_found_by_the_golden_rows(kit: Kit, made: Path, tmp_path: Path) -> None:
    broken = runs.copy(made / "text/bundle", tmp_path / "b")
    onnx.save(runs.model(seed=7), str(broken / "models/fp32/model.onnx"))
    runs.seal(broken)
    done = kit(broken, "--golden", code=1)
    assert "models/fp32/model.onnx: 'logits' must be within 0.001" in done.stderr and "fail (5)" in done.stdout


def test_another_tokenizer_is_found_by_the_golden_rows(kit: Kit, made: Path, tmp_path: Path) -> None:
    broken = runs.copy(made / "text/bundle", tmp_path / "b")
    runs.edit(broken / "processor/tokenizer.json", lambda said: said.update(added_tokens=[]))
    runs.edit(broken / "processor/tokenizer.json", lambda said: said["model"]["vocab"].update(film=9, the=8))
    runs.seal(broken)
    assert "golden.json: '" in kit(broken, "--golden", code=1).stderr


@pytest.mark.parametrize("kind", ["text", "stream"])
def test_figures_gate(kit: Kit, made: Path, tmp_path: Path, kind: str) -> None:
    device, budget = tmp_path / "device.jsonl", tmp_path / "budget.yaml"
    device.write_text("".join(kit(made / kind / "bundle.zip", "--measure", *QUICK).stdout for _ in range(2)), "utf-8")
    first, second = recordings(device)
    assert first.measurement.threads == 1 and first.measurement.provider == "CPUExecutionProvider"
    assert sum(map(len, second.measurement.rounds)) >= 60 and len(second.measurement.rounds) == 3
    assert first.measurement.states == ({"state": "state_out"} if kind == "stream" else {})
    assert first.measurement.peak_memory_bytes > first.measurement.baseline_memory_bytes > 0
    model = str(made / kind / "bundle/models/fp32/model.onnx")
    for limit, code in ((1000, 0), (1e-6, 1)):
        budget.write_text(f"version: 1\nprofile: x86-1-thread\nlatency_ms: {{p50: {limit}}}\npeak_memory_mb: 4000\n")
        command = ["check", model, "--budget", str(budget), "--measurements", str(device), "--quiet"]
        assert main(command) == code


@pytest.mark.parametrize("kind", ["text", "image", "stream"])
def test_webgpu_in_software(kit: Kit, made: Path, tmp_path: Path, kind: str) -> None:
    """Its answers are a GPU's, and its times are none."""
    if not SWIFTSHADER.is_file():
        pytest.skip(f"{SWIFTSHADER} is not here: apt-get install chromium")
    here = {**os.environ, "LD_LIBRARY_PATH": str(CHROMIUM), "VK_DRIVER_FILES": str(SWIFTSHADER)}
    here["XDG_RUNTIME_DIR"] = str(tmp_path)
    assert "hold (5)" in kit(made / kind / "bundle", "--golden", "--provider", "webgpu", env=here).stdout
    done = kit(made / kind / "bundle", "--measure", *QUICK, "--provider", "webgpu", env=here)
    (tmp_path / "device.jsonl").write_text(done.stdout, "utf-8")
    (found,) = recordings(tmp_path / "device.jsonl")
    assert "software in place of a GPU" in found.measurement.simulated and found.measurement.rounds == ()
    assert found.measurement.provider == "WebGpuExecutionProvider"


def test_without_a_gpu_nothing_runs_in_its_place(kit: Kit, made: Path) -> None:
    here = {**os.environ, "VK_DRIVER_FILES": "/nothing"}
    done = kit(made / "text/bundle", "--golden", "--provider", "webgpu", env=here, code=None)
    assert done.returncode == 4 and "webgpu" in done.stderr.lower() and "hold" not in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "node kit.mjs BUNDLE"),
        (("{text}", "--threads", "no"), "--threads must be a number above 0, got 'no'"),
        (("{text}", "--provider", "tpu"), "provider must be one of cpu"),
        (("{text}", "--so"), "--so"),
        (("/nothing",), "must be a folder or an archive that exists, got '/nothing'"),
        (("{text}", "--variant", "int3"), "variant must be one of fp32"),
        (("{image}", "--file", "{text}/golden.json"), "must be a picture"),
        (("{stream}", "--file", "{text}/golden.json"), "must be a WAV file"),
        (("{image}", "--text", "a"), "a row must have 'picture', got text"),
        (("{image}", "--file", "/nothing.png"), "must be a file that can be read, got '/nothing.png'"),
    ],
)
def test_what_is_said_wrongly(kit: Kit, made: Path, words: tuple[str, ...], message: str) -> None:
    places = {kind: str(made / kind / "bundle") for kind in ("text", "image", "stream")}
    done = kit(*(word.format(**places) for word in words), code=2)
    assert message in done.stderr and "    at " not in done.stderr


def test_a_task_that_the_kit_has_not(kit: Kit, tmp_path: Path) -> None:
    test_words(tmp_path)
    assert "preparation.kind must be one of" in kit(tmp_path / "bundle", code=1).stderr


def test_without_the_packages_that_may_be_missing(made: Path, tmp_path: Path) -> None:
    """BERT's tokenizer, PPM and WAV need none."""
    folder = installed("node", tmp_path)
    (tmp_path / "node_modules").unlink()
    (tmp_path / "node_modules").mkdir()
    from tests.export.script import PACKAGES

    for each in (PACKAGES / "node/node_modules").iterdir():
        if each.name not in ("sharp", "@img", "@huggingface"):
            (tmp_path / "node_modules" / each.name).symlink_to(each)
    shutil.copy(next((made / "image/rows").glob("*/*.png")), tmp_path / "x.png")

    def run(*words: object) -> str:
        done = subprocess.run([node(), folder / "kit.mjs", *words], capture_output=True, text=True)
        return done.stdout + done.stderr

    assert "hold (5)" in run(made / "text/bundle", "--golden")
    assert "must be PPM or PGM where the package sharp" in run(made / "image/bundle", "--file", tmp_path / "x.png")
