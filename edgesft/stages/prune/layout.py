"""The widths of a model as plain data: which indices go together, and how many parameters are left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal, NamedTuple

Kind = Literal["heads", "ffn", "hidden", "channels", "rank"]


class Axis(NamedTuple):
    """Where a width lies in a parameter.

    Attributes:
        parameter: Its name.
        dim: One of its dimensions.
        first: The width's first index there; others lie beside it where they are concatenated.
        spread: Indices of each channel there, one after another: several where an image was flattened.
    """

    parameter: str
    dim: int
    first: int = 0
    spread: int = 1


class Reader(NamedTuple):
    """A linear or convolution that reads a width; `first` and `spread` as in `Axis`, of what it reads."""

    name: str
    first: int = 0
    spread: int = 1


@dataclass(frozen=True)
class Width:
    """A width that can shrink, in units that go together.

    Attributes:
        name: The first module that writes it and stays; the handle that cuts it in the dependency graph.
        kind: What it is.
        size: Units: heads, feed-forward neurons, channels of the residual stream, or channels of convolutions.
        channels: Channels of a unit; the head size for heads, else 1.
        axes: All parameter axes that lose the same indices.
        consumers: The linears and convolutions that read it.
        attention: The module that counts the heads; None for other kinds.
        branch: Whether a residual branch goes through this width only, so that all of it may be pruned.
        normalisation: The one after its only reader, if any; an empty branch adds the constant that it gives.
        absorbers: Modules whose bias can absorb that constant, the nearest first: ends of earlier branches that may be
            pruned themselves, then one module that stays. The first that is still there absorbs it.
        bypass: Whether its only reader, a convolution, can read the input of its only dense writer instead, so that all
            of it may be pruned and two layers become one.
        linear: The linear whose rank it is; None for other kinds.
        most: The largest useful size below its own; None where every size is.
    """

    name: str
    kind: Kind
    size: int
    channels: int
    axes: tuple[Axis, ...]
    consumers: tuple[Reader, ...]
    attention: str | None = None
    branch: bool = False
    normalisation: str | None = None
    absorbers: tuple[str, ...] = ()
    bypass: bool = False
    linear: str | None = None
    most: int | None = None

    @property
    def may_go(self) -> bool:
        """Whether all of it may be pruned."""
        return self.branch or self.bypass

    @property
    def writers(self) -> tuple[str, ...]:
        """The modules of a block that write it."""
        readers = {reader.name for reader in self.consumers}
        owners = dict.fromkeys(axis.parameter.rpartition(".")[0] for axis in self.axes)
        return tuple(name for name in owners if name not in readers)

    @property
    def folded(self) -> tuple[str, ...]:
        """Further parameters that go where all of it is pruned: they only made the constant."""
        reader, norm = f"{self.consumers[0].name}.bias", self.normalisation
        ends = (f"{norm}.weight", reader) if norm else ()
        return (*ends, f"{norm}.bias" if norm else reader) if self.absorbers else ends


@dataclass(frozen=True)
class Layout:
    """The widths of a model and the shapes of its parameters.

    Attributes:
        widths: What can shrink, in the order of the modules, hidden last.
        shapes: Parameter name → shape, for all parameters.
        left_alone: Modules with weights inside the model that write none of these widths: their outputs are split into
            groups or halves, are outputs of the model, or go through an operation that hides the channels.
        uncounted: Modules with attention that do not say how many heads it has; its layers are left alone.
    """

    widths: tuple[Width, ...]
    shapes: Mapping[str, tuple[int, ...]]
    left_alone: tuple[str, ...] = ()
    uncounted: tuple[str, ...] = ()

    @property
    def spared(self) -> str:
        """What is left alone in a sentence, and what would change that; empty where nothing is."""
        found = f"left alone: {', '.join(self.left_alone)}" if self.left_alone else ""
        if self.uncounted:
            found += f"; to prune the heads of {', '.join(self.uncounted)}, call their number num_heads there"
        return found

    def only(self, widths: Sequence[Width]) -> Layout:
        """The same model with fewer widths to choose from."""
        return replace(self, widths=tuple(widths))

    def parameters(self, kept: Mapping[str, int] | None = None) -> int:
        """Parameters of the model when each named width keeps so many units; all others stay whole."""
        return sum(self._counts(kept or {}).values())

    def _counts(self, kept: Mapping[str, int]) -> dict[str, int]:
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        for width in self.widths:
            gone = (width.size - kept.get(width.name, width.size)) * width.channels
            for axis in width.axes:
                shapes[axis.parameter][axis.dim] -= gone * axis.spread
            if gone and width.linear and not width.axes:  # two matrices where there was one
                name = f"{width.linear}.weight"
                shapes[name] = [kept[width.name], sum(shapes[name])]
        for width in self.widths:  # in their order, for what one reads now the next one may read in turn
            if width.bypass and kept.get(width.name) == 0:
                shapes[f"{width.consumers[0].name}.weight"][1] = shapes[f"{width.name}.weight"][1]
        empty = {name for width in self.widths if kept.get(width.name) == 0 for name in width.folded}
        return {name: prod(shape) for name, shape in shapes.items() if name not in empty}
