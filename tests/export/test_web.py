"""The kit for browsers, in a browser: by WebAssembly and WebGPU it answers as the kit in Python does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.export.bundles import FRAME
from tests.export.kinds import Made
from tests.export.pages import ASK, DONE, asked, served
from tests.export.same import same
from tests.export.test_node import pictures, reference, sounds, texts
from tests.export.texts import characters

pytestmark = pytest.mark.kits

WITHIN = {"wasm": 1e-5, "webgpu": 1e-4}
"""How far a probability may lie from the reference's: sums are taken in another order."""


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
@pytest.mark.parametrize("kind", ["text", "image", "stream"])
@pytest.mark.parametrize("form", ["bundle.zip", "bundle"])
def test_golden_rows(
    web_kit: Path, browser: Any, made: Mapping[str, Path], provider: str, kind: str, form: str
) -> None:
    page = browser(provider)
    with served(web_kit, made[kind].parent / form) as address:
        page.goto(
            f"{address}?provider={provider}"
            if provider == "wasm"
            else f"{address}web/?bundle=../{form}{'' if form.endswith('zip') else '/'}&provider=webgpu"
        )
        page.wait(DONE)
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
        expected = {"wasm": "CPUExecutionProvider", "webgpu": "WebGpuExecutionProvider"}[provider]
        assert f"on {expected} of ONNX Runtime" in page.text()
        assert kind != "text" or "5 texts become the tokens" in page.text()


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
@pytest.mark.parametrize("variant", ["fp32", "fp32-static"])
def test_texts(web_kit: Path, browser: Any, made: Mapping[str, Path], provider: str, variant: str) -> None:
    page, rows = browser(provider), texts(made)
    with served(web_kit, made["text"].parent / "bundle.zip") as address:
        page.goto(address)
        answers = page.evaluate(ASK % (json.dumps(provider), json.dumps(variant), json.dumps(rows)))
    same(answers, reference(made["text"], rows), WITHIN[provider])


@pytest.mark.parametrize("task", ["words", "heads", "passages"])
def test_other_tasks(web_kit: Path, browser: Any, runs_of: Mapping[str, Made], task: str) -> None:
    page, made = browser(), runs_of[task]
    rows = made.rows[:8]
    with served(web_kit, made.bundle) as address:
        page.goto(address)
        answers = page.evaluate(ASK % ('"wasm"', "undefined", json.dumps(rows)))
        same(answers, reference(made.bundle, rows))
        page.wait(DONE)
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
        if task == "passages":
            page.evaluate("document.querySelector('#question input').value = 'the mood'")
            page.evaluate(f"document.querySelector('#input').value = {json.dumps(rows[0]['context'])}")
            page.evaluate("document.querySelector('#text').requestSubmit()")
            page.wait("document.querySelector('#answer').innerText")
            assert page.evaluate("document.querySelector('#answer').innerText").strip() == answers[0]["answer"]


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
def test_pictures(web_kit: Path, browser: Any, made: Mapping[str, Path], tmp_path: Path, provider: str) -> None:
    # A browser rounds 16 bits to 8, where the reference takes the upper 8.
    files = [file for file in pictures(made, tmp_path) if file.name != "deep.png"]
    page = browser(provider)
    with served(web_kit, made["image"].parent / "bundle.zip") as address:
        page.goto(address)
        answers = asked(page, provider, "#image", files, "{image: file}")
    same(answers, reference(made["image"], [{"image": str(file)} for file in files]), WITHIN[provider])


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
def test_a_stream(web_kit: Path, browser: Any, made: Mapping[str, Path], provider: str) -> None:
    from edgesft.data.media import audio

    page, files = browser(provider), sounds(made)
    samples = [audio.decode(str(file))[0].mean(axis=1).astype("float32") for file in files]
    rows = [{"frame": each[: len(each) // FRAME * FRAME].reshape(-1, FRAME)} for each in samples]
    with served(web_kit, made["stream"].parent / "bundle.zip") as address:
        page.goto(address)
        answers = asked(page, provider, "#audio", files, "{frame: await sound(file, 16000)}")
    same(answers, reference(made["stream"], rows), WITHIN[provider])


@pytest.mark.parametrize("provider", ["wasm", "webgpu"])
@pytest.mark.parametrize("kind", ["clean", "voice"])
def test_frames(web_kit: Path, browser: Any, streamed: Mapping[str, Path], kind: str, provider: str) -> None:
    page, folder = browser(provider), streamed[kind].parent
    file = folder / "rows/noisy.wav"
    with served(web_kit, folder / "bundle.zip") as address:
        page.goto(f"{address}web/?bundle=../bundle.zip&provider={provider}")
        (answer,) = asked(page, provider, "#audio", [file], "{audio: await sound(file, 4000)}")
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
        page.wait(f"!document.querySelector('{'#played' if kind == 'clean' else '#course'}').hidden")
    (expected,) = reference(folder / "bundle", [{"audio": str(file)}])
    expected |= {"samples": expected["samples"].tolist()} if kind == "clean" else {}
    same(answer, expected, WITHIN[provider])


def test_every_character_is_of_the_kind_that_tokenizers_says(
    web_kit: Path, browser: Any, made: Mapping[str, Path]
) -> None:
    """A browser has tables of Unicode of its own."""
    from tokenizers import normalizers, pre_tokenizers

    page, texts = browser(), [f"a{letter}b" for letter in characters()]
    reference, splitting = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    with served(web_kit, made["text"].parent / "bundle.zip") as address:
        page.goto(address)
        told = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
        code = """(async (texts, told) => {
            const {normalised, traced, words} = await import('/js/wordpiece.js');
            const all = texts.map(traced);
            return all.map((each) => [normalised(each, told).text, words(each).map((word) => word.text)]);
        })(%s, %s)"""
        found = page.evaluate(code % (json.dumps(texts), json.dumps(told)))
    for text, (mine, split) in zip(texts, found, strict=True):
        assert mine == reference.normalize_str(text), repr(text)
        assert split == [word for word, _ in splitting.pre_tokenize_str(text)], repr(text)
