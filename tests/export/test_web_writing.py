"""The kit for browsers on models that answer token by token: it says what the kit in Python says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgesft.measure.recording import recordings
from tests.export.pages import DONE, served
from tests.export.test_js_writing import CHANCES, reference, rows
from tests.export.test_python_writing import GENERATION, PROMPTS, TO_TEXT

pytestmark = pytest.mark.kits

SAY = """(async () => {
    const {Remote} = await import('/web/remote.js');
    const remote = new Remote();
    const place = new URL(new URLSearchParams(location.search).get('bundle'), location.href).href;
    await remote.ask('open', {place, provider: 'wasm', threads: 1});
    const found = [];
    for (const row of %s) {
        let heard = '';
        const said = await remote.ask('say', {row, options: {most: 20, ...%s}}, (piece) => (heard += piece));
        found.push({text: said.text, tokens: said.tokens, end: said.end, prompt: said.prompt, heard});
    }
    remote.close();
    return found;
})()"""

NAMES = {"top_k": "topK", "top_p": "topP"}


@pytest.mark.parametrize("chances", CHANCES, ids=len)
@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
def test_it_says_what_the_kit_in_python_says(
    web_kit: Path, browser: Any, said: Mapping[str, Path], task: str, chances: Mapping[str, Any]
) -> None:
    page, options = browser(), {NAMES.get(name, name): value for name, value in chances.items()}
    with served(web_kit, said[task].parent / "bundle.zip") as address:
        page.goto(address)
        found = page.evaluate(SAY % (json.dumps(rows(task)), json.dumps(options)))
    assert all(each.pop("heard") == each["text"] for each in found)
    assert found == reference(said[task], task, chances)


@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
def test_a_person_reads_it_as_it_comes(web_kit: Path, browser: Any, said: Mapping[str, Path], task: str) -> None:
    page = browser()
    with served(web_kit, said[task].parent / "bundle.zip") as address:
        page.goto(address)
        page.wait(DONE)
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
        page.evaluate("document.querySelector('#most').value = '20'")
        page.evaluate(f"document.querySelector('#input').value = {json.dumps(PROMPTS[0])}")
        page.evaluate("document.querySelector('#text').requestSubmit()")
        page.wait("document.querySelector('#answer').children.length === 2")
        (expected, *_) = reference(said[task], task, {})
        assert page.evaluate("document.querySelector('#answer p').textContent") == expected["text"]
        assert "ended by" in page.evaluate("document.querySelector('#answer').textContent")


def test_its_pace_is_told(web_kit: Path, browser: Any, said: Mapping[str, Path], tmp_path: Path) -> None:
    page = browser()
    settings = {"samples": 60, "seconds": 0.2, "rounds": 3, "warmupSeconds": 0.1}
    code = """(async () => {
        const {Remote} = await import('/web/remote.js');
        const [remote, lines] = [new Remote(), []];
        const place = new URL(new URLSearchParams(location.search).get('bundle'), location.href).href;
        await remote.ask('measure', {place, provider: 'wasm', threads: 1, settings: %s}, (line) => lines.push(line));
        remote.close();
        return lines.map((line) => JSON.stringify(line)).join('\\n');
    })()"""
    with served(web_kit, said[TO_TEXT].parent / "bundle.zip") as address:
        page.goto(address)
        (tmp_path / "device.jsonl").write_text(page.evaluate(code % json.dumps(settings)))
    (found,) = recordings(tmp_path / "device.jsonl")
    assert found.openings and len(found.measurement.samples) >= 60


@pytest.mark.parametrize("task", [GENERATION, TO_TEXT])
def test_golden_rows_on_a_gpu(web_kit: Path, browser: Any, said: Mapping[str, Path], task: str) -> None:
    page = browser("webgpu")
    with served(web_kit, said[task].parent / "bundle.zip") as address:
        page.goto(f"{address}web/?bundle=../bundle.zip&provider=webgpu")
        page.wait(DONE)
        assert page.evaluate("document.querySelector('#golden .badge').textContent") == "hold"
