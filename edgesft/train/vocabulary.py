"""An embedding table that holds the rows of some tokens alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional


class TrimmedEmbedding(nn.Embedding):
    """Tokens keep their ids, so that a teacher and a tokenizer of the whole vocabulary speak of the same ones.

    Which row a token has, a table of integers says. All that are gone share the row of the unknown one.
    """

    def __init__(self, tokens: int, rows: int, width: int, padding: int | None = None) -> None:
        """Makes one without weights worth keeping.

        Args:
            tokens: Ids there are.
            rows: Of the table.
            width: Of a row.
            padding: Row that does not learn.
        """
        super().__init__(rows, width, padding_idx=padding)
        self.register_buffer("rows", torch.zeros(tokens, dtype=torch.int32))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Shape [..., width] for ids of shape [...]."""
        return functional.embedding(self.rows[ids], self.weight, self.padding_idx, sparse=self.sparse)


def trim(model: nn.Module, kept: Sequence[int], unknown: int) -> str | None:
    """Leaves the rows of some tokens in a model's table of input embeddings.

    Args:
        model: Of transformers; changed in place.
        kept: Ids of the tokens that stay, `unknown` among them.
        unknown: The one that the others are read as.

    Returns:
        The table's name; None where the model has none that could be trimmed: another type, or tied to its outputs.
    """
    name = table_of(model)
    if name is None:
        return None
    table: nn.Embedding = model.get_submodule(name)  # type: ignore[assignment]
    ids = torch.as_tensor(sorted(kept))
    rows = torch.full((table.num_embeddings,), int(torch.searchsorted(ids, unknown)), dtype=torch.int32)
    rows[ids] = torch.arange(len(ids), dtype=torch.int32)
    padding = None if table.padding_idx is None else int(rows[table.padding_idx])
    trimmed = TrimmedEmbedding(table.num_embeddings, len(ids), table.embedding_dim, padding)
    trimmed.weight = nn.Parameter(table.weight.detach()[ids].clone())
    trimmed.rows.copy_(rows)
    model.set_submodule(name, trimmed.train(table.training))
    return name


def table_of(model: nn.Module) -> str | None:
    """The name of a model's whole table of input embeddings that nothing else uses."""
    get = getattr(model, "get_input_embeddings", None)
    try:
        table = get() if get else None
    except NotImplementedError:
        return None
    uses = sum(parameter is getattr(table, "weight", None) for module in model.modules()
               for parameter in module._parameters.values())  # fmt: skip
    if type(table) is not nn.Embedding or uses != 1:
        return None
    return next(name for name, module in model.named_modules() if module is table)


def trimmings(model: nn.Module) -> Iterator[tuple[str, int]]:
    """Name and rows of each table that was trimmed."""
    for name, module in model.named_modules():
        if isinstance(module, TrimmedEmbedding):
            yield name, module.num_embeddings


def restore(model: nn.Module, trimmed: Mapping[str, int], state: Mapping[str, torch.Tensor]) -> None:
    """Puts tables of so many rows in a fresh model; a state has their weights, and which token has which row."""
    for name, rows in trimmed.items():
        table: nn.Embedding = model.get_submodule(name)  # type: ignore[assignment]
        ids = state[f"{name}.rows"]
        padding = None if table.padding_idx is None else int(ids[table.padding_idx])
        model.set_submodule(name, TrimmedEmbedding(len(ids), rows, state[f"{name}.weight"].shape[1], padding))
