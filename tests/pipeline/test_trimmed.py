"""A trimmed vocabulary through a whole run: rows are read by the tokenizer that ships."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
from transformers import AutoTokenizer

from edgesft import api
from edgesft.progress import Progress
from tests import chain, tiny

LACKING = ("plot", "cast", "superb", "dull")


def test_what_is_scored_is_what_ships(bert: Path, tmp_path: Path) -> None:
    rows = tiny.rows(1200)
    known = [row for row in rows if not set(row["text"].split()) & set(LACKING)]
    others = [row for row in rows if row not in known]
    finetune, prune, distill, quantize = chain.STAGES
    stages = (finetune, {**prune, "vocabulary": "trimmed"}, distill, quantize)
    assert len(known) >= 300 <= len(others)
    recipe = chain.write(tmp_path, bert, rows=[*known[:300], *others[:250]], stages=stages)
    found = api.run(recipe, output=tmp_path / "out", store=tmp_path / "store", progress=Progress(quiet=True))
    stage = found.profiles["here"].results["stages"]
    assert [each["kept"] for each in stage] == [True] * 4
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert not set(LACKING) & set(tokenizer.get_vocab())
    contract = json.loads((tmp_path / "out/contract.json").read_text())
    assert contract["options"]["vocabulary"] == len(tokenizer) == stage[1]["details"]["vocabulary"]["after"]

    session = onnxruntime.InferenceSession(tmp_path / "out/model.onnx")
    names = [value.name for value in session.get_inputs()]
    right = 0
    test = [json.loads(line) for line in (tmp_path / "test.jsonl").read_text().splitlines()]
    for row in test:
        encoded = tokenizer(row["text"], return_tensors="np", truncation=True, max_length=32)
        logits = session.run(["logits"], {name: encoded[name].astype(np.int64) for name in names})[0]
        right += contract["labels"][int(logits.argmax())] == row["label"]
    assert stage[-1]["metrics"]["test"]["accuracy"] == right / len(test)
