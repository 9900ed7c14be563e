"""`edgesft init`: what it writes works, and nothing that is there is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from edgesft.cli.main import main
from edgesft.spec import load

PIPELINES = {"github": ".github/workflows/edgesft.yml", "gitlab": ".gitlab-ci.yml"}


def files(folder: Path) -> dict[str, str]:
    """Path → text of everything in a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_recipe_is_copied_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "my.yaml"
    assert main(["init", "text-classification", str(target)]) == 0
    assert load.recipe(target)[1] == []
    target.write_text("mine")
    assert main(["init", "text-classification", str(target)]) == 2
    assert target.read_text() == "mine"
    assert main(["init", "text-clasification", str(tmp_path / "x.yaml")]) == 2
    assert "'text-classification'" in capsys.readouterr().err
    assert main(["init", "text-classification", str(tmp_path / "none" / "x.yaml")]) == 2
    assert "none' must exist" in capsys.readouterr().err
    assert main(["init", "--folder", str(tmp_path)]) == 0
    assert set(files(tmp_path)) == {"my.yaml", "text-classification.yaml"}


@pytest.mark.parametrize("ci", PIPELINES)
def test_a_pipeline_and_its_budgets(ci: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--ci", ci, "--folder", str(tmp_path)]) == 0
    told, written = capsys.readouterr().out, files(tmp_path)
    assert set(written) == {PIPELINES[ci], "budget.yaml", "budget-device.yaml"}
    assert all(f"wrote {tmp_path / name}" in told for name in written)
    assert yaml.safe_load(written[PIPELINES[ci]])
    assert main(["validate", *(str(tmp_path / name) for name in ("budget.yaml", "budget-device.yaml"))]) == 0


@pytest.mark.parametrize("ci", PIPELINES)
def test_a_budget_that_is_there_is_kept(ci: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "budget.yaml").write_text("size_mb: 1\n")
    assert main(["init", "--ci", ci, "--folder", str(tmp_path)]) == 0
    assert f"kept the existing {tmp_path / 'budget.yaml'}" in capsys.readouterr().out
    assert files(tmp_path)["budget.yaml"] == "size_mb: 1\n" and len(files(tmp_path)) == 3


def test_a_workflow_that_is_there_stops_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    workflow = tmp_path / PIPELINES["github"]
    workflow.parent.mkdir(parents=True)
    workflow.write_text("mine")
    # A link that leads nowhere is something that somebody made, too.
    (tmp_path / "budget.yaml").symlink_to(tmp_path / "nowhere.yaml")
    assert main(["init", "--ci", "github", "--folder", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert f"'{workflow}' must not exist yet" in err and "budget.yaml' must not exist yet" in err
    assert files(tmp_path) == {PIPELINES["github"]: "mine"} and not (tmp_path / "nowhere.yaml").exists()


def test_a_file_in_place_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".github").write_text("a file")
    assert main(["init", "--ci", "github", "--folder", str(tmp_path)]) == 2
    assert ".github' must be a folder" in capsys.readouterr().err
    assert files(tmp_path) == {".github": "a file"}


def test_a_gitlab_pipeline_that_is_there_includes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".gitlab-ci.yml").write_text("mine")
    assert main(["init", "--ci", "gitlab", "--folder", str(tmp_path)]) == 0
    assert "- local: edgesft.gitlab-ci.yml" in capsys.readouterr().out
    found = files(tmp_path)
    assert found[".gitlab-ci.yml"] == "mine" and "edgesft-check:" in found["edgesft.gitlab-ci.yml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["text-classification", "--ci", "github"], "must have no recipe beside it. Got 'text-classification'"),
        (["--ci", "github", "--folder", "none"], "the folder 'none' must exist"),
    ],
)
def test_what_cannot_be(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "values", "message"),
    [
        ("--latency-ms", ("-3", "0", "inf", "nan", "soon"), "must be a number above 0"),
        ("--latency-ratio", ("-0.5", "0"), "must be a number above 0"),
        ("--size-mb", ("-25",), "must be a number above 0"),
        ("--max-drop", ("-0.01", "nan"), "must be a number from 0 on"),
        ("--validation", ("0", "-0.1", "2", "nan"), "must be a file, or a share above 0 and below 1"),
        ("--test", ("0", "1"), "must be a file, or a share above 0 and below 1"),
    ],
)
def test_numbers_that_make_no_sense(
    option: str, values: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for value in values:
        with pytest.raises(SystemExit, match="2"):
            main(["init", str(tmp_path / "my.yaml"), "--data", "rows.jsonl", option, value])
        told = capsys.readouterr().err
        assert f"{option}: {message}, got '{value}'" in told and "--unchecked writes" not in told
    assert files(tmp_path) == {}


def test_shares_and_files_of_any_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("0.2", "dev.jsonl", "last", "nan.csv"):
        assert main(["init", str(tmp_path / "my.yaml"), "--data", "none.jsonl", "--validation", value]) == 2
        assert "none.jsonl" in capsys.readouterr().err


def test_a_disk_that_is_full_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def full(path: Path, mode: str = "r", **more: object):
        file = real(path, mode, **more)
        if mode == "x":

            def write(_: str) -> int:
                raise OSError(28, "No space left on device")

            file.write = write
        return file

    monkeypatch.setattr(Path, "open", full)
    assert main(["init", "--folder", str(tmp_path)]) == 4
    monkeypatch.undo()
    assert files(tmp_path) == {}
