"""The commands as a person calls them: output, exit codes, nothing overwritten."""

from __future__ import annotations

import argparse
import json
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest
from rich.console import Console

from edgesft.api import ProfileResult, Result
from edgesft.cli import missing, run
from edgesft.cli.main import COMMANDS, main
from edgesft.report.table import tables
from edgesft.spec import load
from tests import chain

BENCH = Path(__file__).parents[2] / "bench"


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0 and f"edgesft {command}" in capsys.readouterr().out


def test_an_unknown_command_is_bad_input() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["rnu"])
    assert ended.value.code == 2


def test_what_to_try_next_is_the_command_as_it_was_given(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    run.arguments(parser)
    given = run.again(parser.parse_args(["my recipes/a.yaml", "seed=1", "--output", "runs/a b", "--quiet"]))
    results = {
        **{name: [] for name in ("stages", "budget", "warnings")},
        **{"verdict": "fail", "profile": "here", "metric": "accuracy", "split": "test"},
        "suggestions": [
            {"change": "less", "evidence": "seen", "settings": ["stages.prune.latency=0.3"], "values": {}, "drop": None}
        ],
    }
    console = Console(width=200)
    with console.capture() as capture:
        console.print(tables(results, given))
    assert "edgesft run --output 'runs/a b' 'my recipes/a.yaml' seed=1 stages.prune.latency=0.3" in capture.get()
    trial = {"settings": {"epochs": 2.0}, "value": 0.9, "problem": None, "seconds": 1.0}
    tuning = {"metric": "accuracy", "space": {"epochs": []}, "trials": [trial], "chosen": 0, "reason": "better"}
    tuned = {**results, "tuning": {**tuning, "arguments": ["stages.finetune.epochs=2"]}}
    run._print_tables(Result({"here": ProfileResult(Path(), tuned)}), given)
    assert "seed=1 stages.finetune.epochs=2 stages.prune.latency=0.3" in capsys.readouterr().out


def test_recipes_and_profiles_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipes"]) == 0 and main(["profiles"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in (*load.shipped("recipes"), *load.shipped("profiles")))


def test_one_profile_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profiles", "raspberry-pi-5"]) == 0
    assert "name: raspberry-pi-5" in capsys.readouterr().out
    assert main(["profiles", "raspbery-pi-5"]) == 2
    assert "'raspberry-pi-5'" in capsys.readouterr().err


def test_a_profile_of_one_s_own_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(load.shipped("profiles")["ci"].read_text("utf-8"), "utf-8")
    assert main(["profiles", str(file)]) == 0
    assert capsys.readouterr().out == file.read_text("utf-8")


def test_the_shipped_devices_are_valid(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(BENCH / "devices.yaml")]) == 0
    assert "valid devices (qnn, openvino, webgpu, arm64, gpu)" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["recipe", "profile", "budget", "devices"])
def test_schema(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", what]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["additionalProperties"] is False and schema["properties"]


RECIPES = [path for path in BENCH.glob("*.yaml") if path.stem != "devices"]


@pytest.mark.parametrize("path", [*load.shipped("recipes").values(), *RECIPES], ids=lambda path: path.stem)
def test_shipped_recipes_follow_the_schema(path: Path) -> None:
    recipe, problems, document = load.recipe(path)
    assert recipe is not None and not problems
    from edgesft.pipeline.plan import order_problems

    assert order_problems(recipe, document) == []
    assert path.read_text().startswith("# ")


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "CPUExecutionProvider" in found["providers"] and found["versions"]["torch"]
    assert found["machine"]["cores"] >= 1 and not found["profiles"]["this-machine"]
    gpu = "provider: the profile is for CUDA, which is not available"
    assert ("CUDAExecutionProvider" in found["devices"]["here"]["providers"]) != (
        gpu in found["profiles"]["desktop-gpu"]
    )
    assert found["extras"]["report"]["install"] == "pip install 'edgesft[report]'" and "dev" not in found["extras"]
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "execution providers" in out and "extras" in out and "valgrind" in out


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    needs = ["torch>=2", 'matplotlib>=3; extra == "report"', 'no-such-package; extra == "report"', "x; extra == 'dev'"]
    monkeypatch.setattr(missing.metadata, "requires", lambda name: needs)
    monkeypatch.setattr(missing.shutil, "which", lambda name: None)
    facts = {"extras": missing.extras(), "tools": missing.tools()}
    told = "\n".join(missing.lines(facts))
    assert "not installed: no-such-package; pip install 'edgesft[report]'" in told and "dev" not in told
    assert "not installed; apt-get install valgrind" in told


def test_validate_and_plan(tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(chain.write(tmp_path, bert))
    assert main(["validate", recipe]) == 0 and "valid" in capsys.readouterr().out
    assert main(["validate", recipe, "stages.prune.parameters=2"]) == 2
    assert "'parameters' must be less than 1" in capsys.readouterr().err
    assert main(["plan", recipe]) == 0
    out = capsys.readouterr().out
    assert "export for quantize" in out and "to do" in out and "parameters=0.7" in out


def test_what_the_terminal_cannot_hold_is_escaped(tmp_path: Path, bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = BytesIO(), BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(out, "cp1252"))
    monkeypatch.setattr(sys, "stderr", TextIOWrapper(err, "ascii"))
    assert main(["plan", str(chain.write(tmp_path, bert))]) == 0
    assert main(["plan", "größe.yaml"]) == 2
    sys.stderr.flush()
    assert rb"torch \u2192 torch" in out.getvalue() and rb"gr\xf6\xdfe.yaml" in err.getvalue()


def test_the_plan_s_keys_follow_what_matters(tmp_path: Path, bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = str(chain.write(tmp_path, bert))

    def keys(*settings: str) -> list[str]:
        assert main(["plan", recipe, "--format", "json", *settings]) == 0
        return [step["key"] for step in json.loads(capsys.readouterr().out)["here"]][:2]

    same, other_test = keys(), keys("data.test=dev.jsonl", "data.allow_overlap=true")
    assert same == other_test, "the test rows make no other model"
    assert keys("stages.prune.parameters=0.6")[0] == same[0] and keys("stages.prune.parameters=0.6")[1] != same[1]
    assert keys("seed=1")[0] != same[0]
    assert keys("stages.prune.name=x", "stages.prune.keep=auto") == same
