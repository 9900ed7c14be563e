"""The composite action: its script is really run, with an edgesft that notes its arguments in place of the real one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesft.cli.main import parser
from tests.measure import models

ACTION = yaml.safe_load((Path(__file__).parents[1] / "action.yml").read_text("utf-8"))
STEPS = {step.get("name", step.get("uses")): step for step in ACTION["runs"]["steps"]}
GATE = STEPS["Gate"]
REAL = f"""#!{sys.executable}
from edgesft.cli.main import main
raise SystemExit(main())
"""

FAKE = f"""#!{sys.executable}
import json, os, pathlib, sys
words = sys.argv[1:]
pathlib.Path(os.environ["FAKE_WORDS"]).write_text(json.dumps(words))
file = next(word.removeprefix("--also=json=") for word in words if word.startswith("--also=json="))
if os.environ["FAKE_VERDICT"]:
    pathlib.Path(file).write_text(json.dumps({{"verdict": os.environ["FAKE_VERDICT"]}}))
sys.exit(int(os.environ["FAKE_CODE"]))
"""

HOSTILE = [
    "a b",
    "it's",
    '"x"',
    "$(touch taken)",
    "`touch taken`",
    "a;touch taken",
    "*",
    "-x",
    "--help",
    "ü\\n",
    "a\nb",
]

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is what the action's steps run in")


class Ran:
    """What came of a step."""

    def __init__(self, folder: Path, code: int, said: str) -> None:
        self.code, self.said = code, said
        words = folder / "words.json"
        self.words: list[str] | None = json.loads(words.read_text()) if words.exists() else None
        lines = (folder / "output").read_text().splitlines()
        self.outputs = dict(line.split("=", 1) for line in lines)
        self.summary = (folder / "summary").read_text()


def gate(folder: Path, verdict: str = "pass", code: int = 0, command: str = FAKE, **inputs: str) -> Ran:
    """Runs the step `Gate` as GitHub's runner does."""
    commands = folder / "bin"
    commands.mkdir()
    (commands / "edgesft").write_text(command)
    (commands / "edgesft").chmod(0o755)
    for name in ("output", "summary"):
        (folder / name).touch()
    names = {name: re.fullmatch(r"\$\{\{ inputs\.(\S+) \}\}", text)[1] for name, text in GATE["env"].items()}
    given = {"artefact": "model.onnx"} | {name.replace("_", "-"): text for name, text in inputs.items()}
    assert set(given) <= set(names.values())
    script = folder / "step.sh"
    script.write_text(GATE["run"])
    environment = {
        "PATH": f"{commands}:{Path(sys.executable).parent}:/usr/bin:/bin",
        "GITHUB_OUTPUT": str(folder / "output"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
        "RUNNER_TEMP": str(folder),
        "FAKE_WORDS": str(folder / "words.json"),
        "FAKE_VERDICT": verdict,
        "FAKE_CODE": str(code),
        **{name: given.get(name_of, "") for name, name_of in names.items()},
    }
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)]
    done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert not (folder / "taken").exists(), "an input was read as code"
    return Ran(folder, done.returncode, done.stdout + done.stderr)


def parsed(words: list[str]) -> Any:
    """The words as the real command line takes them."""
    return parser().parse_args(words)


def test_no_input_is_pasted_into_a_script() -> None:
    for step in STEPS.values():
        assert "${{" not in step.get("run", "")
        if "run" in step:
            assert step["shell"] == "bash"


def test_every_input_is_used_and_every_output_made() -> None:
    text = json.dumps(ACTION["runs"])
    used = set(re.findall(r"inputs\.([\w-]+)", text))
    assert used == set(ACTION["inputs"])
    assert all(each.get("description") for each in (*ACTION["inputs"].values(), *ACTION["outputs"].values()))
    assert {each["value"] for each in ACTION["outputs"].values()} == {
        f"${{{{ steps.gate.outputs.{name} }}}}" for name in ACTION["outputs"]
    }


@needs_bash
@pytest.mark.parametrize("name", [name for name, step in STEPS.items() if "run" in step])
def test_bash_can_read_the_scripts(name: str) -> None:
    subprocess.run(["bash", "-n"], input=STEPS[name]["run"], text=True, check=True)


@needs_bash
@pytest.mark.parametrize(
    ("verdict", "code"), [("pass", 0), ("fail", 1), ("inconclusive", 3), ("inconclusive", 0), ("inconclusive", 1)]
)
def test_the_verdict_and_the_exit_code_go_on(verdict: str, code: int, tmp_path: Path) -> None:
    ran = gate(tmp_path, verdict, code, budget="budget.yaml")
    assert ran.code == code and ran.outputs["exit-code"] == str(code) and ran.outputs["verdict"] == verdict
    assert json.loads(Path(ran.outputs["results"]).read_text())["verdict"] == verdict
    assert ran.summary == "", "edgesft itself writes the summary of a verdict"


@needs_bash
@pytest.mark.parametrize(
    ("verdict", "code", "exits"), [("", 2, 2), ("", 4, 4), ("", 130, 130), ("", 0, 4), ("maybe", 0, 4), ("", 1, 1)]
)
def test_no_verdict_does_not_hold(verdict: str, code: int, exits: int, tmp_path: Path) -> None:
    ran = gate(tmp_path, verdict, code, budget="budget.yaml")
    assert ran.code == exits and ran.outputs == {"verdict": "error", "exit-code": str(exits), "results": ""}
    assert "::error title=edgesft::" in ran.said and "no verdict" in ran.summary


@needs_bash
def test_a_check_s_command(tmp_path: Path) -> None:
    ran = gate(
        tmp_path,
        budget="budget.yaml",
        baseline="baseline.json",
        measurements="device.jsonl",
        profile="ci",
        rows="test.jsonl",
        on_inconclusive="warn",
        formats="junit=junit.xml\r\n\nsarif=edgesft.sarif\n",
        args="--axis\nsequence=64",
    )
    assert ran.words is not None
    options = parsed(ran.words)
    assert options.command == "check" and options.words == ["model.onnx"]
    assert (options.budget, options.baseline, options.measurements, options.rows) == tuple(
        map(Path, ("budget.yaml", "baseline.json", "device.jsonl", "test.jsonl"))
    )
    assert options.profile == "ci" and options.on_inconclusive == "warn" and options.format == "github"
    assert options.also[:2] == ["junit=junit.xml", "sarif=edgesft.sarif"] and options.also[2].startswith("json=")
    assert options.axis == ["sequence=64"]


@needs_bash
def test_a_comparison_s_command(tmp_path: Path) -> None:
    ran = gate(tmp_path, compare_with="base/model.onnx", min_effect="0.05", artefact="-new.onnx")
    assert ran.words is not None
    options = parsed(ran.words)
    assert options.command == "compare" and options.words == ["./-new.onnx", "base/model.onnx"]
    assert options.min_effect == 0.05 and options.on_inconclusive is None


@needs_bash
@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"artefact": ""}, "artefact must be given"),
        ({"compare_with": "b.onnx", "budget": "budget.yaml"}, "use the action once for each"),
        ({"min_effect": "0.05"}, "give compare-with, too"),
    ],
)
def test_inputs_that_do_not_go_together(inputs: dict[str, str], message: str, tmp_path: Path) -> None:
    ran = gate(tmp_path, **inputs)
    assert ran.code == 2 and message in ran.said and ran.words is None and ran.outputs["verdict"] == "error"


@needs_bash
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_an_input_holds_is_never_code(text: str, tmp_path: Path) -> None:
    ran = gate(tmp_path, artefact=text, budget=text, profile=text, baseline=text)
    assert ran.words is not None
    assert ran.words[1] == (f"./{text}" if text.startswith("-") else text)
    assert [f"--{name}={text}" for name in ("budget", "baseline", "profile")] == ran.words[2:5]
    assert ran.code == 0 and ran.outputs["verdict"] == "pass"


@needs_bash
@pytest.mark.parametrize("text", [text for text in HOSTILE if "\n" not in text], ids=str)
def test_a_line_of_formats_is_one_word(text: str, tmp_path: Path) -> None:
    ran = gate(tmp_path, budget="budget.yaml", formats=f"junit={text}\n{text}", args=text)
    assert ran.words is not None
    assert f"--also=junit={text}" in ran.words and f"--also={text}" in ran.words and ran.words[-1] == text


@needs_bash
@pytest.mark.parametrize(("limit", "verdict", "code"), [("1", "pass", 0), ("0.000001", "fail", 1), ("1MB", "error", 2)])
def test_with_the_real_command(limit: str, verdict: str, code: int, tmp_path: Path) -> None:
    models.save_product(tmp_path / "model.onnx")
    (tmp_path / "budget.yaml").write_text(f"size_mb: {limit}\n")
    ran = gate(tmp_path, command=REAL, budget="budget.yaml", formats="junit=junit.xml\nsarif=edgesft.sarif")
    assert ran.code == code and ran.outputs["verdict"] == verdict
    assert "size_mb" in (ran.said if code == 2 else ran.summary)
    if code == 2:
        assert "no verdict" in ran.summary and not (tmp_path / "junit.xml").exists()
        return
    found = json.loads(Path(ran.outputs["results"]).read_text())
    assert found["verdict"] == verdict and found["lines"][0]["name"] == "size_mb"
    assert "<testsuite" in (tmp_path / "junit.xml").read_text()
    assert ("::error file=budget.yaml,line=1," in ran.said) is (verdict == "fail")
