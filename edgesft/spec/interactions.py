"""How what users did becomes histories, and what is answered to them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgesft.spec.base import Spec

LAST = "last"
"""In place of a file: what each user did last."""


class InteractionsSpec(Spec):
    """What counts of a file's interactions, and how many items are recommended."""

    threshold: float | None = None
    """Interactions with a lower rating are left out; without it all count, whatever their rating."""
    least: int = Field(1, ge=1)
    """Training interactions that an item has at least: rarer ones are not in the catalogue, as if nobody knew them."""
    repeats: Literal["excluded", "kept"] = "excluded"
    """Whether items of the history are recommended again. `excluded`: of a user's interactions with an item the first
    counts, and the exported graph takes the ids that it must not answer as an input of its own."""
    history: int = Field(1000, ge=1, le=100_000)
    """The latest items of a user that are not recommended again."""
    answers: int = Field(10, ge=10, le=1000)
    """Items that the exported graph answers, the best first; what is measured looks at 10."""
