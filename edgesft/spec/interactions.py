"""How what users did becomes histories, and what is answered to them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgesft.spec.base import Spec

LAST = "last"
"""In place of a file: what each user did last."""

Kind = Literal["category", "tags", "number", "hour", "weekday"]

Features = dict[str, tuple[Kind, ...]]

ANSWERS = ("item", "rating")
"""Columns of an interaction that tell what is asked."""


class InteractionsSpec(Spec):
    """What counts of a file's interactions, what is known besides, and how many items are recommended."""

    threshold: float | None = None
    """Interactions with a lower rating are left out; without it all count, whatever their rating."""
    liked: float | None = None
    """What came next is learned and asked only where its rating is as high; what has a lower one is read all the
    same."""
    scale: tuple[float, float] | None = None
    """The lowest and the highest rating there may be: models then also read how each item was rated."""
    about: Features = {}
    """Columns that tell of an item, and how each is taken: `category`, one of those that train has; `tags`, several of
    them, in a list or between `|`; `number`, by which tenth of train's it falls in; `hour` and `weekday` of a time, in
    UTC."""
    scenario: Features = {}
    """The same of the moment that is asked about, and of who asks: the exported graph has them as an input."""
    least: int = Field(1, ge=1)
    """Training interactions that an item has at least: rarer ones are not in the catalogue, as if nobody knew them."""
    repeats: Literal["excluded", "kept"] = "excluded"
    """Whether items of the history are recommended again. `excluded`: of a user's interactions with an item the first
    counts, and the exported graph takes the ids that it must not answer as an input of its own."""
    history: int = Field(1000, ge=1, le=100_000)
    """The latest items of a user that are not recommended again."""
    answers: int = Field(10, ge=10, le=1000)
    """Items that the exported graph answers, the best first; what is measured looks at 10."""

    @model_validator(mode="after")
    def _agreeing(self) -> InteractionsSpec:
        low, high = self.scale or (float("-inf"), float("inf"))
        if not low < high:
            raise ValueError("scale must be the lowest rating, then the highest, such as [0.5, 5]")
        for name in ("liked", "threshold"):
            if (said := getattr(self, name)) is not None and not low <= said <= high:
                raise ValueError(f"{name} must be within scale, {low:g} to {high:g}, got {said:g}")
        if told := sorted(self.scenario.keys() & {*ANSWERS}):
            raise ValueError(f"scenario must be of what is known before the answer, got {', '.join(told)}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Of all that is known besides."""
        return tuple(dict.fromkeys((*self.about, *self.scenario)))
