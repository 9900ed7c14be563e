"""The page of the kit for browsers: served, and asked."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.export.chromium import Chromium
from tests.export.script import node

DONE = "document.querySelector('#golden .badge')?.textContent || document.querySelector('#problems')?.hidden === false"

ASK = """(async () => {
    const {Remote} = await import('/web/remote.js');
    const {sound} = await import('/web/files.js');
    const remote = new Remote();
    const place = new URL(new URLSearchParams(location.search).get('bundle'), location.href).href;
    await remote.ask('open', {place, provider: %s, threads: 1, variant: %s});
    const rows = %s;
    const found = [];
    for (const row of rows) found.push(await remote.ask('answer', {row}));
    remote.close();
    return found.map((each) => (each.samples ? {...each, samples: [...each.samples]} : each));
})()"""
"""Answers to rows, by the page's own modules."""


@contextmanager
def served(web_kit: Path, bundle: Path, *words: str) -> Iterator[str]:
    """The address of a bundle's page."""
    command = [node(), str(web_kit / "serve.mjs"), str(bundle), "--port", "0", *words]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait()


def asked(page: Chromium, provider: str, selector: str, files: Sequence[Path], row: str) -> list[Any]:
    """Answers to files, which a person's picker put into an input."""
    page.wait(DONE)
    page.evaluate(f"document.querySelector('{selector}').multiple = true")
    page.choose(selector, *files)
    rows = f"await Promise.all([...document.querySelector('{selector}').files].map(async (file) => ({row})))"
    return page.evaluate(ASK % (json.dumps(provider), "undefined", rows))


def measured(page: Chromium, seconds: float = 0.5) -> None:
    page.wait(DONE)
    page.evaluate(f"document.querySelector('#seconds').value = '{seconds}'")
    page.evaluate("document.querySelector('#measure').click()")
    page.wait("!document.querySelector('#save').hidden")
    page.evaluate("document.querySelector('#send').click()")
    page.wait("document.querySelector('#status').textContent === 'Sent.'")
