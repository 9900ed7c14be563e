"""What shells are told to complete is what the commands take."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

import pytest

from edgesft.cli.main import COMMANDS, main

pytestmark = pytest.mark.skipif(importlib.util.find_spec("shtab") is None, reason="needs the package shtab")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_knows_every_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    told = capsys.readouterr().out
    assert all(command in told for command in COMMANDS) and "latency-ms" in told


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bash"]) == 0
    script = (
        capsys.readouterr().out
        + """
complete_() { COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMPREPLY=(); _shtab_edgesft; echo "${COMPREPLY[@]}"; }
complete_ edgesft ba
complete_ edgesft run --qu
for command in run validate check compare bench "baseline update" init; do complete_ edgesft $command re; done
"""
    )
    (tmp_path / "recipe.yaml").write_text("")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["baseline", "--quiet", *["recipe.yaml"] * 7], done.stderr


@pytest.mark.skipif(shutil.which("fish") is None, reason="needs fish")
def test_fish_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "fish"]) == 0
    (tmp_path / "edgesft.fish").write_text(capsys.readouterr().out, "utf-8")
    (tmp_path / "recipe.yaml").write_text("")
    asked = (
        "edgesft rep",
        "edgesft report --form",
        "edgesft report --format m",
        "edgesft baseline upd",
        "edgesft run rec",
    )
    script = "source edgesft.fish; " + "; ".join(f"complete -C '{words}'" for words in asked)
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    words = [line.partition("\t")[0] for line in done.stdout.splitlines()]
    assert words == ["report", "--format", "markdown", "update", "recipe.yaml"], done.stderr
