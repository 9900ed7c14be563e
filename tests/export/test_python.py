"""The kit in Python: what it answers is what edgesft answers, and it needs nothing but numpy and onnxruntime."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from edgesft.cli.main import main
from edgesft.data.media import audio, image
from edgesft.measure.agent import CPU
from edgesft.measure.pipelines import text as plain_text
from edgesft.measure.recording import recordings
from edgesft.ship.session import file_runner as runner
from edgesft.ship.verify import verify
from edgesft.tasks import registry
from edgesft.tasks.models.source import resolve
from tests.export import bundles, detector, graphs, streams
from tests.export.conftest import KIT
from tests.export.kinds import Made
from tests.ship import runs

TEXTS = (
    *(
        "a lovely film",
        "AN AWFUL plot.",
        "",
        "   ",
        "naïve café Ünïcödé",
        "漢字と仮名",
        "😀👩‍👩‍👧 it was",
        "\x00\x07 bad\u200d\ufffd",
    ),
    *(
        "[CLS] good [SEP] bad [MASK]",
        "[cls]",
        "the film is a plot " * 200,
        "x" * 5000,
        "\ud800 broken",
        "don't\r\n\tstop",
    ),
)


def kit(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The command line in a process that has neither edgesft nor anything else it could lean on."""
    absent = ("edgesft", "tokenizers", "transformers", "torch", "onnx", "PIL", "soundfile", "scipy")
    start = f"import sys; sys.modules |= dict.fromkeys({absent}); sys.argv[0] = 'kit'\n"
    start += "import runpy; runpy.run_module('kit', run_name='__main__')"
    command = [sys.executable, "-c", start, *map(str, words)]
    done = subprocess.run(command, cwd=KIT, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == code, done.stderr
    return done


def answers(*words: object) -> list[Any]:
    return [json.loads(line) for line in kit(*words).stdout.splitlines()]


def contract(bundle: Path) -> dict[str, Any]:
    return json.loads((bundle / "contract.json").read_bytes())


def pipeline(module: Any, bundle: Path) -> Any:
    """Edgesft's own way from a row to an answer, by the settings of a bundle."""
    said = contract(bundle)
    options = {**said["preparation"], "labels": said["labels"], "temperature": said["decoding"]["temperature"]}
    options["accept_above"] = said["thresholds"].get("unknown", {}).get("accept_above")
    options["inputs"] = [each["name"] for each in said["inputs"]]
    return module.Pipeline(str(bundle / "processor"), options)


def reference(module: Any, bundle: Path, rows: Sequence[dict[str, Any]]) -> list[Any]:
    steps, run = pipeline(module, bundle), runner(bundle / "models/fp32/model.onnx", "model", {})
    return [steps.after(run(steps.before(row))) for row in rows]


def same(ours: Any, theirs: Any) -> None:
    assert len(ours) == len(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert {**one, "score": None} == {**other, "score": None}
        assert one["score"] == pytest.approx(other["score"], rel=1e-5)


@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_texts(form: str, made: dict[str, Path]) -> None:
    import kit

    folder = made["text"]
    texts = [*TEXTS, *(json.loads(line)["text"] for line in (folder.parent / "rows.jsonl").read_text().splitlines())]
    opened = kit.open_bundle(folder.parent / form)
    # Halves of characters are what no library takes; a question mark is what everybody makes of them.
    rows = [{"text": text.replace("\ud800", "?")} for text in texts]
    same([opened.answer({"text": text}) for text in texts], reference(plain_text, folder, rows))


@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_pictures(form: str, made: dict[str, Path]) -> None:
    folder = made["image"].parent
    files = sorted((folder / "rows").rglob("*.png"))
    ours = answers(folder / form, *(word for file in files for word in ("--file", file)))
    same(ours, reference(image, made["image"], [{"image": str(file)} for file in files]))
    assert all(answer["label"] == file.parent.name for answer, file in zip(ours, files, strict=True))


def test_sounds(runs_of: dict[str, Made]) -> None:
    made, rows = runs_of["sounds"], runs_of["sounds"].rows
    ours = answers(made.bundle, *(word for row in rows for word in ("--file", row["audio"])))
    same(ours, reference(audio, made.bundle, rows))


def predicted(made: Made, rows: Sequence[Any]) -> np.ndarray:
    """What edgesft's own task answers."""
    task = registry.task(made.contract.task)
    processor = task.load_processor(resolve(str(made.run), made.run), made.contract)
    answer = runner(made.bundle / "models/fp32/model.onnx", "model", {})
    return task.predict(
        lambda feeds, graph="model": answer(feeds), task.encode(rows, processor, made.contract), processor
    )


def test_words(runs_of: dict[str, Made]) -> None:
    import kit

    made = runs_of["words"]
    rows = [*made.rows, {"tokens": ["Ünder", "漢字", "x.y", "", " ", "the"] * 3}, {"tokens": ["[SEP]", "good"]}]
    rows = [{"tokens": row["tokens"]} for row in rows]
    opened, theirs = kit.open_bundle(made.bundle), predicted(made, rows)
    for row, numbers in zip(rows, theirs, strict=True):
        names = [made.contract.labels[number] if number >= 0 else None for number in numbers[: len(row["tokens"])]]
        assert opened.answer(row) == names
    assert opened.answer({"tokens": "the film is good"}) == opened.answer({"tokens": ["the", "film", "is", "good"]})


def test_passages(runs_of: dict[str, Made]) -> None:
    import kit
    from kit.errors import InputError

    made = runs_of["passages"]
    passages = [row["context"] for row in made.rows] + ["Ünïcödé 漢字 the  plot\n", "x", "😀 a film" * 40]
    rows = [{"question": "the mood", "context": passage} for passage in passages]
    opened = kit.open_bundle(made.bundle)
    for row, (start, end) in zip(rows, predicted(made, rows).tolist(), strict=True):
        answer = opened.answer(row)
        assert (answer["start"], answer["end"]) == (start, end) and answer["answer"] == row["context"][start:end]
    with pytest.raises(InputError, match="must leave more than 4 tokens"):
        opened.answer({"question": "the film " * 20, "context": "x"})


def test_heads(runs_of: dict[str, Made]) -> None:
    import kit

    made = runs_of["heads"]
    rows = [{"text": row["text"]} for row in made.rows]
    opened, theirs = kit.open_bundle(made.bundle), predicted(made, rows)
    for row, logits in zip(rows, theirs, strict=True):
        for name, own in (("length", logits[:2]), ("mood", logits[2:])):
            labels = [label.partition("/")[2] for label in made.contract.labels if label.startswith(name)]
            weights = np.exp(own - own.max())
            answer = opened.answer(row)[name]
            assert answer["label"] == labels[own.argmax()]
            assert answer["score"] == pytest.approx(weights.max() / weights.sum(), rel=1e-5)


def test_a_stream_carries_its_states_on(made: dict[str, Path], tmp_path: Path) -> None:
    import onnx

    model = onnx.load(str(made["stream"] / "models/fp32/model.onnx"))
    labels = contract(made["stream"])["labels"]
    for file in sorted((made["stream"].parent / "rows").rglob("*.wav")):
        samples, _ = soundfile.read(file, dtype="float32")
        frames = bundles.framed(samples)
        np.savez(tmp_path / "frames.npz", frame=frames)
        (ours,) = answers(made["stream"], "--file", tmp_path / "frames.npz")
        logits = bundles.played(model, frames)[-1]["logits"][0]
        assert ours["label"] == labels[logits.argmax()] == file.parent.name
        assert ours["score"] == pytest.approx(1 / (1 + np.exp(-abs(logits[0] - logits[1]))), rel=1e-4)


BOXES = [
    {"iou": 0.5, "most": 100, "least_score": 0.3},
    {"iou": 0.2, "most": 7, "least_score": 0.01},
    {"iou": 0.5, "most": 50, "least_score": 0.1, "kept": True},
    {"iou": 0.5, "most": 50, "least_score": 0.2, "more": 1},
    {"iou": 0.5, "most": 9, "least_score": 0.9999},
]


@pytest.mark.parametrize("settings", BOXES)
def test_boxes(settings: dict[str, Any], tmp_path: Path) -> None:
    import kit

    labels = ["cat", "dog", "owl"]
    opened = kit.open_bundle(detector.boxes(tmp_path, labels, **settings))
    for seed in range(1, 4):
        row = detector.rows(3 + settings.get("more", 0), seed=seed)
        assert opened.answer(row)["boxes"] == detector.expected(labels, row, settings)


def gain(heard: np.ndarray, wanted: np.ndarray) -> float:
    """How far what is wanted stands out of what is heard, in dB (SI-SDR)."""
    share = (heard @ wanted) / (wanted @ wanted) * wanted
    return float(10 * np.log10(share @ share / ((heard - share) @ (heard - share))))


@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_a_sound_is_cleaned_frame_by_frame(form: str, streamed: dict[str, Path], tmp_path: Path) -> None:
    """Against its frames taken all at once, and put together by hand."""
    folder = streamed["clean"].parent
    noisy, rate = soundfile.read(folder / "rows" / "noisy.wav")
    wanted, _ = soundfile.read(folder / "rows" / "clean.wav")
    words = ("--file", folder / "rows" / "noisy.wav", "--output", tmp_path / "out.wav", "--golden")
    (told,) = answers(folder / form, *words)
    assert told == {"rate": rate, "samples": len(noisy), "file": str(tmp_path / "out.wav")}
    ours, _ = soundfile.read(tmp_path / "out.wav")
    assert gain(ours, wanted) > gain(noisy, wanted) + 5
    nowhere = ("--file", folder / "rows" / "noisy.wav", "--output", tmp_path / "none" / "out.wav")
    assert "output must be a file that can be written" in kit(folder / form, *nowhere, code=2).stderr
    run = runner(streamed["clean"] / "models/fp32/model.onnx", "model", {})
    window, hop, cache = streams.WINDOW, streams.HOP, np.zeros((1, streams.POINTS), np.float32)
    taper = np.sin(np.pi * np.arange(window) / window)
    padded = np.concatenate([np.zeros(window - hop), noisy, np.zeros(window)])
    summed = np.zeros(len(padded) + window)
    for start in range(0, len(noisy) + window - hop, hop):
        spectrum = np.fft.rfft(padded[start : start + window] * taper)
        frame = np.stack([spectrum.real, spectrum.imag], -1).astype(np.float32)[np.newaxis]
        outputs = run({"spectrum": frame, "cache": cache})
        cache, said = outputs["cache_out"], outputs["logits"][0]
        summed[start : start + window] += np.fft.irfft(said[:, 0] + 1j * said[:, 1], window) * taper
    assert np.abs(summed[window - hop :][: len(noisy)] - ours).max() < 1e-5


def test_a_tone_is_told_frame_by_frame(streamed: dict[str, Path], tmp_path: Path) -> None:
    folder = streamed["voice"].parent
    (told,) = answers(streamed["voice"], "--file", folder / "rows" / "noisy.wav", "--golden")
    chances, count = np.asarray(told["probabilities"]), 1000
    assert told["label"] == "tone" and len(chances) == -(-count // streams.HOP)
    assert told["share"] == pytest.approx((chances >= 0.5).mean())
    assert chances[10:22].min() > 0.9 and max(chances[:7].max(), chances[-5:].max()) < 0.2
    soundfile.write(tmp_path / "bad.wav", np.full(100, np.nan), 4000, subtype="FLOAT")
    assert "must be finite" in kit(streamed["voice"], "--file", tmp_path / "bad.wav", code=2).stderr
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 4000, subtype="FLOAT")
    assert "at least one sample" in kit(streamed["voice"], "--file", tmp_path / "none.wav", code=2).stderr


@pytest.mark.parametrize("kind", ["text", "image", "stream"])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_golden_rows_hold_and_are_missed_where_the_model_is_another(
    kind: str, form: str, made: dict[str, Path], tmp_path: Path
) -> None:
    assert "hold" in kit(made[kind].parent / form, "--golden").stderr
    if form == "bundle":
        spoilt = runs.copy(made[kind], tmp_path / "b")

        def shift(said: Any) -> None:
            for row in said["rows"]:
                for outputs in row["outputs"].values():
                    outputs["logits"] = runs.packed(np.asarray([[5.0, -5.0]], np.float32))

        runs.edit(spoilt / "golden.json", shift)
        runs.seal(spoilt)
        assert "'logits' must be within 0.001" in kit(spoilt, "--golden", code=1).stderr


def test_no_golden_row_tells_where_its_file_lay(made: dict[str, Path]) -> None:
    for kind in ("image", "stream"):
        said = (made[kind] / "golden.json").read_text()
        assert {row["row"] for row in json.loads(said)["rows"]} == {None} and str(made[kind].parent) not in said


def test_golden_rows_also_check_the_preparation(made: dict[str, Path], tmp_path: Path) -> None:
    spoilt = runs.copy(made["text"], tmp_path / "b")
    runs.edit(spoilt / "golden.json", lambda said: said["rows"][0]["row"].update(text="the other"))
    runs.seal(spoilt)
    assert "golden row 1: attention_mask, input_ids" in kit(spoilt, "--golden", code=1).stderr


@pytest.mark.parametrize("kind", ["text", "image", "stream"])
@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_its_latency_gates(kind: str, form: str, made: dict[str, Path], tmp_path: Path) -> None:
    short = ("--samples", 60, "--seconds", 0.05, "--rounds", 5, "--warmup-seconds", 0.05)
    lines = tmp_path / "device.jsonl"
    lines.write_text(kit(made[kind].parent / form, "--measure", *short).stdout)
    (found,) = recordings(lines)
    assert found.measurement.provider == CPU and found.measurement.states == contract(made[kind])["states"]
    model, budget = made[kind] / "models/fp32/model.onnx", tmp_path / "budget.yaml"
    for limit, code in ((1000.0, 0), (1e-6, 1)):
        budget.write_text(f"version: 1\nprofile: x86-1-thread\nlatency_ms: {{p50: {limit}}}\n")
        words = ["check", model, "--budget", budget, "--measurements", lines]
        assert main([str(word) for word in words]) == code


def test_measuring_given_rows_and_fixed_sizes(made: dict[str, Path], tmp_path: Path) -> None:
    fixed = runs.copy(made["text"], tmp_path / "b")

    def prefer(said: dict[str, Any]) -> None:
        said["variants"] = [each | {"providers": ["*"]} for each in said["variants"] if each["static"]]

    runs.seal(fixed, prefer)
    short = ("--samples", 5, "--seconds", 0, "--rounds", 1, "--warmup-seconds", 0.01)
    lines = [json.loads(line) for line in kit(fixed, "--measure", "--text", "a film", *short).stdout.splitlines()]
    assert [line["op"] for line in lines][2:7] == ["load", "model", "first", "warm_up", "time"]
    assert lines[2]["inputs"][0]["shape"] == [1, 16]
    same(answers(fixed, "--text", "a lovely film"), answers(made["text"], "--text", "a lovely film"))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nowhere"], 2, "bundle must be a folder or an archive"),
        ([KIT / "kit" / "errors.py"], 2, "a folder or a zip archive"),
        (["{text}", "--file", "nowhere"], 2, "rows as JSON lines"),
        (["{text}", "--question", "why?", "--text", "x"], 2, "--question"),
        (["{image}", "--text", "x"], 2, "--file"),
        (["{image}", "--file", "nowhere.png"], 2, "that can be read"),
        (["{image}", "--file", "{text}/contract.json"], 4, "Pillow"),
        (["{stream}", "--file", "{text}/contract.json"], 2, "an npz file"),
        (["{text}", "--provider", "CUDAExecutionProvider"], 4, "provider must be one of"),
        (["{text}", "--measure", "--rounds", "0"], 2, "rounds must be at least 1, got 0"),
        (["{text}", "--measure", "--samples", "0"], 2, "samples must be at least 1, got 0"),
        (["{text}", "--measure", "--seconds", "nan"], 2, "seconds must be a number from 0 on, got nan"),
    ],
)
def test_what_cannot_be_done(words: list[Any], code: int, told: str, made: dict[str, Path]) -> None:
    assert told in kit(*(str(word).format(**made) for word in words), code=code).stderr


def test_a_row_ends_where_it_does_in_training(made: dict[str, Path], tmp_path: Path) -> None:
    """At a line feed alone; what Unicode has besides may stand in a text, and editors write a mark at the start."""
    texts = ["a film\u2028a plot", "a film\x85", "\u2029good", "a lovely film"]
    lines = "\r\n".join(json.dumps({"text": text}, ensure_ascii=False) for text in texts)
    for start in ("", "\ufeff"):
        (tmp_path / "rows.jsonl").write_bytes(f"{start}{lines}\n\n".encode())
        same(answers(made["text"], "--file", tmp_path / "rows.jsonl"), expected(made["text"], texts))


def expected(bundle: Path, texts: Sequence[str]) -> list[Any]:
    import kit

    opened = kit.open_bundle(bundle)
    return [opened.answer({"text": text}) for text in texts]


def test_who_reads_the_first_lines_alone_gets_no_traceback(made: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"text": "a film"}\n' * 3000)
    command = [sys.executable, "-m", "kit", str(made["text"]), "--file", str(tmp_path / "rows.jsonl")]
    reading, told = os.pipe()
    with subprocess.Popen(command, cwd=KIT, stdout=told, stderr=subprocess.PIPE, text=True) as running:
        os.close(told)
        assert os.read(reading, 1)
        os.close(reading)
        assert running.communicate(timeout=120)[1] == "" and running.returncode == 141


def test_pictures_are_made_by_no_kit(made: dict[str, Path], tmp_path: Path) -> None:
    other = runs.copy(made["text"], tmp_path / "b")
    runs.edit(other / "contract.json", lambda told: told["decoding"].update(kind="diffusion"))
    runs.seal(other)
    told = kit(other, code=4).stderr
    assert "this kit does not answer models for text-classification, which need decoding 'diffusion'" in told


def test_rows_that_are_none(made: dict[str, Path], tmp_path: Path) -> None:
    for line, told in (("{", "JSON lines"), ("[1]", "a row must have 'text'"), ('{"text": 1}', "must be text")):
        (tmp_path / "rows.jsonl").write_text(line)
        assert told in kit(made["text"], "--file", tmp_path / "rows.jsonl", code=2).stderr


def test_what_a_bundle_is(made: dict[str, Path]) -> None:
    (told,) = answers(made["text"])
    assert told["name"] == "mood" and told["variant"] == "fp32" and told["labels"] == ["negative", "positive"]


def test_pictures_of_other_kinds_take_pillow(made: dict[str, Path], tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (1, 2, 3)).save(tmp_path / "p.jpg")
    assert "Pillow" in kit(made["image"], "--file", tmp_path / "p.jpg", code=4).stderr


def test_a_model_of_two_graphs(made: dict[str, Path], tmp_path: Path) -> None:
    import kit as kits

    several = graphs.split(made["text"], tmp_path / "b")
    report = verify(several)
    assert report.holds, report.findings
    one, two = kits.open_bundle(made["text"]), kits.open_bundle(several)
    for row in graphs.answers(made["text"]):
        assert two.answer(row) == one.answer(row)
    assert not list(two.golden())
    assert "must be one graph to be measured so" in kit(several, "--measure", code=4).stderr


def test_a_copy_whose_links_lead_nowhere_says_so(tmp_path: Path) -> None:
    shutil.copytree(KIT, tmp_path / "python", symlinks=True)
    done = subprocess.run(
        [sys.executable, "-m", "kit", "bundle.zip"],
        cwd=tmp_path / "python",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode and "kit: agent.py, audio.py, " in done.stderr and "cp -rL" in done.stderr
