"""Which of the widths that were found a recipe lets shrink."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from edgesft.errors import InputError, Problem
from edgesft.stages.prune.layout import Layout, Width

USUAL = ("heads", "ffn", "channels")
"""Kinds that shrink where a recipe does not say; the residual stream of a transformer is what its pretraining is in."""


def select(layout: Layout, targets: Sequence[str] | None, exclude: Sequence[str]) -> Layout:
    """The widths of the kinds in `targets`, of all kinds but hidden where it is None, that no pattern names.

    A pattern names a width by its module or by the attention module that holds its heads.

    Raises:
        InputError: A pattern matches nothing, the model has no width of a kind, or nothing is left.
    """
    problems = [
        Problem(f"prune.exclude: '{pattern}' must match the name of a width. Got: no match", _near(pattern, layout))
        for pattern in exclude
        if not any(_matches(width, pattern) for width in layout.widths)
    ]
    found = sorted({width.kind for width in layout.widths})
    if targets is None:
        targets = [kind for kind in found if kind != "hidden"] or list(USUAL)
    problems += [
        Problem(
            f"prune.targets: '{kind}' must be a width that this model has. Got: {', '.join(found) or 'none'}",
            "leave it out of the targets" if found else "another model: no blocks or convolutions were recognised",
        )
        for kind in targets
        if kind not in found
    ]
    if problems:
        raise InputError(problems)
    chosen = [width for width in layout.widths if width.kind in targets]
    left = [width for width in chosen if not any(_matches(width, pattern) for pattern in exclude)]
    if not left:
        raise InputError(
            f"prune.exclude: must leave some width of the targets. Got: patterns that match all {len(chosen)}",
            "fewer or narrower patterns, or more targets",
        )
    return layout.only(left)


def _names(width: Width) -> tuple[str, ...]:
    return (width.name, width.attention) if width.attention else (width.name,)


def _matches(width: Width, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in _names(width))


def _near(pattern: str, layout: Layout) -> str:
    names = [name for width in layout.widths for name in _names(width)]
    return ", ".join(difflib.get_close_matches(pattern, names, n=3, cutoff=0.0))
