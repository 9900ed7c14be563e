"""Text to speech: rows are read, a voice is learnt, compressed and shipped, and says what it is asked to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import edgesft
from edgesft.cli.main import main
from edgesft.errors import InputError
from edgesft.pipeline.check import check
from edgesft.progress import Progress
from edgesft.spec.media import SpeechSpec
from edgesft.spec.model import FactorySpec
from edgesft.stages.export import export_onnx
from edgesft.stages.export.checks import file_run
from edgesft.tasks.audio.script import Script
from edgesft.tasks.models import factory
from edgesft.tasks.text_to_speech import TextToSpeech
from tests import chain, tiny

soundfile = pytest.importorskip("soundfile")

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
SPEECH = {"rate": 8000, "frame": 0.04, "hop": 0.01, "mels": 20}
MODEL = {"factory": "nets:reader", "path": str(HERE), "arguments": {"bands": 20}}
TASK = TextToSpeech(SpeechSpec(**SPEECH))
QUIET = Progress(quiet=True)


def table(folder: Path, split: str, rows: list[dict[str, Any]], rate: int = 8000) -> Path:
    """A table of texts and the files that say them."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = [name for name in ("text", "speaker") if name in rows[0]]
    lines = [",".join(["audio", *columns])]
    for number, row in enumerate(rows):
        soundfile.write(folder / f"{split}{number:03}.wav", row["audio"], rate)
        lines.append(",".join([f"{split}{number:03}.wav", *(str(row[name]) for name in columns)]))
    (folder / f"{split}.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return folder / f"{split}.csv"


def recipe(folder: Path, counts: tuple[int, int, int] = (96, 16, 16), **changes: Any) -> Path:
    for seed, (name, count) in enumerate(zip(("train", "validation", "test"), counts, strict=True)):
        table(folder, name, tiny.recited(count, seed, 8000))
    data = {name: f"{name}.csv" for name in ("train", "validation", "test")} | {"speech": SPEECH}
    plain = {"stages": (chain.STAGES[0], chain.STAGES[3]), "budget": {"max_drop": {"neg_mcd": 1.0}}}
    return chain.write(folder, HERE, task="text-to-speech", **{"data": data, "model": MODEL, **plain, **changes})


def wrong(place: Path, settings: tuple[str, ...] = ()) -> str:
    with pytest.raises(InputError) as error:
        check(place, settings)
    return str(error.value)


@pytest.mark.slow
def test_the_whole_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    learning = {**chain.STAGES[0], "epochs": 20, "learning_rate": 1.0e-2}
    stages = (
        learning,
        {"stage": "prune", "parameters": 0.8, "epochs": 2, "keep": "always", "channel_multiple": 4},
        {"stage": "distill", "epochs": 2, "keep": "always"},
        {"stage": "quantize", "scheme": "int8-dynamic", "keep": "always"},
    )
    budget = {"real_time_factor": {"p50": 0.5}, "size_ratio": 0.9, "max_drop": {"neg_mcd": 2.0}}
    edgesft.run(recipe(tmp_path, stages=stages, budget=budget), output=tmp_path / "run", progress=QUIET)
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    rows = results["stages"]
    # As it begins it is 13 dB off; two recordings of a text by a speaker are 2.5 dB from each other.
    assert rows[0]["metrics"]["test"]["neg_mcd"] > -6 and rows[-1]["metrics"]["test"]["length"] > 0.8
    assert rows[1]["parameters"] < rows[0]["parameters"]
    lines = {line["name"]: line for line in results["budget"]}
    assert 0 < lines["real_time_factor.p50"]["value"] < 0.5
    assert 0.1 < results["evaluation"]["averages"]["seconds"] < 0.5
    packed = edgesft.pack(tmp_path / "run", output=tmp_path / "bundle", progress=QUIET)
    assert edgesft.verify(packed.path).holds
    contract = json.loads((tmp_path / "bundle" / "contract.json").read_bytes())
    assert contract["preparation"]["symbols"] == ["a", "b", "c", "d"] and contract["decoding"]["kind"] == "mel"
    golden = json.loads((tmp_path / "bundle" / "golden.json").read_bytes())
    assert all(set(row["row"]) == {"text", "speaker"} for row in golden["rows"])
    says_letters(tmp_path / "run")
    the_kit_says_it_too(tmp_path)


def says_letters(folder: Path) -> None:
    """The tones of a text, one after another."""
    spoken = edgesft.speak(folder, "AbC", "fast")
    powers = [_powers(part) for part in np.array_split(spoken.samples, 3)]
    assert ["abcd"[int(each.argmax())] for each in powers] == ["a", "b", "c"]


def the_kit_says_it_too(folder: Path) -> None:
    """On a device the same sound is made, of the bundle alone."""
    script = (
        "import sys, kit, numpy\n"
        "opened = kit.open_bundle(sys.argv[1])\n"
        "assert not list(opened.golden())\n"
        "numpy.save(sys.argv[2], opened.answer({'text': 'abc', 'speaker': 'fast'})['samples'])\n"
    )
    words = [sys.executable, "-c", script, str(folder / "bundle"), str(folder / "said.npy")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "export" / "python")}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        np.load(folder / "said.npy"), edgesft.speak(folder / "run", "abc", "fast").samples, atol=1e-4
    )


def _powers(samples: np.ndarray) -> np.ndarray:
    """Of each letter's tone as the fast speaker says it."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 8000))
    return np.asarray([spectrum[pitch - 60 : pitch + 60].max() for pitch in tiny.LETTERS.values()])


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run leaves of a net as it begins; read only."""
    folder, rows = tmp_path_factory.mktemp("voice"), tiny.recited(6, rate=8000)
    source, contract = factory.resolve(FactorySpec.model_validate(MODEL), Path()), TASK.contract(rows, {})
    torch.manual_seed(0)
    model, processor = TASK.load_model(source, contract), TASK.load_processor(source, contract)
    export_onnx(model, TASK, processor, TASK.encode(rows, processor, contract), contract, folder, opset=20)
    return folder


def test_what_is_beside_a_text_changes_nothing(voice: Path) -> None:
    run = file_run({"model": voice / "model.onnx"})
    asked = {"tokens": np.asarray([[1, 2, 3, 1, 0, 0], [1, 4, 4, 5, 2, 1]]), "speaker": np.asarray([0, 1])}
    both = run({**asked, "tempo": np.ones(2, np.float32)})
    alone = run({"tokens": asked["tokens"][:1, :4], "speaker": np.asarray([0]), "tempo": np.ones(1, np.float32)})
    count = int(alone["frames"][0])
    assert both["frames"][0] == count and both["mel"].shape[1] == both["frames"].max()
    np.testing.assert_allclose(both["mel"][0, :count], alone["mel"][0], atol=1e-4)


def test_speaking(voice: Path) -> None:
    spoken = edgesft.speak(voice, "AbC", "fast")
    assert spoken.skipped == 0 and spoken.real_time_factor > spoken.model_factor > 0
    assert np.array_equal(spoken.samples, edgesft.speak(voice, " abc", "fast").samples)
    slower = edgesft.speak(voice, "abc", "fast", tempo=0.5)
    assert slower.seconds == pytest.approx(2 * spoken.seconds, rel=0.2)
    for arguments, told in (
        (("ax", "fast"), "symbols that training rows had, got 'x'"),
        ((" ", "fast"), "got a blank one"),
        (("a", None), "speaker must be one of fast, slow"),
        (("a" * 1001, "fast"), "at most 1000 characters, got 1001"),
    ):
        with pytest.raises(InputError, match=told):
            edgesft.speak(voice, *arguments)
    with pytest.raises(InputError, match="tempo must be from"):
        edgesft.speak(voice, "abc", "fast", tempo=9)
    with pytest.raises(InputError, match=r"must be a folder with model\.onnx"):
        edgesft.speak(voice / "none", "abc")


def test_the_command(voice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "abc.wav"
    order = ["speak", str(voice), "--text", "abc", "--speaker", "slow", "--output", str(place)]
    assert main([*order, "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    with wave.open(str(place)) as file:
        assert file.getframerate() == 8000 and file.getnframes() == round(said["seconds"] * 8000)
    assert main(order) == 0 and "of its length" in capsys.readouterr().out
    model = (voice / "model.onnx").read_bytes()
    for wrong, told in (
        (tmp_path / "new" / "abc.wav", "must lie in a folder that exists"),
        (place / "abc.wav", "must lie in a folder that exists"),
        (tmp_path, "must be a file, got the folder"),
        (voice / "model.onnx", "must not be a model"),
        (voice / "contract.json", "must not be a file that is read"),
    ):
        assert main([*order[:-1], str(wrong)]) == 2 and told in capsys.readouterr().err
    assert (voice / "model.onnx").read_bytes() == model


def test_texts_become_symbols() -> None:
    options = {**SpeechSpec().model_dump(), "symbols": ["a", "é", " "], "speakers": []}
    script = Script(options)
    assert script.tokens(" A\n\tE\u0301 ")[0].tolist() == [1, 2, 4, 3, 1]
    assert script.speaker(None) is None
    with pytest.raises(InputError, match="has only one voice"):
        script.speaker("x")
    skipping = Script({**options, "unseen": "skip"})
    tokens, skipped = skipping.tokens("axa!")
    assert tokens.tolist() == [1, 2, 2, 1] and skipped == 2
    with pytest.raises(InputError, match="got '!'"):
        skipping.tokens("!")
    words = Script({**options, "units": "words", "lower": False, "symbols": ["AH0", "T"]})
    assert words.tokens("T AH0  T")[0].tolist() == [1, 3, 2, 3, 1]


def test_sounds_of_another_rate_are_converted_and_it_is_said(tmp_path: Path) -> None:
    place = recipe(tmp_path)
    rows = tiny.recited(96, 0, 16000)
    table(tmp_path, "train", rows, 16000)
    assert any("data.train: 96 of 96 sounds have 16000 samples per second" in each for each in check(place).warnings)
    table(tmp_path, "train", rows, 4000)
    assert any("data.speech.rate=4000 suffices if the model accepts any rate" in each for each in check(place).warnings)


def test_bad_rows(tmp_path: Path) -> None:
    place, rows = recipe(tmp_path), tiny.recited(16, 1, 8000)
    table(tmp_path, "validation", [{**row, "text": row["text"] + "x"} for row in rows])
    said = wrong(place)
    assert "data.validation: 16 texts have symbols that no text of train has: 'x'" in said
    assert "data.speech.unseen=skip" in said
    skipped = check(place, ("data.speech.unseen=skip",)).warnings
    assert any("which are left out: 'x'" in each for each in skipped)
    table(tmp_path, "validation", [{**rows[0], "text": "x"}, {**rows[1], "text": "a" * 1001}, *rows[2:]])
    said = wrong(place, ("data.speech.unseen=skip",))
    assert "must have a symbol that a text of train has, but has none in row 1" in said
    assert "must be of at most 1000 characters, but is longer in row 2" in said
    table(tmp_path, "validation", [{**row, "text": " "} for row in rows[:1]] + rows[1:])
    assert "data.validation: text must not be blank, but is in row 1" in wrong(place)
    table(tmp_path, "validation", [{**row, "speaker": "nobody"} for row in rows])
    assert "data.validation: has speakers that train lacks: 'nobody'" in wrong(place)
    table(tmp_path, "validation", [{**rows[0], "speaker": " "}, *rows[1:]])
    assert "speaker must be named in all rows or in none, but is not in row 1" in wrong(place)


def test_bad_sounds(tmp_path: Path) -> None:
    place, rows = recipe(tmp_path), tiny.recited(16, 1, 8000)
    written = table(tmp_path, "validation", rows)
    soundfile.write(tmp_path / "validation000.wav", np.zeros(4000), 8000)
    (tmp_path / "validation001.wav").write_bytes(b"no sound")
    written.write_text(written.read_text("utf-8").replace("validation002.wav", ""), "utf-8")
    said = wrong(place)
    assert "3 of 16 sounds (18.75%) cannot be read" in said and "it is silent" in said
    table(tmp_path, "validation", [{**row, "audio": row["audio"][:200]} for row in rows])
    contract = TASK.contract(rows, {})
    short = [{**row, "audio": row["audio"][:200]} for row in rows]
    with pytest.raises(InputError, match=r"must last 0.01 s for each symbol .* but 16 do not: '.*' in row 1"):
        TASK.encode(short, Script(contract.options), contract)


def test_models_that_do_not_fit(tmp_path: Path) -> None:
    assert "must be {factory: module:function}" in wrong(recipe(tmp_path, model="somebody/a-voice"))
    rows = tiny.recited(4, rate=8000)
    contract = TASK.contract(rows, {})

    def load(**arguments: Any) -> None:
        spec = {**MODEL, "arguments": {"bands": 20, **arguments}}
        TASK.load_model(factory.resolve(FactorySpec.model_validate(spec), Path()), contract)

    load()
    with pytest.raises(InputError, match="must take 6 symbols and 2 speakers, and give 20 bands, got IndexError"):
        load(symbols=3)
    with pytest.raises(InputError, match=r"got \[1, \d+, 30\]"):
        load(bands=30)
    other = factory.resolve(FactorySpec(factory="nets:make", path=str(HERE)), Path())
    with pytest.raises(InputError, match="TypeError"):
        TASK.load_model(other, contract)


def test_a_single_voice_has_no_speakers(tmp_path: Path) -> None:
    rows = [{name: row[name] for name in ("audio", "text")} for row in tiny.recited(8, rate=8000)]
    contract = TASK.contract(rows, {})
    processor = Script(contract.options)
    batch = TASK.collate(TASK.encode(rows, processor, contract), processor)
    assert "speaker" not in batch and contract.options["speakers"] == []
    assert TASK.check({"train": rows, "validation": rows}) == []
