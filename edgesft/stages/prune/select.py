"""Which of the widths that were found a recipe lets shrink."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from edgesft.errors import InputError, Problem
from edgesft.stages.prune.layout import Layout, Width

USUAL = ("heads", "ffn", "channels")
"""Kinds that shrink where a recipe does not say; the residual stream of a transformer is what its pretraining is in,
and two products of a lower rank take longer than one that is narrower."""


def select(layout: Layout, targets: Sequence[str] | None, exclude: Sequence[str]) -> Layout:
    """The widths of the kinds in `targets`, where it is None of the usual kinds, that no pattern names.

    A pattern names a width by its module or by the attention module that holds its heads. A linear has a rank to choose
    where no other width that was chosen lies in it.

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
        targets = [kind for kind in found if kind in USUAL] or list(USUAL)
    problems += [
        Problem(
            f"prune.targets: '{kind}' must be a width that this model has. Got: {', '.join(found) or 'none'}",
            "leave it out of the targets" if found else _nothing(layout),
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
    taken = {axis.parameter for width in left if width.kind != "rank" for axis in width.axes}
    return layout.only([width for width in left if width.linear is None or not _lies_in(width.linear, taken)])


def _nothing(layout: Layout) -> str:
    """What to try with a model none of whose widths can shrink."""
    return "another model: no blocks or convolutions were recognised" + (layout.spared and f"; {layout.spared}")


def _lies_in(linear: str, parameters: Collection[str]) -> bool:
    return any(parameter.startswith(f"{linear}.") for parameter in parameters)


def _names(width: Width) -> tuple[str, ...]:
    return tuple(filter(None, (width.name, width.attention, width.linear)))


def _matches(width: Width, pattern: str) -> bool:
    return any(fnmatchcase(name, pattern) for name in _names(width))


def _near(pattern: str, layout: Layout) -> str:
    names = [name for width in layout.widths for name in _names(width)]
    return ", ".join(difflib.get_close_matches(pattern, names, n=3, cutoff=0.0))
