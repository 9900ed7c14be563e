"""The service worker of the kit for browsers, with a network and a cache in the place of a browser's."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.export.script import EXPORT, node

BROWSER = """
import { readFileSync } from "node:fs";
import vm from "node:vm";

const { worker, online, full, kept } = JSON.parse(process.argv[1]);
const handlers = {};
const store = new Map(Object.entries(kept));
const match = async (request) => store.has(request.url) ? new Response(store.get(request.url)) : undefined;
const put = async (request, answer) => {
  if (full) throw new DOMException("there is no room", "QuotaExceededError");
  store.set(request.url, await answer.text());
};
const fetch = async () => {
  if (!online) throw new TypeError("there is no network");
  return new Response("newer");
};
const self = { addEventListener: (name, handler) => (handlers[name] = handler) };
const caches = { open: async () => ({ match, put }), match };
const location = { origin: "http://localhost" };
const browser = { self, caches, fetch, location, URL, Headers, Response, console: { warn() {} } };
vm.runInNewContext(readFileSync(worker, "utf-8"), browser);
let answer;
const request = { url: "http://localhost/bundle.zip", method: "GET" };
handlers.fetch({ request, respondWith: (promise) => (answer = promise) });
const text = await answer.then((found) => found.text(), (error) => error.message);
console.log(JSON.stringify([text, store.get(request.url) ?? null]));
"""


def asked(**browser: Any) -> tuple[str, str | None]:
    """What a page gets of a bundle, and what is kept of it afterwards."""
    told = {"worker": str(EXPORT / "web" / "sw.js"), "kept": {}, "full": False, **browser}
    command = [node(), "--input-type=module", "-e", BROWSER, json.dumps(told)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr
    text, kept = json.loads(done.stdout)
    return text, kept


OLDER = {"http://localhost/bundle.zip": "older"}


@pytest.mark.parametrize("kept", [{}, OLDER])
def test_what_the_network_answers_is_kept(kept: dict[str, str]) -> None:
    assert asked(online=True, kept=kept) == ("newer", "newer")


@pytest.mark.parametrize("kept", [{}, OLDER])
def test_a_full_cache_loses_no_answer(kept: dict[str, str]) -> None:
    assert asked(online=True, full=True, kept=kept) == ("newer", "older" if kept else None)


def test_without_a_network_what_was_kept_is_answered() -> None:
    assert asked(online=False, kept=OLDER) == ("older", "older")
    assert asked(online=False) == ("there is no network", None)
