"""Whether two kits answer alike."""

from __future__ import annotations

import math
from typing import Any


def same(mine: Any, theirs: Any, within: float = 1e-5) -> None:
    """Fails where two answers are not equal, numbers within what sums in another order make of floats."""
    if isinstance(theirs, dict):
        assert set(mine) == set(theirs), (mine, theirs)
        for key, value in theirs.items():
            same(mine[key], value, within)
    elif isinstance(theirs, list):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            same(one, other, within)
    elif isinstance(theirs, float):
        assert math.isclose(mine, theirs, rel_tol=within, abs_tol=within), (mine, theirs)
    else:
        assert mine == theirs, (mine, theirs)
