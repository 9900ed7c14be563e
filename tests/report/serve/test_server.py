"""The server of a folder: what it shows, and what it does not."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError, UnavailableError
from edgesft.report.serve.server import Server, serve
from tests.report.gates import check
from tests.report.html import made
from tests.report.html.reading import Page, read

EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("runs")
    fast, slow = made.results(), made.results(stages=[made.stage(0)], verdict="pass", profile="phone")
    for name, found in (("fast", fast), ("deep/slow run", slow), (EVIL.replace("/", "_"), fast)):
        (home / name).mkdir(parents=True)
        (home / name / "results.json").write_text(json.dumps(found))
    (home / "check.json").write_text(json.dumps(check()))
    (home / "other.json").write_text("{}")
    (home / "broken").mkdir()
    (home / "broken" / "results.json").write_text("{")
    (home / "lying").mkdir()
    (home / "lying" / "results.json").write_text('{"schema": "edgesft/bench", "schema_version": 1}')
    (home.parent / "secret.json").write_text(json.dumps(fast))
    return home


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    with serve(folder, 0) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def get(server: Server, path: str, host: str | None = None, method: str = "GET") -> tuple[int, str]:
    port = server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def page(server: Server, path: str) -> Page:
    status, text = get(server, path)
    assert status == 200, text
    return read(text)


def names(found: Page) -> list[str]:
    return [str(each["href"]) for each in found.all("a") if str(each["href"]).startswith("/run/")]


def test_the_index_lists_what_is_there(server: Server) -> None:
    found = page(server, "/")
    assert len(names(found)) == 5 and "5 of 5 documents" in found.text and "1 files are not shown" in found.text
    assert "69.2" in found.text and "a check" in found.text


def test_sorting(server: Server) -> None:
    up = names(page(server, "/?sort=p50_ns&down=0"))
    down = names(page(server, "/?sort=p50_ns&down=1"))
    assert "slow" in down[0] and "slow" in up[2], "those without a figure come last"
    assert names(page(server, "/?sort=nothing"))


def test_filtering(server: Server) -> None:
    assert names(page(server, "/?text=PHONE")) == ["/run/deep/slow%20run/results.json"]
    assert len(names(page(server, "/?verdict=fail"))) == 3
    assert "No run matches" in page(server, "/?text=zzz").text
    assert EVIL in [each.get("value") for each in page(server, f"/?text={EVIL}").all("input")]


def test_a_run(server: Server) -> None:
    found = page(server, "/run/deep/slow%20run/results.json")
    assert "What each stage bought" in found.text and {"href": "/"} in found.all("a")
    assert get(server, "/run/fast/results.json") == get(server, "/run/fast/results.json")


def test_two_runs_beside_each_other(server: Server) -> None:
    found = page(server, "/compare?run=fast/results.json&run=deep/slow%20run/results.json")
    assert "Comparison: fast, deep/slow run" in found.text
    assert "Select two or more runs" in page(server, "/compare?run=fast/results.json").text


@pytest.mark.parametrize(
    "path",
    [
        "/run/../secret.json",
        "/run/..%2Fsecret.json",
        "/run/%2Fetc%2Fpasswd",
        "/run/other.json",
        "/run/broken/results.json",
        "/compare?run=fast/results.json&run=check.json",
        "/nothing",
    ],
)
def test_nothing_else_is_read(server: Server, path: str) -> None:
    assert get(server, path)[0] == 404


def test_a_document_that_is_not_what_it_says(server: Server) -> None:
    assert get(server, "/run/lying/results.json")[0] == 422
    assert get(server, "/")[0] == 200


@pytest.mark.parametrize("stages", [None, [{"name": "finetune", "kept": True}]])
def test_a_damaged_run_hides_no_other(server: Server, folder: Path, stages: Any) -> None:
    (folder / "hurt").mkdir(exist_ok=True)
    file = folder / "hurt" / "results.json"
    file.write_text(json.dumps({**made.results(), "stages": stages}))
    found = page(server, "/")
    assert len(names(found)) == 5 and "'hurt/results.json' was not written by edgesft, or is damaged" in found.text
    file.unlink()


def test_a_page_of_elsewhere_may_not_ask(server: Server) -> None:
    """Or a site whose name resolves to this machine could read the runs."""
    assert get(server, "/", host="evil.example")[0] == 403
    assert get(server, "/", host="localhost:1")[0] == 200


def test_it_changes_nothing_and_answers_this_machine_alone(server: Server) -> None:
    assert get(server, "/", method="POST")[0] == 501 and get(server, "/", method="HEAD") == (200, "")
    assert server.server_address[0] == "127.0.0.1"


def test_a_run_that_changes_is_read_again(server: Server, folder: Path) -> None:
    (folder / "new").mkdir()
    file = folder / "new" / "results.json"
    file.write_text(json.dumps(made.results(stages=[made.stage(0)], warnings=["first"])))
    assert "first" in page(server, "/run/new/results.json").text
    file.write_text(json.dumps(made.results(stages=[made.stage(0)], warnings=["second one"])))
    assert "second one" in page(server, "/run/new/results.json").text
    file.unlink()
    assert get(server, "/run/new/results.json")[0] == 404


def test_a_folder_that_is_not_there_and_a_port_that_is_taken(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a folder"):
        serve(tmp_path / "missing", 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UnavailableError, match="cannot be served on"):
            serve(tmp_path, taken.getsockname()[1])
    with pytest.raises(UnavailableError):
        serve(tmp_path, 99999)


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT to one process")
def test_ctrl_c_ends_it_cleanly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgesft", "report", "--serve", str(tmp_path), "--port", "0"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # A suite that runs in the background may have the signal ignored, which processes inherit.
    with subprocess.Popen(command, **pipes, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)) as process:
        try:
            assert process.stdout and "http://127.0.0.1:" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0 and said.strip() == "report: ended"
