"""The kit in C++ against the kit in Python: built here, both are given the same."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image
from tokenizers import Tokenizer, normalizers, processors

from edgesft.cli.main import main
from edgesft.measure.recording import recordings
from tests.export import bundles, native, test_python_attacks, test_python_media
from tests.export.kinds import Made
from tests.export.test_python import TEXTS
from tests.export.test_python_tokens import texts
from tests.ship import runs

SOURCE = native.ROOT / "export" / "cpp"


class Kit:
    """A bundle behind the functions of `edgesft_kit.h`."""

    def __init__(self, library: ctypes.CDLL, bundle: Path) -> None:
        self._library, error = library, ctypes.c_char_p()
        path, runtime = os.fsencode(bundle), os.fsencode(native.library())
        self._kit = ctypes.c_void_p(library.edgesft_kit_open(path, runtime, None, 1, ctypes.byref(error)))
        if not self._kit.value:
            raise ValueError((error.value or b"").decode())

    def close(self) -> None:
        self._library.edgesft_kit_close(self._kit)

    def call(self, name: str, *words: Any) -> str:
        function, error = getattr(self._library, f"edgesft_kit_{name}"), ctypes.c_char_p()
        function.restype = ctypes.c_void_p
        found = function(self._kit, *words, ctypes.byref(error))
        if not found:
            raise ValueError((error.value or b"").decode())
        text = ctypes.string_at(found).decode()
        self._library.edgesft_kit_free(ctypes.c_void_p(found))
        return text

    def answer(self, row: dict[str, Any]) -> Any:
        return json.loads(self.call("answer", json.dumps(row).encode()))

    def inputs(self, row: dict[str, Any]) -> list[dict[str, np.ndarray]]:
        from kit.model import array

        made = json.loads(self.call("inputs", json.dumps(row).encode()))
        return [{name: array(each) for name, each in feeds.items()} for feeds in made]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the program and the library, built without optimisation: a test's time is the compiler's."""
    return native.made(SOURCE, tmp_path_factory.mktemp("cpp"), CXXFLAGS="-O0")


@pytest.fixture
def opened(built: Path) -> Iterator[Callable[[Path], Kit]]:
    library = ctypes.CDLL(str(built / "libedgesft_kit.so"))
    library.edgesft_kit_open.restype = ctypes.c_void_p
    library.edgesft_kit_close.restype = None
    library.edgesft_kit_free.restype = None
    kits: list[Kit] = []

    def open_bundle(bundle: Path) -> Kit:
        kits.append(Kit(library, bundle))
        return kits[-1]

    yield open_bundle
    for each in kits:
        each.close()


@pytest.fixture
def run(built: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The program."""
    return lambda *words, code=0: program(built / "kit", words, code)


def program(path: Path, words: Sequence[object], code: int) -> subprocess.CompletedProcess[str]:
    command = [str(path), "--runtime", str(native.library()), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=120)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done


def same(one: Any, other: Any) -> None:
    """Equal, but for the last digits of numbers."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        one, other = list(one.values()), list(other.values())
    if isinstance(one, list):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            same(mine, theirs)
    else:
        assert one == (pytest.approx(other, rel=1e-4, abs=1e-6) if isinstance(one, float) else other)


@pytest.mark.parametrize("form", ["bundle", "bundle.zip"])
def test_texts(form: str, made: dict[str, Path], opened: Callable[[Path], Kit]) -> None:
    import kit

    ours, theirs = opened(made["text"].parent / form), kit.open_bundle(made["text"].parent / form)
    for text in TEXTS:
        row = {"text": text.replace("\ud800", "?")}
        same(ours.answer(row), theirs.answer(row))


@pytest.mark.parametrize("task", ["words", "passages", "heads"])
def test_other_texts(task: str, runs_of: dict[str, Made], opened: Callable[[Path], Kit]) -> None:
    import kit

    made = runs_of[task]
    ours, theirs = opened(made.bundle), kit.open_bundle(made.bundle)
    columns = json.loads((made.bundle / "contract.json").read_bytes())["preparation"]["columns"]
    rows = [{name: row[name] for name in columns} for row in made.rows]
    rows += [{**rows[0], columns[-1]: text} for text in TEXTS if text.isascii() and text.isprintable()]
    for row in rows:
        same(ours.answer(row), theirs.answer(row))
    if task == "passages":
        with pytest.raises(ValueError, match="^2 the first text must leave more than 4 tokens"):
            ours.answer({"question": "the film " * 20, "context": "x"})


def changed(**options: Any) -> Callable[[Tokenizer], None]:
    def change(tokenizer: Tokenizer) -> None:
        tokenizer.normalizer = normalizers.BertNormalizer(**options)

    return change


def templates(kind: type) -> Callable[[Tokenizer], None]:
    def change(tokenizer: Tokenizer) -> None:
        tokenizer.post_processor = kind(("[SEP]", 3), ("[CLS]", 2))

    return change


@pytest.mark.parametrize(
    "change",
    [
        changed(),
        changed(lowercase=False),
        changed(strip_accents=False),
        changed(clean_text=False, handle_chinese_chars=False),
        templates(processors.BertProcessing),
        templates(processors.RobertaProcessing),
    ],
)
@pytest.mark.parametrize("cut", [{}, {"max_length": 7, "truncation_side": "left"}])
def test_tokens_are_the_library_s(
    change: Callable[[Tokenizer], None],
    cut: dict[str, Any],
    made: dict[str, Path],
    opened: Callable[[Path], Kit],
    tmp_path: Path,
) -> None:
    bundle = runs.copy(made["text"], tmp_path / "b")
    file = bundle / "processor" / "tokenizer.json"
    theirs = Tokenizer.from_file(str(file))
    change(theirs)
    theirs.save(str(file))
    settings = {"max_length": 64, **cut}
    runs.edit(bundle / "contract.json", lambda said: said["preparation"].update(settings))
    runs.seal(bundle)
    ours = opened(bundle)
    theirs.no_padding()
    theirs.enable_truncation(settings["max_length"], direction=settings.get("truncation_side", "right"))
    for text in texts(300, sorted(theirs.get_vocab()), seed=6):
        (feeds,) = ours.inputs({"text": text})
        assert feeds["input_ids"][0].tolist() == theirs.encode(text).ids, text


def test_windows_are_the_library_s(runs_of: dict[str, Made], opened: Callable[[Path], Kit], tmp_path: Path) -> None:
    bundle = runs.copy(runs_of["passages"].bundle, tmp_path / "b")
    for side in ("right", "left"):
        runs.edit(bundle / "contract.json", lambda said, side=side: said["preparation"].update(truncation_side=side))
        runs.seal(bundle)
        ours, theirs = opened(bundle), Tokenizer.from_file(str(bundle / "processor" / "tokenizer.json"))
        theirs.no_padding()
        theirs.enable_truncation(32, stride=4, strategy="only_second", direction=side)
        for passage in texts(60, sorted(theirs.get_vocab()), seed=7):
            first = theirs.encode("the film", passage)
            windows = ours.inputs({"question": "the film", "context": passage})
            assert [each["input_ids"][0].tolist() for each in windows] == [
                each.ids for each in (first, *first.overflowing)
            ]


@pytest.mark.parametrize(
    "change",
    [
        *({"resample": name, "resize": 31} for name in test_python_media.FILTERS),
        {"resize": [9, 40], "crop": None, "colour": "BGR", "layout": "NHWC", "mean": [0.1, 0.2, 0.3]},
        {"resize": None, "crop": [60, 61], "dtype": "uint8", "scale": None, "mean": None, "std": None},
        {"resize": 20, "crop": None, "colour": "L", "dtype": "int8", "scale": 1.0, "mean": 128.0, "std": None},
    ],
)
def test_pictures(change: dict[str, Any], made: dict[str, Path], opened: Callable[[Path], Kit], tmp_path: Path) -> None:
    import kit

    bundle = runs.copy(made["image"], tmp_path / "b")
    runs.edit(bundle / "contract.json", lambda said: said["preparation"].update(change))
    runs.seal(bundle)
    ours, theirs = opened(bundle), kit.open_bundle(bundle)
    rng = np.random.default_rng(0)
    for place, shape in enumerate([(31, 50, 3), (50, 31, 3), (90, 12, 3), (8, 9), (16, 16, 3)]):
        file = tmp_path / f"{place}.ppm"
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(file)
        (mine,), (other,) = ours.inputs({"image": str(file)}), theirs.preparation({"image": str(file)})
        fed = other.feeds["pixel_values"]
        assert mine["pixel_values"].dtype == fed.dtype and np.array_equal(mine["pixel_values"], fed)


def test_pictures_as_pixels(made: dict[str, Path], opened: Callable[[Path], Kit]) -> None:
    import kit

    ours, theirs = opened(made["image"]), kit.open_bundle(made["image"])
    for file in sorted((made["image"].parent / "rows").rglob("*.png"))[:6]:
        pixels = np.asarray(Image.open(file).convert("RGB"))
        given = pixels.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))
        same(json.loads(ours.call("answer_pixels", given, *pixels.shape)), theirs.answer({"image": str(file)}))


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"coefficients": None, "normalise": False, "window": "start"},
        {"features": "none", "seconds": 0.13},
        {"rate": 4000, "seconds": 0.5, "high": 1500.0, "frame": 0.03},
        {"rate": 11025},
    ],
)
def test_sounds(
    change: dict[str, Any], runs_of: dict[str, Made], opened: Callable[[Path], Kit], tmp_path: Path
) -> None:
    import kit

    bundle = runs.copy(runs_of["sounds"].bundle, tmp_path / "b")
    runs.edit(bundle / "contract.json", lambda said: said["preparation"].update(change))
    runs.seal(bundle)
    ours, theirs = opened(bundle), kit.open_bundle(bundle)
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        file = tmp_path / f"{subtype}.wav"
        soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, (1000, 2)), 8000, subtype=subtype)
        (mine,), (other,) = ours.inputs({"audio": str(file)}), theirs.preparation({"audio": str(file)})
        fed = other.feeds["input_values"]
        assert mine["input_values"].shape == fed.shape
        assert np.abs(mine["input_values"] - fed).max() < 1e-4


def test_streams(made: dict[str, Path], run: Callable[..., Any], tmp_path: Path) -> None:
    import kit

    theirs = kit.open_bundle(made["stream"])
    for file in sorted((made["stream"].parent / "rows").rglob("*.wav")):
        frames = bundles.framed(soundfile.read(file, dtype="float32")[0])
        np.savez(tmp_path / "f.npz", frame=frames)
        same(json.loads(run(made["stream"], "--file", tmp_path / "f.npz").stdout), theirs.answer({"frame": frames}))


def test_sound_in_frames(
    streamed: dict[str, Path],
    run: Callable[..., Any],
    opened: Callable[[Path], Kit],
    tmp_path: Path,
) -> None:
    import kit

    file = streamed["clean"].parent / "rows" / "noisy.wav"
    theirs = kit.open_bundle(streamed["clean"]).answer({"audio": str(file)})
    for form in ("bundle", "bundle.zip"):
        run(streamed["clean"].parent / form, "--file", file, "--output", tmp_path / "out.wav", "--golden")
        ours, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
        assert rate == theirs["rate"] and np.abs(ours - theirs["samples"]).max() < 1e-6
    given = soundfile.read(file, dtype="float32")[0]
    room = np.zeros(len(given), np.float32)
    pointers = [each.ctypes.data_as(ctypes.POINTER(ctypes.c_float)) for each in (given, room)]
    words = (pointers[0], ctypes.c_size_t(len(given)), rate, pointers[1], ctypes.c_size_t(len(room)))
    told = json.loads(opened(streamed["clean"]).call("answer_samples", *words))
    assert told == {"rate": rate, "samples": len(given)} and np.abs(room - theirs["samples"]).max() < 1e-6
    row = {"audio": str(streamed["voice"].parent / "rows" / "noisy.wav")}
    same(opened(streamed["voice"]).answer(row), kit.open_bundle(streamed["voice"]).answer(row))


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
def test_under_the_sanitizers(made: dict[str, Path], runs_of: dict[str, Made], tmp_path: Path) -> None:
    """Nothing is read or written where nothing is, and nothing undefined is done, as two sanitizers have it."""
    flags = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
    kit = native.made(SOURCE, tmp_path / "out", CXXFLAGS=flags) / "kit"
    for bundle in (*made.values(), *(each.bundle for each in runs_of.values())):
        program(kit, [bundle, "--golden"], 0)
    for text in texts(40, ["the", "film"], seed=8):
        if "\0" not in text:
            program(kit, [made["text"], "--text", text], 0)
    for place, (spoil, _) in enumerate(test_python_attacks.FOLDERS.values()):
        bundle = runs.copy(made["text"], tmp_path / str(place))
        spoil(bundle)
        program(kit, [bundle], 1)
    for shape in ((1, 1, 3), (300, 2, 3), (2, 300, 3)):
        Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "p.ppm")
        program(kit, [made["image"], "--file", tmp_path / "p.ppm"], 0)
    program(kit, [runs_of["sounds"].bundle, "--file", runs_of["sounds"].rows[0]["audio"]], 0)
