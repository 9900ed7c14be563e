"""A model of a catalogue's items as it is trained, and as the graph that is exported. Imports torch."""

from __future__ import annotations

from copy import copy

import torch
from torch import nn

from edgesft.tasks.models.own import OwnModel
from edgesft.tasks.recommender.catalogue import CHOSEN, LOGITS, RATINGS, SCENARIO, SCORES


class Recommender(OwnModel):
    """What a factory made, in training among candidates, else among all items that are not excluded.

    Raises:
        InputError: The factory raises, or returns something else than a module.
    """

    def forward(  # type: ignore[override]
        self,
        items: torch.Tensor,
        candidates: torch.Tensor | None = None,
        offsets: torch.Tensor | None = None,
        excluded: torch.Tensor | None = None,
        ratings: torch.Tensor | None = None,
        scenario: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Scores as `logits`.

        Args:
            items: Ids, [rows, length]; 0 before shorter histories.
            candidates: Ids that are scored after each item, [rows, some]; none of them means all.
            offsets: Added to the candidates' scores, [rows, some].
            excluded: Ids whose score is minus infinity, [rows, any]; 0 is none.
            ratings: How each item was rated, [rows, length]; of models that read them, as is the next.
            scenario: Slots of the moment of what comes after each, [rows, length, slots]; without candidates of what
                comes after the last, [rows, slots].

        Returns:
            [rows, length, candidates]; without candidates those of all items after the last one, [rows, items].
        """
        known = {} if ratings is None else {RATINGS: ratings}
        if scenario is not None:
            known[SCENARIO] = scenario[:, None] if candidates is None else scenario
        if candidates is not None:
            found: torch.Tensor = super().forward(items=items, candidates=candidates, **known)[LOGITS]
            return {LOGITS: found if offsets is None else found + offsets[:, None]}
        found = super().forward(items=items, **known)[LOGITS]
        if excluded is not None:
            found = found.scatter(1, excluded, float("-inf"))
        return {LOGITS: found[:, 1:]}

    def baked(self) -> Recommender:
        """What answers alike and is exported in its place; itself where its module gives none."""
        if not hasattr(self.model, "baked"):
            return self
        found = copy(self)
        found._modules = {**self._modules, "model": self.model.baked()}
        return found


class Ranked(nn.Module):
    """All scores, and the best items: a device that wants these reads no others."""

    def __init__(self, recommender: nn.Module, answers: int) -> None:
        super().__init__()
        self.recommender, self._answers = recommender, answers

    def forward(
        self,
        items: torch.Tensor,
        ratings: torch.Tensor | None = None,
        scenario: torch.Tensor | None = None,
        excluded: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Places of the best items and their scores, [rows, answers], and all scores, [rows, items]."""
        logits = self.recommender(items=items, ratings=ratings, scenario=scenario, excluded=excluded)[LOGITS]
        scores, chosen = logits.topk(self._answers)
        return {CHOSEN: chosen, SCORES: scores, LOGITS: logits}
