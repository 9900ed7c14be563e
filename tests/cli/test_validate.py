"""`edgesft validate` on files as people write them: what each is, every problem of all of them, nothing heavy."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edgesft.cli.main import main
from edgesft.errors import UnavailableError
from edgesft.report.sarif import VERSION
from edgesft.spec import load
from tests import chain

ROOT = Path(__file__).parents[2]
BUDGET = "version: 1\nprofile: ci\nsize_mb: 25\nlatency_ms: {p95: 5}\n"
WRONG = """\
version: 1
latency_s: 5
latency_ms: {p96: 5, p95: 5ms}
size_mb: '25 MB'
min_metric: {f1: 90%}
nodes: -1
"""


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(text, "utf-8")
    return str(path)


def test_several_files_of_each_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [write(tmp_path, "budget.yaml", BUDGET), str(load.shipped("profiles")["ci"]), str(ROOT / "bench/sst2.yaml")]
    assert main(["validate", "--schema-only", *files]) == 0
    out = capsys.readouterr().out.splitlines()
    assert [line.removeprefix(file) for line, file in zip(out, files, strict=True)] == [
        ": valid budget (2 limits)",
        ": valid profile 'ci'",
        ": valid recipe (6 stages, profile x86-1-thread)",
    ]


@pytest.mark.parametrize("file", sorted([*ROOT.glob("export/ci/budget*.yaml"), *ROOT.glob("profiles/*.yaml")]))
def test_what_ships_is_valid(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--schema-only", str(file)]) == 0
    assert "warning" not in capsys.readouterr().out


def test_a_setting_longer_than_any_name_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, "budget.yaml", BUDGET)
    assert main(["validate", file, f"operators=[{', '.join(['MatMul'] * 60)}]"]) == 0
    assert "valid budget (3 limits)" in capsys.readouterr().out


def test_a_budget_with_unknown_metrics_and_units(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", write(tmp_path, "budget.yaml", WRONG)]) == 2
    told = capsys.readouterr().err.replace(str(tmp_path), "").removeprefix("edgesft validate: ").splitlines()
    unit = "    Try: the number alone, in the unit that the key names"
    assert told == [
        "/budget.yaml:2 latency_s: 'latency_s' is not a key here",
        "    Try: 'latency_ms'",
        "/budget.yaml:3 latency_ms.p95: 'p95' must be a number. Got '5ms'",
        unit,
        "/budget.yaml:3 latency_ms.p96: 'p96' is not a key here",
        "    Try: 'p99'",
        "/budget.yaml:4 size_mb: 'size_mb' must be a number. Got '25 MB'",
        unit,
        "/budget.yaml:5 min_metric.f1: 'f1' must be a number. Got '90%'",
        "    Try: f1: 0.9",
        "/budget.yaml:6 nodes: 'nodes' must be greater than 0. Got -1",
    ]


def test_all_problems_of_all_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = write(tmp_path, "a.yaml", BUDGET), write(tmp_path, "b.yaml", BUDGET.replace("size_mb", "size_bm"))
    other = write(tmp_path, "workflow.yaml", "name: x\non: push\njobs: {}\n")
    profile = write(tmp_path, "c.yaml", BUDGET.replace("profile: ci", "profile: cii"))
    assert main(["validate", good, bad, other, profile, str(tmp_path / "none.yaml")]) == 2
    told = capsys.readouterr()
    assert told.out == f"{good}: valid budget (2 limits)\n"
    for message in (
        f"{bad}:3 size_bm: 'size_bm' is not a key here",
        f"{other}: must be a recipe, a device profile, a budget or a file of devices. Got the keys name, on, jobs",
        f"{profile}:2 profile: 'profile' must be a known profile or a YAML file. Got 'cii'",
        "none.yaml' must exist",
    ):
        assert message in told.err


def test_a_profile_beside_the_budget(tmp_path: Path) -> None:
    write(tmp_path, "board.yaml", load.shipped("profiles")["ci"].read_text("utf-8"))
    assert main(["validate", write(tmp_path, "budget.yaml", BUDGET.replace("ci", "board.yaml"))]) == 0


def test_a_budget_without_limits_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", write(tmp_path, "budget.yaml", "version: 1\n")]) == 0
    assert "has no limits of its own" in capsys.readouterr().out


def test_the_files_alone_or_all_they_name(tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = chain.write(tmp_path, bert)
    assert main(["validate", str(recipe)]) == 0
    (tmp_path / "train.jsonl").unlink()
    assert main(["validate", str(recipe)]) == 2
    assert "no such file" in capsys.readouterr().err
    assert main(["validate", "--schema-only", str(recipe)]) == 0
    assert main(["validate", "--schema-only", str(recipe), "budget.max_drop={acuracy: 0.1}", "task=x"]) == 2
    assert main(["validate", "--schema-only", str(recipe), "profile=nowhere", "budget.max_drop={acuracy: 0.1}"]) == 2
    err = capsys.readouterr().err
    assert "'nowhere'" in err and "'acuracy', which this task does not measure" in err


def test_values_replace_those_of_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budget, profile = write(tmp_path, "budget.yaml", BUDGET), str(load.shipped("profiles")["ci"])
    assert main(["validate", budget, "size_mb=0"]) == 2
    assert "command line 'size_mb=0'" in capsys.readouterr().err
    assert main(["validate", profile, "threads=0"]) == 2
    assert "'threads' must be greater than or equal to 1" in capsys.readouterr().err
    assert main(["validate", budget, profile, "size_mb=1"]) == 2
    assert "a single file if values override its own" in capsys.readouterr().err
    assert main(["validate", "size_mb=1"]) == 2


def test_json_sarif_and_github(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    write(tmp_path, "budget.yaml", WRONG)
    assert main(["validate", "budget.yaml", "--format", "json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "fail" and len(found["problems"]) == 6
    assert found["problems"][0] == {
        "message": "'latency_s' is not a key here",
        "hint": "'latency_ms'",
        "file": "budget.yaml",
        "line": 2,
        "key": "latency_s",
    }
    assert main(["validate", "budget.yaml", "--format", "sarif"]) == 2
    log = json.loads(capsys.readouterr().out)
    places = [result["locations"][0]["physicalLocation"] for result in log["runs"][0]["results"]]
    assert log["version"] == VERSION and [place["region"]["startLine"] for place in places] == [2, 3, 3, 4, 5, 6]
    assert all(place["artifactLocation"]["uri"] == "budget.yaml" for place in places)
    assert main(["validate", "budget.yaml", "none.yaml", "--format", "github"]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "::error file=budget.yaml,line=2,title=edgesft::'latency_s' is not a key here. Try: 'latency_ms'"
    assert lines[-1].startswith("::error file=none.yaml,title=edgesft::the file 'none.yaml' must exist")


def test_what_cannot_be_checked_here_does_not_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> None:
        raise UnavailableError("the model is not on this machine", "download it")

    monkeypatch.setattr("edgesft.pipeline.check.check", unavailable)
    monkeypatch.chdir(tmp_path)
    chain.write(Path(), Path("bert"))
    write(tmp_path, "budget.yaml", "version: 1\n")
    words = ["validate", "recipe.yaml", "budget.yaml", "--format"]
    assert main([*words, "json"]) == 4
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "error" and found["problems"] == []
    assert [(row["file"], row["message"]) for row in found["missing"]] == [
        ("recipe.yaml", "the model is not on this machine")
    ]
    assert [row["file"] for row in found["warnings"]] == ["budget.yaml"]
    assert main([*words, "sarif"]) == 4
    (log,) = json.loads(capsys.readouterr().out)["runs"]
    assert not log["invocations"][0]["executionSuccessful"] and log["results"][0]["level"] == "warning"
    assert main([*words, "github"]) == 4
    error, warning = capsys.readouterr().out.splitlines()
    assert error.startswith("::error file=recipe.yaml,title=edgesft::the model is not on this machine")
    assert warning.startswith("::warning file=budget.yaml,title=edgesft::the budget has no limits")


def test_garbage_is_looked_for_afterwards_as_it_was_before(tmp_path: Path) -> None:
    usual = gc.get_threshold()
    assert main(["validate", write(tmp_path, "budget.yaml", BUDGET)]) == 0
    assert main(["validate", str(tmp_path / "none.yaml")]) == 2
    assert gc.get_threshold() == usual


def test_nothing_heavy_is_imported(tmp_path: Path, bert: Path) -> None:
    """A hook runs before each commit."""
    recipe, budget = chain.write(tmp_path, bert), write(tmp_path, "budget.yaml", BUDGET)
    code = f"""
import sys
from edgesft.cli.main import main
assert main(["validate", "--schema-only", {str(recipe)!r}, {budget!r}]) == 0
print(sorted(set(sys.modules) & {{"torch", "transformers", "onnx", "onnxruntime"}}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
