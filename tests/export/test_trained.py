"""Models that the chain trained, as packed, in three kits: Python, Node.js, and a browser by WebAssembly and WebGPU."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from edgesft import api
from edgesft.progress import Progress
from tests import chain, tiny
from tests.export.pages import ASK, DONE, asked, served
from tests.export.script import installed, node
from tests.export.test_node import reference
from tests.export.texts import random_texts
from tests.tasks import test_image_classification, test_speech_enhancement

pytestmark = pytest.mark.kits

KINDS = ("text", "image", "sound")

FINETUNE = {**chain.STAGES[0], "epochs": 6}

SCHEMES = {"text": "int8-dynamic", "image": "int8-static", "sound": "int8-dynamic"}

WITHIN = {"fp32": 1e-5, "int8": 2e-2}
"""How far a probability or a sample may lie from the kit's in Python; 4e-7 at most was seen. Of 8 bits in other
kernels: where a sum falls on the other side of a rounding edge, an activation moves by a step of 255."""

SECONDS = 300
"""For golden rows on a GPU in software: the first inference makes its shaders."""


@dataclass(frozen=True)
class Trained:
    """A bundle of a run, and what it is asked.

    Attributes:
        bundle: Archive.
        rows: As the kit in Python takes them.
        files: Of the rows; none of texts.
    """

    bundle: Path
    rows: list[dict[str, Any]]
    files: tuple[Path, ...] = ()


def recipe(kind: str, precision: str, folder: Path, models: Mapping[str, Path]) -> Path:
    """A recipe with data that a model learns in a moment; some labels are wrong, or it would be sure of everything."""
    quantize = {"stage": "quantize", "scheme": SCHEMES[kind], "keep": "always"}
    more = (quantize,) if precision == "int8" else ()
    if kind == "text":
        rows = tiny.rows(500)
        wrong = {"positive": "negative", "negative": "positive"}
        rows = [{**row, "label": wrong[row["label"]]} if place % 6 == 0 else row for place, row in enumerate(rows)]
        return chain.write(folder, models["bert"], rows=rows, stages=(FINETUNE, *more))
    if kind == "image":
        stages = ({**FINETUNE, "learning_rate": 1.0e-2}, *more)
        place = test_image_classification.recipe(folder, str(models["resnet"]), stages=stages)
        for file in sorted((folder / "pictures").rglob("*.png"))[::6]:
            other = "lying" if file.parent.name == "standing" else "standing"
            file.rename(file.parents[1] / other / f"wrong-{file.name}")
        return place
    return test_speech_enhancement.recipe(folder, stages=({**FINETUNE, "epochs": 20, "learning_rate": 1.0e-2}, *more))


def asked_of(kind: str, folder: Path) -> tuple[list[dict[str, Any]], tuple[Path, ...]]:
    """Rows that no training has seen, and of which a classifier is not sure."""
    folder.mkdir(parents=True)
    if kind == "text":
        return [{"text": text} for text in (*(row["text"] for row in tiny.rows(10, seed=5)), *random_texts(20))], ()
    rng = np.random.default_rng(5)
    if kind == "image":
        files = tuple(folder / f"asked{place:02}.png" for place in range(16))
        for file, row in zip(files, tiny.pictured(len(files), seed=5), strict=True):
            noise = rng.integers(0, 256, row["image"].shape)
            Image.fromarray((0.3 * row["image"] + 0.7 * noise).astype(np.uint8)).save(file)
        return [{"image": str(file)} for file in files], files
    files = tuple(folder / f"asked{place}.wav" for place in range(2))
    for file, row in zip(files, tiny.mixed(len(files), 5, 4000), strict=True):
        clean = row["clean"]
        soundfile.write(file, clean + rng.uniform(-0.1, 0.1, clean.shape), 4000, subtype="PCM_16")
    return [{"noisy": str(file)} for file in files], files


@pytest.fixture(scope="session")
def trained(bert: Path, resnet: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Trained]:
    """Bundles by kind and precision, each made when it is first asked for; what was trained is not trained again."""
    found: dict[tuple[str, str], Trained] = {}
    root = tmp_path_factory.mktemp("trained")

    def get(kind: str, precision: str) -> Trained:
        if (kind, precision) not in found:
            folder, out = root / f"{kind}-{precision}-data", root / f"{kind}-{precision}"
            rows = asked_of(kind, out)
            place = recipe(kind, precision, folder, {"bert": bert, "resnet": resnet})
            api.run(place, output=out / "run", store=root / "store", progress=Progress(quiet=True))
            api.pack(out / "run", output=out / "bundle.zip", variants=("model",))
            found[kind, precision] = Trained(out / "bundle.zip", *rows)
        return found[kind, precision]

    return get


def apart(mine: Any, theirs: Any) -> float:
    """The greatest difference of two answers' numbers; fails where anything else differs."""
    if isinstance(theirs, Mapping):
        assert set(mine) == set(theirs), (mine, theirs)
        return max(apart(mine[key], value) for key, value in theirs.items())
    if isinstance(theirs, list):
        assert len(mine) == len(theirs)
        return max(map(apart, mine, theirs), default=0.0)
    if isinstance(theirs, float):
        return abs(mine - theirs)
    assert mine == theirs, (mine, theirs)
    return 0.0


def expected(given: Trained) -> list[Any]:
    """What the kit in Python answers, as JSON has it."""
    answers = reference(given.bundle, given.rows)
    return [
        {key: each.tolist() if isinstance(each, np.ndarray) else each for key, each in one.items()} for one in answers
    ]


def within(mine: list[Any], given: Trained, precision: str, tell: Callable[[str, object], None]) -> None:
    theirs = expected(given)
    off = apart(mine, theirs)
    tell("greatest_difference", off)
    assert off <= WITHIN[precision]
    assert len({each["score"] if "score" in each else max(each["samples"]) for each in theirs}) > 1


@pytest.mark.parametrize("precision", WITHIN)
@pytest.mark.parametrize("kind", KINDS)
def test_node(
    kind: str, precision: str, trained: Any, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    given: Trained = trained(kind, precision)
    words = [word for file in given.files for word in ("--file", str(file))]
    if kind == "text":
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given.rows))
        words = ["--file", str(tmp_path / "rows.jsonl")]
    program = [node(), str(installed("node", tmp_path / "kit") / "kit.mjs"), str(given.bundle)]
    answers = []
    for part in [words] if kind != "sound" else [words[:2], words[2:]]:
        output = tmp_path / "clean.wav"
        more = ["--output", str(output)] if kind == "sound" else []
        done = subprocess.run([*program, *part, *more], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        told = [json.loads(line) for line in done.stdout.splitlines()]
        if kind == "sound":
            samples, rate = soundfile.read(output)
            told = [{"rate": rate, "samples": samples.tolist()}]
        answers += told
    within(answers, given, precision, record_property)


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
@pytest.mark.parametrize("precision", WITHIN)
@pytest.mark.parametrize("kind", KINDS)
def test_browser(
    kind: str,
    precision: str,
    provider: str,
    trained: Any,
    web_kit: Path,
    browser: Any,
    record_property: Callable[[str, object], None],
) -> None:
    given: Trained = trained(kind, precision)
    page = browser(provider)
    with served(web_kit, given.bundle) as address:
        page.goto(f"{address}web/?bundle=../bundle.zip&provider={provider}")
        page.wait(DONE, SECONDS)
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold", page.text()
        if kind == "text":
            answers = page.evaluate(ASK % (json.dumps(provider), "undefined", json.dumps(given.rows)))
        elif kind == "image":
            answers = asked(page, provider, "#image", given.files, "{image: file}")
        else:
            answers = asked(page, provider, "#audio", given.files, "{noisy: await sound(file, 4000)}")
    within(answers, given, precision, record_property)
