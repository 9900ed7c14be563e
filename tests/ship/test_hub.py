"""Pushing to a hub that is a server of this process: what it is asked for, and what comes of its refusals."""

from __future__ import annotations

import base64
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from edgesft.cli.main import main
from edgesft.errors import InputError, UnavailableError
from edgesft.progress import Progress
from edgesft.ship import hub as hubs
from edgesft.ship.finding import RefusedError
from edgesft.ship.hub import push
from edgesft.ship.verify import verify

QUIET = Progress(quiet=True)


class Hub(ThreadingHTTPServer):
    """Answers as the hub does, and remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls: list[tuple[str, Any]] = []
        self.committed: dict[str, bytes] = {}
        self.there: list[str] = []
        self.wrong: list[str] = []
        self.status = 200


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *args: object) -> None:
        pass

    @property
    def home(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.calls.append((self.path, body))
        if self.server.status != 200 and self.path != "/api/repos/create":
            self.answer({"error": "no"}, self.server.status)
        elif self.path == "/api/repos/create":
            name = json.loads(body)["name"]
            self.answer({"url": f"{self.home}/me/{name}", "id": f"me/{name}"})
        elif self.path == "/api/validate-yaml":
            wrong = [{"message": each} for each in self.server.wrong]
            self.answer({"errors": wrong, "warnings": []}, 400 if wrong else 200)
        elif "/preupload/" in self.path:
            names = [each["path"] for each in json.loads(body)["files"]]
            self.answer({"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]})
        elif "/commit/" in self.path:
            for line in body.splitlines():
                said = json.loads(line)
                if said["key"] == "file":
                    self.server.committed[said["value"]["path"]] = base64.b64decode(said["value"]["content"])
                elif said["key"] == "deletedFile":
                    self.server.there.remove(said["value"]["path"])
            self.answer(
                {"success": True, "commitOid": "a" * 40, "commitUrl": f"{self.home}/me/words/commit/{'a' * 40}"}
            )
        else:
            self.answer({"error": "unknown"}, 404)

    def do_GET(self) -> None:
        self.server.calls.append((self.path, b""))
        if "/tree/" in self.path:
            told = {"type": "file", "oid": "c" * 40, "size": 1}
            self.answer([{**told, "path": name} for name in self.server.there])
            return
        self.answer({"id": "me/words", "sha": "b" * 40, "siblings": [], "private": False})

    def answer(self, value: Any, status: int = 200) -> None:
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    server = Hub()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("HF_TOKEN", "hf_test")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_what_arrives_is_a_whole_bundle_and_its_page(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    pushed = push(bundle, "me/words", private=True, progress=QUIET)
    assert pushed.url and "/me/words/commit/" in pushed.url
    assert json.loads(dict(hub.calls)["/api/repos/create"]).get("visibility") == "private"
    assert set(hub.committed) == set(pushed.files)
    for name, content in hub.committed.items():
        place = tmp_path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    assert verify(tmp_path / "bundle").holds
    page = (tmp_path / "README.md").read_text()
    assert page.startswith("---\nlicense: mit\n") and "Verdict: pass" in page
    assert "hf download me/words --include 'bundle/*' --local-dir words\nedgesft verify words/bundle" in page


def test_a_run_is_packed_first_and_nothing_goes_in_a_dry_run(
    run: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(run), "--to", "me/words", "--dry-run", "--quiet"]) == 0
    told = capsys.readouterr().out
    assert "these files would be uploaded" in told and "bundle/manifest.json" in told and "# " in told
    assert hub.calls == []


def test_a_base_model_that_is_none_of_the_hub_s_is_no_metadata(bundle: Path) -> None:
    assert "base_model:" not in push(bundle, "me/words", dry=True, progress=QUIET).page.split("---")[1]


@pytest.mark.parametrize("status", [401, 403])
def test_a_hub_that_refuses(status: int, bundle: Path, hub: Hub) -> None:
    hub.status = status
    with pytest.raises(InputError, match="hf auth login"):
        push(bundle, "me/words", progress=QUIET)


def test_a_hub_that_is_not_there(bundle: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="cannot be reached"):
        push(bundle, "me/words", progress=QUIET)


def test_a_bundle_that_was_changed_does_not_go(bundle: Path, hub: Hub, tmp_path: Path) -> None:
    copy = shutil.copytree(bundle, tmp_path / "copy")
    (copy / "MODEL_CARD.md").write_text("better")
    with pytest.raises(RefusedError):
        push(copy, "me/words", progress=QUIET)
    assert hub.calls == []


@pytest.mark.parametrize("name", ["words", "me/my--model", "me/model.", "me/x.git", "me/a..b", f"me/{'x' * 200}"])
def test_a_name_that_is_none(name: str, run: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "pack", None)  # nothing is packed for it
    with pytest.raises(InputError, match="--to must be"):
        push(run, name, progress=QUIET)
    assert hub.calls == []


def test_of_an_earlier_bundle_nothing_is_left(bundle: Path, hub: Hub) -> None:
    others = [".gitattributes", "README.md", "bundled/x", "notes/bundle/x"]
    hub.there = [*others, "bundle/signature.json", "bundle/models/int8-ort/model.ort", "bundle/contract.json"]
    push(bundle, "me/words", progress=QUIET)
    assert hub.there == [*others, "bundle/contract.json"] and "bundle/contract.json" in hub.committed


def test_metadata_that_the_hub_does_not_take(bundle: Path, hub: Hub) -> None:
    hub.wrong = ['"license" must be one of a list']
    with pytest.raises(InputError, match='the hub refused .* "license" must be one of a list'):
        push(bundle, "me/words", progress=QUIET)
    assert not hub.committed
