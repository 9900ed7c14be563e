"""A table that lacks some tokens answers as the whole one for all others."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from edgesft.train import tables, vocabulary, widths
from tests.train import mood


def test_kept_tokens_read_as_before_and_others_as_unknown(bert: Path) -> None:
    task = mood.make(bert, rows=40)
    model = task.model().eval()
    whole = model.get_input_embeddings().weight.detach().clone()
    unknown, kept = task.processor.unk_token_id, [*range(5), 7, 9, 12]
    name = vocabulary.trim(model, kept, unknown)
    table = model.get_submodule(str(name))
    assert table.weight.shape == (len(kept), whole.shape[1]) and table.padding_idx == 0
    ids = torch.tensor([[7, 9, 12, 8, 0]])
    assert torch.equal(table(ids)[0], whole[[7, 9, 12, unknown, 0]])
    assert vocabulary.trim(model, kept, unknown) is None, "only once"

    fresh = task.model()
    widths.fit(fresh, model.state_dict(), json.loads(json.dumps(widths.record(model))))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    assert torch.equal(fresh.eval()(**inputs)["logits"], model(**inputs)["logits"])


def test_a_large_trimmed_table_learns_where_it_was_read(monkeypatch, bert: Path) -> None:
    monkeypatch.setattr(tables, "FEWEST_ROWS", 4)
    model = mood.make(bert, rows=40).model()
    name = vocabulary.trim(model, [*range(5), 7, 9, 12], 1)
    with tables.sparse_gradients(model):
        table = model.get_submodule(str(name))
        table(torch.tensor([7, 20])).sum().backward()
    assert table.weight.grad.is_sparse
    assert table.weight.grad.coalesce().indices().tolist() == [[1, 5]]
