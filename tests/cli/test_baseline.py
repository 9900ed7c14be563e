"""`edgesft baseline` as a person calls it: output, exit codes, nothing overwritten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from edgesft.cli.main import main
from edgesft.gate.baseline import Acceptance, Baseline
from tests.gate.baselines import baseline, document, entry, key, save, timing

TODAY = datetime.now(UTC).date()
LATER = str(TODAY + timedelta(days=30))
FILE = Path("baseline.json")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(*names: str, words: Any = ()) -> int:
    return main(["baseline", "update", *names, "--baseline", str(FILE), *words])


def accept(line: str = "max_growth.size", **options: str) -> int:
    told = {"model": "m.onnx", "up_to": "0.05", "reason": "a new head", "until": LATER} | options
    words = [word for name, value in told.items() for word in (f"--{name.replace('_', '-')}", value)]
    return main(["baseline", "accept", line, "--baseline", str(FILE), *words])


def accepted(days: int, **changes: Any) -> Acceptance:
    told = {"line": "max_growth.size", "model": "m.onnx", "up_to": 0.1, "reason": "a head"}
    return Acceptance(**(told | {"until": TODAY + timedelta(days=days)} | changes))


def error(capsys: pytest.CaptureFixture[str]) -> str:
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("edgesft baseline: ")
    return err


# update ---------------------------------------------------------------------------------------------------------------


def test_a_file_is_made_and_then_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("check.json"), document(p50=timing(1_000_000, 10)))
    assert put("check.json") == 0
    assert "baseline.json' has 1 entry" in capsys.readouterr().out
    assert Baseline.read(FILE).entries == (entry(p50=timing(1_000_000, 10)),)
    before = FILE.read_bytes(), FILE.stat().st_mtime_ns, FILE.stat().st_ino
    save(Path("check.json"), document(p50=timing(1_000_000, 10), changes={"created": "2031-01-01T00:00:00+00:00"}))
    assert put("check.json") == 0
    assert "is unchanged" in capsys.readouterr().out
    assert before == (FILE.read_bytes(), FILE.stat().st_mtime_ns, FILE.stat().st_ino)


def test_what_changed_is_printed_figure_by_figure(capsys: pytest.CaptureFixture[str]) -> None:
    save(FILE, baseline(entry(macs=5, off_provider=0, p50=timing(1_000_000)), entry(key(profile="pi"))).text())
    save(Path("check.json"), document(size=1050, off_provider=2, p50=timing(900_000)))
    assert put("check.json") == 0
    rows = [line.split("│")[2:] for line in capsys.readouterr().out.splitlines() if line.count("│") > 4]
    told = {row[0].strip(): [cell.strip() for cell in row[1:4]] for row in rows}
    assert told == {
        "size": ["1,000 bytes", "1,050 bytes", "+5 %"],
        "p50": ["1 ms", "0.9 ms", "-10 %"],
        "macs": ["5", "–", "no longer there"],
        "off_provider": ["0", "2", "from 0"],
    }
    assert len(Baseline.read(FILE).entries) == 2


def test_a_dry_run_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("check.json"), document())
    assert put("check.json", words=["--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "would have 1 entry; nothing was written" in out and "1,000 bytes" in out
    assert not FILE.exists() and [path.name for path in Path().iterdir()] == ["check.json"]


def test_several_checks_and_options_in_any_order() -> None:
    save(Path("a.json"), document())
    save(Path("b.json"), document(key(threads=2)))
    save(FILE, baseline(entry(key(runtime="1.31.0"))).text())
    assert main(["baseline", "update", "a.json", "--baseline", str(FILE), "--prune", "b.json"]) == 0
    assert [each.key for each in Baseline.read(FILE).entries] == [key(), key(threads=2)]


def test_a_model_is_kept_under_another_name() -> None:
    save(Path("check.json"), document())
    assert put("check.json", words=["--model", "n.onnx"]) == 0
    assert [each.key.model for each in Baseline.read(FILE).entries] == ["n.onnx"]


def test_failed_checks_are_taken_by_force_only(capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("check.json"), document(lines=[("size_mb", "fail")]))
    assert put("check.json") == 2
    assert "got a failure of size_mb" in error(capsys) and not FILE.exists()
    assert put("check.json", words=["--force"]) == 0 and FILE.exists()


@pytest.mark.parametrize("text", ["", "{", json.dumps(document()), '{"schema": "edgesft/baseline"}', "\x93NUMPY"])
def test_a_damaged_baseline_is_never_overwritten(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    save(FILE, text)
    save(Path("bad.json"), json.dumps(document())[:-40])
    save(Path("good.json"), document())
    for words in ((), ("--force", "--prune")):
        assert put("good.json", "bad.json", "none.json", words=words) == 2
        told = error(capsys)
        assert "baseline.json" in told and "bad.json" in told and "none.json" in told
    assert FILE.read_text() == text
    assert put("good.json") == 2 and FILE.read_text() == text
    assert main(["baseline", "show", str(FILE)]) == 2 and accept() == 2 and FILE.read_text() == text


def test_one_bad_check_keeps_the_good_ones_out(capsys: pytest.CaptureFixture[str]) -> None:
    save(FILE, text := baseline(entry(size=7)).text())
    save(Path("good.json"), document())
    save(Path("newer.json"), document(changes={"schema_version": 2}))
    assert put("good.json", "newer.json") == 2
    assert "at most 1 for this edgesft, got 2" in error(capsys) and FILE.read_text() == text


def test_the_folder_must_exist(capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("check.json"), document())
    assert main(["baseline", "update", "check.json", "--baseline", "none/baseline.json"]) == 2
    assert "must lie in a folder that exists" in error(capsys)
    assert main(["baseline", "update", "check.json", "--baseline", "x" * 5000]) == 2
    assert main(["baseline", "update", "check.json", "--baseline", "."]) == 2


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="everything is writable to root")
def test_a_folder_that_is_read_only(capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("check.json"), document())
    Path().chmod(0o500)
    assert put("check.json") == 4
    Path().chmod(0o700)


def test_acceptances_that_served_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    of_nodes = accepted(9, line="max_growth.nodes", profile="ci")
    base = baseline(entry(), entry(key(profile="pi")), accepted=[accepted(9), of_nodes])
    save(FILE, base.text())
    save(Path("check.json"), document(size=1010, nodes=11))
    assert put("check.json") == 0
    out = capsys.readouterr().out
    assert "acceptance of max_growth.nodes of m.onnx, profile ci: removed" in out
    assert "acceptance of max_growth.size of m.onnx, all profiles: kept, because other entries were not updated" in out
    assert Baseline.read(FILE).accepted == (accepted(9),)


def test_unsteady_times_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    save(Path("check.json"), document(p50=timing(100), unsteady=["latency drifted by +12%"]))
    assert put("check.json") == 0
    assert "these are not used for comparing percentiles: latency drifted by +12%" in capsys.readouterr().out


# show -----------------------------------------------------------------------------------------------------------------


def test_show_tells_entries_and_what_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    over = accepted(-1, line="max_growth.nodes", reason="[bold]")
    save(FILE, baseline(entry(p50=timing(1_250_000)), accepted=[accepted(0), over]).text())
    assert main(["baseline", "show", str(FILE)]) == 0
    out, err = capsys.readouterr()
    assert all(word in out for word in ("m.onnx", "1.25 ms", "1,000 bytes", "a core", "4 cores", "1.32.0", "[bold]"))
    assert f"{TODAY - timedelta(days=1)}, expired" in out and out.count("expired") == 1
    assert f"max_growth.nodes of m.onnx, all profiles: expired on {TODAY - timedelta(days=1)} ([bold])" in err


def test_show_prints_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    save(FILE, json.dumps(baseline(entry(), entry(key(profile="a"))).to_json()))
    assert main(["baseline", "show", str(FILE), "--format", "json"]) == 0
    out = capsys.readouterr().out
    assert out == Baseline.read(FILE).text() and out.count("\n") > 10


def test_an_empty_baseline_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    save(FILE, Baseline(FILE).text())
    assert main(["baseline", "show", str(FILE)]) == 0
    assert "0 entries" in capsys.readouterr().out


# accept ---------------------------------------------------------------------------------------------------------------


def test_accept_adds_and_replaces(capsys: pytest.CaptureFixture[str]) -> None:
    save(FILE, baseline(accepted=[accepted(3, line="max_growth.nodes")]).text())
    assert accept() == 0
    assert accept(up_to="0.2", reason="größer") == 0
    assert "in place of an earlier acceptance" in capsys.readouterr().out
    assert accept(profile="ci", until=str(TODAY)) == 0
    found = Baseline.read(FILE).accepted
    assert [(each.line, each.profile, each.up_to) for each in found] == [
        ("max_growth.nodes", None, 0.1),
        ("max_growth.size", None, 0.2),
        ("max_growth.size", "ci", 0.05),
    ]
    assert found[1].reason == "größer" and found[2].until == TODAY and Baseline.read(FILE).entries == (entry(),)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"line": "max_growth.sise"}, "'max_growth.size'"),
        ({"line": "size"}, "'max_growth.size'"),
        ({"up_to": "0"}, "--up-to"),
        ({"up_to": "-0.1"}, "--up-to"),
        ({"up_to": "nan"}, "--up-to"),
        ({"up_to": "5%"}, "--up-to"),
        ({"reason": "  "}, "--reason must be a text"),
        ({"until": "2000-01-01"}, f"--until must be today ({TODAY}, by UTC) or later, got 2000-01-01"),
        ({"until": "soon"}, "--until must be a date, got 'soon'"),
        ({"model": "n.onnx"}, "must have an entry of model 'n.onnx'"),
        ({"profile": "pi"}, "Try: 'ci'"),
    ],
)
def test_what_cannot_be_accepted(options: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    save(FILE, text := baseline().text())
    assert accept(**options) == 2
    assert words in error(capsys) and FILE.read_text() == text


def test_everything_that_is_wrong_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert accept("max_growth.x", up_to="x", reason="", until="x") == 2
    told = error(capsys)
    assert all(word in told for word in ("LINE", "--up-to", "--reason", "--until", "baseline.json' must exist"))


def test_an_action_must_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ([], ["updat"], ["update"], ["update", "x.json"]):
        with pytest.raises(SystemExit) as ended:
            main(["baseline", *words])
        assert ended.value.code == 2
    assert "ACTION" in capsys.readouterr().err


def test_a_terminal_that_knows_ascii_alone() -> None:
    save(FILE, baseline(entry(key(model="größe.onnx"))).text())
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-m", "edgesft", "baseline", "show", str(FILE)]
    done = subprocess.run(words, capture_output=True, env=environment)
    assert done.returncode == 0 and b"gr\\xf6\\xdfe.onnx" in done.stdout
