"""What a run says of rows that its model does not read whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgesft.data import chunks
from edgesft.pipeline.check import check
from edgesft.pipeline.job import Job
from edgesft.pipeline.reading import findings, reading, warnings
from edgesft.progress import Progress
from edgesft.store.store import Store
from edgesft.tasks import registry
from tests import chain, tiny
from tests.tasks.test_each import ROWS


def job(recipe: Path, *settings: str) -> Job:
    checked = check(recipe, settings)
    return Job(checked.recipe, checked.base, checked.profiles[0], Store(recipe.parent / "store"), Progress(quiet=True))


def test_nothing_to_say(bert: Path, tmp_path: Path) -> None:
    assert warnings(job(chain.write(tmp_path, bert))) == []


def test_rows_that_are_cut_are_counted(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK", 7)
    recipe = chain.write(tmp_path, bert)
    long = [{**row, "text": f"{row['text']} {'the ' * 40}{n}"} for n, row in enumerate(tiny.rows(3, seed=9))]
    with (tmp_path / "train.jsonl").open("a") as file:
        file.writelines(json.dumps(row) + "\n" for row in long)
    (said,) = warnings(job(recipe))
    assert "data.train: 3 of 303 rows (1.0%) are longer than max_length 32 tokens and are cut off" in said
    assert "data.max_length=" in said
    assert warnings(job(recipe, "data.max_length=64")) == []


def test_no_longer_input_is_advised_than_the_model_reads(bert: Path, tmp_path: Path) -> None:
    recipe = chain.write(tmp_path, bert)
    with (tmp_path / "train.jsonl").open("a") as file:
        file.writelines(json.dumps({**row, "text": f"{row['text']} {'the ' * 90}"}) + "\n" for row in tiny.rows(9, 9))
    (said,) = warnings(job(recipe))
    assert "data.max_length=64" in said
    (said,) = warnings(job(recipe, "data.max_length=64"))
    assert "shorter texts, or a model that reads more" in said and "data.max_length=" not in said


def test_words_that_the_tokenizer_does_not_know(bert: Path, tmp_path: Path) -> None:
    recipe = chain.write(tmp_path, bert)
    tiny.write_rows(tmp_path / "dev.jsonl", [{**row, "text": f"日本 {row['text']}"} for row in tiny.rows(20, seed=4)])
    (said,) = warnings(job(recipe, "data.allow_overlap=true"))
    assert said.startswith("data.validation: the tokenizer does not know ") and "pretrained on this language" in said


def test_counted_once(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = chain.write(tmp_path, bert)
    first = warnings(job(recipe, "data.max_length=8"))

    def refuse(*_: object) -> Any:
        raise AssertionError("counted again")

    monkeypatch.setattr("edgesft.pipeline.reading.reading", refuse)
    assert len(first) == 3 and warnings(job(recipe, "data.max_length=8")) == first


def test_passages_that_are_read_in_windows_are_not_cut(bert: Path) -> None:
    task, rows = registry.task("question-answering"), ROWS["question-answering"](20)
    contract = task.contract(rows, {"max_length": 16, "stride": 4})
    told = reading(task, rows, task.load_processor(bert, contract), contract)
    assert told["tokens"]["max"] > 16 and told["cut"] is None
    assert not any("are cut" in each.message for each in findings({"train": told}, 16))
