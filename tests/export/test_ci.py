"""The pipelines that `edgesft init --ci` writes: the commands in them exist, hooks take the files they should."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from edgesft.cli.main import COMMANDS, parser
from edgesft.spec import load

ROOT = Path(__file__).parents[2]
CI = ROOT / "export" / "ci"
TEXTS = sorted([*CI.iterdir(), ROOT / "action.yml"])


COMMAND = re.compile(rf'(?:#|\s|-|run:|"\$RUNNER_TEMP/edgesft/bin/)*edgesft"? ((?:{"|".join(COMMANDS)})(?: .*)?)')


def commands(text: str) -> Iterator[list[str]]:
    """The words after each `edgesft` of a text: of a shell line, in a fence, between backticks, in a comment."""
    for line in re.sub(r"\n\s+(?=--)", " ", text).splitlines():
        for quoted in [*re.findall(r"`([^`]+)`", line), re.sub(r"`[^`]*`", "", line)]:
            if found := COMMAND.fullmatch(quoted):
                yield shlex.split(found[1], comments=True)


FOUND = [(file, words) for file in TEXTS for words in commands(file.read_text("utf-8"))]
WHOLE = [words for _, words in FOUND if len(words) > 1 and words != ["baseline", "update"]]
"""Others are only spoken of."""


def test_the_commands_are_found() -> None:
    """Of a reader that finds none every test passes."""
    names = {(file.name, words[0]) for file, words in FOUND}
    for name in ("github.yml", "gitlab.yml"):
        assert {(name, "check"), (name, "compare"), (name, "baseline"), (name, "profiles")} <= names
    assert sum(words[0] == "check" and file.name == "github.yml" for file, words in FOUND) == 2
    assert ("README.md", "init") in names and ("budget.yaml", "check") in names


@pytest.mark.parametrize("words", WHOLE, ids=" ".join)
def test_the_commands_exist(words: list[str]) -> None:
    options = parser().parse_args(words)
    assert options.command == words[0]
    profile = getattr(options, "profile", None)
    assert not profile or "$" in profile or profile in load.shipped("profiles")


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
def test_the_budgets_that_a_pipeline_names_are_written_with_it(name: str) -> None:
    text = (CI / name).read_text("utf-8")
    assert set(re.findall(r"\bbudget[\w-]*\.yaml", text)) == {"budget.yaml", "budget-device.yaml"}
    assert all((CI / budget).is_file() for budget in ("budget.yaml", "budget-device.yaml"))


@pytest.mark.parametrize("name", ["github.yml", "gitlab.yml"])
def test_what_is_installed_is_no_name_that_anybody_may_register(name: str) -> None:
    text = (CI / name).read_text("utf-8")
    (installed,) = re.findall(r"^ *EDGESFT(?:_SPEC)?: (\S+)", text, re.MULTILINE)
    assert "/" in installed and "EDIT: what pip installs" in text


def test_gitlab_s_jobs_take_what_is_defined() -> None:
    jobs: dict[str, Any] = yaml.safe_load((CI / "gitlab.yml").read_text("utf-8"))
    for name, job in jobs.items():
        assert job.get("extends", ".edgesft-check") in jobs
        if not name.startswith("."):
            assert job["rules"] and job["script"]
    base = jobs[".edgesft-check"]
    assert base["allow_failure"] == {"exit_codes": 3}, "only the inconclusive is let through"
    for job in (jobs["edgesft-check"], jobs["edgesft-compare"], jobs["edgesft-device"]):
        text = "\n".join(job["script"])
        assert f"--also junit={base['artifacts']['reports']['junit']}" in text
        assert f"--also json={base['artifacts']['paths'][0]}" in text
        defined = {**base["variables"], **job.get("variables", {})}
        assert {name for name in re.findall(r"\$(EDGESFT_\w+)", text)} <= set(defined)


def test_github_s_untrusted_code_stays_off_the_device() -> None:
    jobs = yaml.safe_load((CI / "github.yml").read_text("utf-8"))["jobs"]
    assert "github.event_name != 'pull_request'" in jobs["device"]["if"]
    for job in jobs.values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            if step.get("uses", "").startswith("actions/checkout"):
                assert step["with"]["persist-credentials"] is False


HOOKS = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
@pytest.mark.parametrize(
    ("name", "taken"),
    [
        ("recipe.yaml", True),
        ("budget.yml", True),
        ("budget-device.yaml", True),
        ("models/my.recipe.yaml", True),
        ("profiles/board.yaml", True),
        ("a/recipes/x.yml", True),
        ("device_profile.yaml", True),
        ("recipes/data/rows.yaml", False),
        ("recipe.json", False),
        ("budgeting.yaml", False),
        ("profiler.yaml", False),
        (".github/workflows/edgesft.yml", False),
        ("docker-compose.yml", False),
        ("recipe.yaml.bak", False),
    ],
)
def test_the_hooks_files(hook: dict[str, Any], name: str, taken: bool) -> None:
    assert bool(re.search(hook["files"], name)) is taken  # As pre-commit does it.


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook["id"])
def test_the_hooks_command_exists(hook: dict[str, Any]) -> None:
    options = parser().parse_args([*shlex.split(hook["entry"])[1:], "recipe.yaml", "budget.yaml"])
    assert options.command == "validate" and options.schema_only and options.words == ["recipe.yaml", "budget.yaml"]
