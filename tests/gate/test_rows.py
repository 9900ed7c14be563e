"""Rows of a run, as its recipe and its contract tell what they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgesft.errors import InputError
from edgesft.gate.artefact import GateArtefact
from edgesft.gate.rows import rows
from edgesft.spec.media import SpeechSpec
from edgesft.tasks.contract import Contract
from edgesft.tasks.text_to_speech import TextToSpeech
from tests import tiny

CONTRACT = Contract("recommendation", ("place 1",), {})
ZONES = [{"item": f"place {place}", "zone": f"zone {place // 6}"} for place in range(24)]
INTERACTIONS = {"scale": [1, 5], "scenario": {"way": ["category"]}, "about": {"zone": ["tags"]}}


@pytest.mark.parametrize("test", ["last", "done.jsonl"])
def test_further_columns_are_read_and_joined(test: str, tmp_path: Path) -> None:
    tiny.write_rows(tmp_path / "done.jsonl", tiny.toured(20))
    tiny.write_rows(tmp_path / "zones.jsonl", ZONES)
    data: dict[str, Any] = {"train": "done.jsonl", "validation": "last", "test": test, "interactions": INTERACTIONS}
    recipe = {"data": {**data, "join": {"item": "zones.jsonl"}}}
    given = GateArtefact("run", tmp_path / "model.onnx", tmp_path, recipe=recipe)
    found = rows([given], CONTRACT, None)
    assert len(found) == 20 and all(row["way"] in ("on", "back") for row in found)
    known = {each["item"]: each["zone"] for each in ZONES}
    (row, *_) = found
    assert [each["zone"] for each in row["about"]] == [known[item] for item in (*row["items"], row["next"])]
    assert rows([given], CONTRACT, tmp_path / "done.jsonl")[0]["ratings"]


def test_conversations_are_read_where_the_recipe_names_their_column(tmp_path: Path) -> None:
    said = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    tiny.write_rows(tmp_path / "test.jsonl", [{"chat": said}])
    recipe = {"data": {"train": "none.jsonl", "test": "test.jsonl", "columns": {"messages": "chat"}}}
    given = GateArtefact("run", tmp_path / "model.onnx", tmp_path, recipe=recipe)
    assert rows([given], Contract("text-generation"), None) == [{"messages": said}]


def test_texts_to_be_spoken_are_as_long_as_the_contract_says(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    said = tiny.recited(2, rate=8000)
    for number, row in enumerate(said):
        soundfile.write(tmp_path / f"{number}.wav", row["audio"], 8000)
    place = tmp_path / "rows.jsonl"
    tiny.write_rows(place, [{**row, "audio": f"{number}.wav"} for number, row in enumerate(said)])
    contract = TextToSpeech(SpeechSpec(rate=8000, longest=3)).contract(said, {})
    assert [row["text"] for row in rows([], contract, place)] == [row["text"] for row in said]
    short = TextToSpeech(SpeechSpec(rate=8000, longest=2)).contract(said, {})
    with pytest.raises(InputError, match="text must be of at most 2 characters"):
        rows([], short, place)
