"""Settings of recommendation: how user interactions become histories, and what the model answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from edgesft.spec.base import Spec

LAST = "last"
"""Used in place of a file: each user's last interaction."""

Kind = Literal["category", "tags", "number", "hour", "weekday"]

Features = dict[str, tuple[Kind, ...]]

ANSWERS = ("item", "rating")
"""Columns of an interaction that the model is asked for."""


class InteractionsSpec(Spec):
    """Which interactions count, which further columns are used, and how many items are recommended."""

    threshold: float | None = None
    """Interactions rated lower than this are left out. By default all count."""
    liked: float | None = None
    """The next item is a training target, and a test question, only if it is rated at least this high. Lower-rated
    items still appear in histories."""
    scale: tuple[float, float] | None = None
    """The lowest and the highest possible rating. If given, the model also reads how each item was rated."""
    about: Features = {}
    """Columns that describe an item → how each is read. `category`: one of the values in train; `tags`: several values,
    as a list or separated by `|`; `number`: by the tenth of train's values that it falls in; `hour` and `weekday`:
    taken from a time, in UTC."""
    scenario: Features = {}
    """Columns that describe the moment of the request or the user, read as in `about`. They are an input of the
    exported graph."""
    least: int = Field(1, ge=1)
    """Minimum number of training interactions per item. Rarer items are left out of the catalogue."""
    repeats: Literal["excluded", "kept"] = "excluded"
    """Whether items of the history may be recommended again. With `excluded`, only a user's first interaction with an
    item counts, and the exported graph has a further input: the ids that it must not answer."""
    history: int = Field(1000, ge=1, le=100_000)
    """How many of a user's latest items are excluded from the recommendations."""
    answers: int = Field(10, ge=10, le=1000)
    """Number of items that the exported graph returns, best first. Metrics use the first 10."""

    @model_validator(mode="after")
    def _agreeing(self) -> InteractionsSpec:
        low, high = self.scale or (float("-inf"), float("inf"))
        if not low < high:
            raise ValueError("scale must be the lowest rating, then the highest, such as [0.5, 5]")
        for name in ("liked", "threshold"):
            if (said := getattr(self, name)) is not None and not low <= said <= high:
                raise ValueError(f"{name} must be within scale, {low:g} to {high:g}, got {said:g}")
        if told := sorted(self.scenario.keys() & {*ANSWERS}):
            raise ValueError(f"scenario must only have columns known before the answer, got {', '.join(told)}")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Of all that is known besides."""
        return tuple(dict.fromkeys((*self.about, *self.scenario)))
