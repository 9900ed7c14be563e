"""Leaves out of a model and its tokenizer the tokens that the training rows do not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from edgesft.errors import InputError
from edgesft.spec.stages import PruneSpec
from edgesft.stages.artefact import VOCABULARY
from edgesft.stages.context import StageContext
from edgesft.stages.training import score
from edgesft.tasks.contract import Contract
from edgesft.tasks.models import vocabulary
from edgesft.train.vocabulary import table_of, trim

SHARE = 0.25
"""Part of the allowance that `vocabulary: auto` may cost: words that training lacks are read in pieces."""

OTHERS = (0.0, 0.25, 0.5)
"""Shares of the tokens that training lacks which it tries to leave in."""


@dataclass(frozen=True)
class Trimmed:
    """What came of it.

    Attributes:
        contract: Of the model from now on.
        context: With the tokenizer that knows no others, and the validation rows as it reads them.
        details: JSON values; empty where nothing was asked for.
    """

    contract: Contract
    context: StageContext
    details: Mapping[str, Any]

    @property
    def summary(self) -> str:
        """For the table; empty where nothing was trimmed."""
        found = self.details
        return f"vocabulary {found['before']}→{found['after']}, " if "after" in found else ""


def trim_vocabulary(spec: PruneSpec, model: nn.Module, contract: Contract, context: StageContext) -> Trimmed:
    """Trims a model in place as the spec says.

    Raises:
        InputError: The spec asks for it and the tokenizer, the model or the task do not allow it.
    """
    left = Trimmed(contract, context, {})
    if spec.vocabulary == "whole" or VOCABULARY in contract.options:
        return left
    used = _used(model, context)
    if isinstance(used, str):
        if spec.vocabulary == "auto":
            return left
        raise InputError(f"prune.vocabulary: must be whole here: {used}", "leave it out")
    tokenizer, name = context.processor, str(table_of(model))
    table, before = model.get_submodule(name), score(model, context)
    for others in OTHERS if spec.vocabulary == "auto" else OTHERS[:1]:
        found = vocabulary.kept(tokenizer, used, others) or []
        smaller = vocabulary.without_others(tokenizer, found)
        own = replace(context, processor=smaller, validation=context.encoded_by(smaller))
        trim(model, found, tokenizer.unk_token_id)
        drop = before - score(model, own)
        context.progress.say(f"prune: vocabulary {len(tokenizer)}→{len(found)}, {-drop * 100:+.1f} points")
        if spec.vocabulary == "trimmed" or drop <= SHARE * context.allowance:
            details = {"before": len(tokenizer), "after": len(found), "drop": drop}
            return Trimmed(contract.extended({VOCABULARY: len(found)}), own, details)
        model.set_submodule(name, table)
    return left


def _used(model: nn.Module, context: StageContext) -> set[int] | str:
    """Ids of the training rows, or why nothing can be trimmed."""
    used = context.task.tokens(context.train)
    if used is None:
        return f"the task {context.task.name} reads no tokens, or not those of the rows"
    if table_of(model) is None:
        return "the model has no separate token embedding table"
    return f"its tokenizer is not {vocabulary.KIND}" if vocabulary.kept(context.processor, used) is None else used
