"""The kit for Node.js, run as a person runs it: equal answers, golden rows, refusals, figures that gate."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from edgesft.cli.main import main
from edgesft.measure.recording import recordings
from tests.export import bundles, framed, graphs
from tests.export.kinds import Made
from tests.export.same import same
from tests.export.script import installed, node
from tests.export.texts import BLANK, NASTY, random_texts
from tests.ship import runs
from tests.ship.test_kinds import packed, renewed

pytestmark = pytest.mark.kits

Kit = Callable[..., subprocess.CompletedProcess[str]]

QUICK = ("--samples", "60", "--seconds", "0.2", "--rounds", "3", "--warmup-seconds", "0.2")

CHROMIUM = Path("/usr/lib/chromium")
SWIFTSHADER = CHROMIUM / "vk_swiftshader_icd.json"
"""Debian's chromium brings a GPU in software, whose driver Vulkan programs can load, and Vulkan's own library."""


@pytest.fixture
def kit(node_kit: Kit) -> Kit:
    """Runs `node kit.mjs …`."""
    return node_kit


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def reference(bundle: Path, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What the kit in Python answers."""
    from kit import open_bundle

    opened = open_bundle(bundle, ["CPUExecutionProvider"])
    return [opened.answer(row) for row in rows]


def written(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Rows as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def texts(made: Mapping[str, Path]) -> list[dict[str, str]]:
    """Rows of texts, nasty ones among them."""
    rows = [json.loads(line) for line in (made["text"].parent / "rows.jsonl").read_text("utf-8").splitlines()]
    return [{"text": text} for text in (*(row["text"] for row in rows), *NASTY, *random_texts(30))]


def sounds(made: Mapping[str, Path], count: int = 3) -> list[Path]:
    return sorted((made["stream"].parent / "rows").glob("*/*.wav"))[:count]


@pytest.mark.parametrize("kind", ["text", "image", "stream"])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_golden_rows(kit: Kit, made: Mapping[str, Path], kind: str, form: str) -> None:
    done = kit(made[kind].parent / form, "--golden")
    assert "golden rows: hold" in done.stdout
    assert kind != "text" or "5 texts become the tokens" in done.stdout


@pytest.mark.parametrize("variant", ["fp32", "fp32-static", "fp32-ort"])
def test_texts(kit: Kit, made: Mapping[str, Path], tmp_path: Path, variant: str) -> None:
    rows = texts(made)
    asked = written(tmp_path / "rows.jsonl", rows)
    same(lines(kit(made["text"], "--file", asked, "--variant", variant)), reference(made["text"], rows))


@pytest.mark.parametrize("task", ["words", "heads", "sounds"])
def test_other_tasks(kit: Kit, runs_of: Mapping[str, Made], tmp_path: Path, task: str) -> None:
    bundle, rows = runs_of[task].bundle, runs_of[task].rows[:12]
    if task == "sounds":
        asked = [word for row in rows for word in ("--file", row["audio"])]
    else:
        rows = [*rows, {**rows[0], "tokens" if task == "words" else "text": BLANK}]
        asked = ["--file", written(tmp_path / "rows.jsonl", rows)]
    same(lines(kit(bundle, *asked)), reference(bundle, rows))
    assert "hold" in kit(bundle, "--golden").stdout


def pictures(made: Mapping[str, Path], folder: Path) -> Iterator[Path]:
    """Pictures of every form that the reference reads, and one for the turn that its EXIF asks for."""
    from PIL import Image

    yield from sorted((made["image"].parent / "rows").glob("*/*.png"))[::8]
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


def test_pictures(kit: Kit, made: Mapping[str, Path], tmp_path: Path) -> None:
    files = list(pictures(made, tmp_path))
    asked = [word for file in files for word in ("--file", file)]
    answers = lines(kit(made["image"].parent / "bundle.zip", *asked))
    same(answers, reference(made["image"], [{"image": str(file)} for file in files]))


def test_a_stream(kit: Kit, made: Mapping[str, Path], tmp_path: Path) -> None:
    from edgesft.data.media import audio

    size, files = bundles.FRAME, sounds(made)
    samples = [audio.decode(str(file))[0].mean(axis=1).astype(np.float32) for file in files]
    whole = [each[: len(each) // size * size].reshape(-1, size) for each in samples]
    expected = reference(made["stream"], [{"frame": frames} for frames in whole])
    asked = [word for file in files for word in ("--file", file)]
    same(lines(kit(made["stream"], *asked)), expected)
    rows = written(tmp_path / "rows.jsonl", [{"frame": frames.tolist()} for frames in whole])
    same(lines(kit(made["stream"], "--file", rows)), expected)


@pytest.mark.parametrize(
    "changes", [{}, {"features": "samples"}, {"window": 60, "hop": 20}, {"taper": "none", "hop": 64}], ids=repr
)
def test_frames_of_any_settings(kit: Kit, made: Mapping[str, Path], tmp_path: Path, changes: dict[str, Any]) -> None:
    import soundfile

    bundle = framed.echo(made["stream"], tmp_path / "b", **changes)
    other = tmp_path / "other.wav"
    soundfile.write(other, np.random.default_rng(0).uniform(-0.5, 0.5, (3001, 2)), 11025)
    for file in (*sounds(made, 1), other):
        (told,) = lines(kit(bundle, "--file", file, "--output", tmp_path / "clean.wav"))
        (expected,) = reference(bundle, [{"audio": str(file)}])
        samples, rate = soundfile.read(tmp_path / "clean.wav")
        assert (rate, told["rate"], told["samples"]) == (expected["rate"], 4000, len(expected["samples"]))
        np.testing.assert_allclose(samples, expected["samples"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["clean", "voice"])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_models_of_sound_in_frames(
    kit: Kit, streamed: Mapping[str, Path], tmp_path: Path, kind: str, form: str
) -> None:
    import soundfile

    folder = streamed[kind].parent
    bundle, file = folder / form, folder / "rows/noisy.wav"
    assert "golden rows: hold" in kit(bundle, "--golden").stdout
    (told,) = lines(kit(bundle, "--file", file, "--output", tmp_path / "clean.wav"))
    (expected,) = reference(bundle, [{"audio": str(file)}])
    if kind == "voice":
        same(told, expected)
        return
    samples, rate = soundfile.read(tmp_path / "clean.wav")
    assert rate == expected["rate"]
    np.testing.assert_allclose(samples, expected["samples"], rtol=0, atol=1e-6)


def test_weights_beside_the_model(kit: Kit, tmp_path: Path) -> None:
    run = runs.write(tmp_path)
    file = str(run / "model.onnx")
    onnx.save(runs.model(), file, save_as_external_data=True, location="model.onnx.data", size_threshold=1024)
    renewed(run)
    bundle = packed(run)
    runs.zipped(list(runs.contents(bundle).items()), tmp_path / "b.zip")
    for path in (bundle, tmp_path / "b.zip"):
        assert "hold (5)" in kit(path, "--golden").stdout


def test_what_is_changed_is_refused_by_name(kit: Kit, made: Mapping[str, Path], tmp_path: Path) -> None:
    broken = runs.copy(made["text"], tmp_path / "b")
    runs.flip(broken / "models/fp32/model.onnx")
    (broken / "extra.bin").write_bytes(b"x")
    done = kit(broken, "--text", "a", code=1)
    assert "models/fp32/model.onnx: must have sha256" in done.stderr and "extra.bin: must be a file of" in done.stderr
    assert not done.stdout


def test_other_weights_are_found_by_the_golden_rows(kit: Kit, made: Mapping[str, Path], tmp_path: Path) -> None:
    broken = runs.copy(made["text"], tmp_path / "b")
    onnx.save(runs.model(seed=7), str(broken / "models/fp32/model.onnx"))
    runs.seal(broken)
    done = kit(broken, "--golden", code=1)
    assert "models/fp32/model.onnx: 'logits' must be within 0.001" in done.stderr and "fail (5)" in done.stdout


def test_another_tokenizer_is_found_by_the_golden_rows(kit: Kit, made: Mapping[str, Path], tmp_path: Path) -> None:
    broken = runs.copy(made["text"], tmp_path / "b")
    runs.edit(broken / "processor/tokenizer.json", lambda said: said.update(added_tokens=[]))
    runs.edit(broken / "processor/tokenizer.json", lambda said: said["model"]["vocab"].update(film=9, the=8))
    runs.seal(broken)
    assert "must become the same input_ids, got another" in kit(broken, "--golden", code=1).stderr


@pytest.mark.parametrize("kind", ["text", "stream"])
def test_figures_gate(kit: Kit, made: Mapping[str, Path], tmp_path: Path, kind: str) -> None:
    device, budget = tmp_path / "device.jsonl", tmp_path / "budget.yaml"
    device.write_text(
        "".join(kit(made[kind].parent / "bundle.zip", "--measure", *QUICK).stdout for _ in range(2)), "utf-8"
    )
    first, second = recordings(device)
    assert first.measurement.threads == 1 and first.measurement.provider == "CPUExecutionProvider"
    assert sum(map(len, second.measurement.rounds)) >= 60 and len(second.measurement.rounds) == 3
    assert first.measurement.states == ({"state": "state_out"} if kind == "stream" else {})
    assert first.measurement.peak_memory_bytes > first.measurement.baseline_memory_bytes > 0
    model = str(made[kind] / "models/fp32/model.onnx")
    for limit, code in ((1000, 0), (1e-6, 1)):
        budget.write_text(f"version: 1\nprofile: x86-1-thread\nlatency_ms: {{p50: {limit}}}\npeak_memory_mb: 4000\n")
        command = ["check", model, "--budget", str(budget), "--measurements", str(device), "--quiet"]
        assert main(command) in (code, 3)  # 3 where a busy machine was not steady enough.


@pytest.mark.parametrize("kind", ["text", "image", "stream"])
def test_webgpu_in_software(kit: Kit, made: Mapping[str, Path], tmp_path: Path, kind: str) -> None:
    """Its answers are a GPU's, and its times are none."""
    if not SWIFTSHADER.is_file():
        pytest.skip(f"{SWIFTSHADER} is not here: apt-get install chromium")
    here = {**os.environ, "LD_LIBRARY_PATH": str(CHROMIUM), "VK_DRIVER_FILES": str(SWIFTSHADER)}
    here["XDG_RUNTIME_DIR"] = str(tmp_path)
    assert "hold (5)" in kit(made[kind], "--golden", "--provider", "webgpu", env=here).stdout
    done = kit(made[kind], "--measure", *QUICK, "--provider", "webgpu", env=here)
    (tmp_path / "device.jsonl").write_text(done.stdout, "utf-8")
    (found,) = recordings(tmp_path / "device.jsonl")
    assert "software in place of a GPU" in found.measurement.simulated and found.measurement.rounds == ()
    assert found.measurement.provider == "WebGpuExecutionProvider"


def test_without_a_gpu_nothing_runs_in_its_place(kit: Kit, made: Mapping[str, Path]) -> None:
    here = {**os.environ, "VK_DRIVER_FILES": "/nothing"}
    done = kit(made["text"], "--golden", "--provider", "webgpu", env=here, code=None)
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
        (("{stream}", "--file", "{text}/golden.json"), "a row must have 'frame', got rows"),
        (("{stream}", "--file", "{text}.wav"), "must be a file that can be read"),
        (("{image}", "--text", "a"), "--text must be given to a bundle that reads text, got one that reads image"),
        (("{text}", "--text", "a", "--question", "b"), "--question must come with a passage, and with it alone"),
        (("{text}", "--file", "{text}/MODEL_CARD.md"), "must be rows as JSON lines"),
        (("{text}", "--file", "{text}/contract.json"), "a row must have 'text', got decoding"),
        (("{image}", "--file", "/nothing.png"), "must be a file that can be read, got '/nothing.png'"),
    ],
)
def test_what_is_said_wrongly(kit: Kit, made: Mapping[str, Path], words: tuple[str, ...], message: str) -> None:
    places = {kind: str(path) for kind, path in made.items()}
    done = kit(*(word.format(**places) for word in words), code=2)
    assert message in done.stderr and "    at " not in done.stderr


def test_passages(kit: Kit, runs_of: Mapping[str, Made], tmp_path: Path) -> None:
    bundle, rows = runs_of["passages"].bundle, runs_of["passages"].rows
    passages = [row["context"] for row in rows] + [f"{text} the film" for text in (*NASTY[:-3], *random_texts(40))]
    passages += ["😀 a film" * 40, "Ünïcödé 漢字 the  plot\n"]
    asked = [{"question": "the mood", "context": passage} for passage in passages]
    got = lines(kit(bundle, "--file", written(tmp_path / "rows.jsonl", asked)))
    same(got, reference(bundle, asked))
    (one,) = lines(kit(bundle, "--question", "the mood", "--text", passages[0]))
    assert one == got[0] and "hold" in kit(bundle, "--golden").stdout
    done = kit(bundle, "--question", "the film " * 20, "--text", "x", code=2)
    assert "must leave more than 4 tokens" in done.stderr


@pytest.mark.parametrize(("part", "kind"), [("preparation", "items"), ("decoding", "latent")])
def test_tasks_of_other_kits(kit: Kit, made: Mapping[str, Path], tmp_path: Path, part: str, kind: str) -> None:
    bundle = runs.copy(made["text"], tmp_path / "b")
    runs.edit(bundle / "contract.json", lambda said: said[part].update(kind=kind))
    runs.seal(bundle)
    told = f"this kit does not answer models for text-classification, which need {part} '{kind}'"
    assert told in kit(bundle, code=4).stderr
    runs.edit(bundle / "contract.json", lambda said: said[part].update(kind="constructor"))
    runs.seal(bundle)
    assert f"{part}.kind must be one of" in kit(bundle, code=1).stderr


def test_what_a_bundle_is(kit: Kit, made: Mapping[str, Path]) -> None:
    (told,) = lines(kit(made["text"]))
    assert told == {
        **{"name": "mood", "version": 1, "task": "text-classification", "labels": ["negative", "positive"]},
        **{"reads": "text", "variant": "fp32", "provider": "CPUExecutionProvider"},
    }


def test_without_the_packages_that_may_be_missing(made: Mapping[str, Path], tmp_path: Path) -> None:
    """BERT's tokenizer, PPM and WAV need none."""
    folder = installed("node", tmp_path)
    (tmp_path / "node_modules").unlink()
    (tmp_path / "node_modules").mkdir()
    from tests.export.script import PACKAGES

    for each in (PACKAGES / "node/node_modules").iterdir():
        if each.name not in ("sharp", "@img", "@huggingface"):
            (tmp_path / "node_modules" / each.name).symlink_to(each)
    shutil.copy(next((made["image"].parent / "rows").glob("*/*.png")), tmp_path / "x.png")

    def run(*words: object) -> str:
        done = subprocess.run([node(), folder / "kit.mjs", *words], capture_output=True, text=True)
        return done.stdout + done.stderr

    assert "hold (5)" in run(made["text"], "--golden")
    assert "must be PPM or PGM where the package sharp" in run(made["image"], "--file", tmp_path / "x.png")


def test_a_model_of_two_graphs(kit: Kit, made: Mapping[str, Path], tmp_path: Path) -> None:
    several = graphs.split(made["text"], tmp_path / "b")
    rows = graphs.answers(made["text"])
    same(lines(kit(several, "--file", written(tmp_path / "rows.jsonl", rows))), reference(several, rows))
    assert "golden rows: hold" in kit(several, "--golden").stdout
    assert "must be one graph to be measured so" in kit(several, "--measure", code=2).stderr
