"""The widths of a model as plain data: what goes together, and how many parameters are left when some of it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

Kind = Literal["heads", "ffn", "hidden"]
Axis = tuple[str, int]
"""A parameter's name and one of its dimensions."""


@dataclass(frozen=True)
class Width:
    """A width that can shrink, in units that go together.

    Attributes:
        name: The first module that writes it; the handle that cuts it in the dependency graph.
        kind: What it is.
        size: Units: heads, feed-forward neurons, or channels of the residual stream.
        channels: Channels of a unit; the head size for heads, else 1.
        axes: Every parameter axis that loses the same indices.
        consumers: The linears that read it.
        attention: The module that counts the heads; None for other kinds.
    """

    name: str
    kind: Kind
    size: int
    channels: int
    axes: tuple[Axis, ...]
    consumers: tuple[str, ...]
    attention: str | None = None

    @property
    def droppable(self) -> bool:
        """Whether nothing of it may be left: a branch may go, what runs past all of them may not."""
        return self.kind != "hidden"

    @property
    def writers(self) -> tuple[str, ...]:
        """The modules of a block that write it."""
        return tuple(dict.fromkeys(name.rpartition(".")[0] for name, _ in self.axes if not self._reads(name)))

    def _reads(self, parameter: str) -> bool:
        return parameter.rpartition(".")[0] in self.consumers


@dataclass(frozen=True)
class Layout:
    """The widths of a model and the shapes of its parameters.

    Attributes:
        widths: What can shrink, in the order of the modules, hidden last.
        shapes: Parameter name → shape, for all parameters.
    """

    widths: tuple[Width, ...]
    shapes: Mapping[str, tuple[int, ...]]

    def only(self, widths: Sequence[Width]) -> Layout:
        """The same model with fewer widths to choose from."""
        return Layout(tuple(widths), self.shapes)

    def parameters(self, kept: Mapping[str, int] | None = None) -> int:
        """Parameters of the model when each named width keeps so many units; all others stay whole."""
        return sum(self._counts(kept or {}).values())

    def touched(self, kept: Mapping[str, int] | None = None) -> int:
        """Parameters of the tensors that these widths reach, counted as in `parameters`."""
        names = {name for width in self.widths for name, _ in width.axes}
        return sum(count for name, count in self._counts(kept or {}).items() if name in names)

    def held(self, width: Width) -> int:
        """Parameters that go with one unit of a width while all others are whole."""
        return sum(prod(self.shapes[name]) // self.shapes[name][axis] for name, axis in width.axes) * width.channels

    def _counts(self, kept: Mapping[str, int]) -> dict[str, int]:
        shapes = {name: list(shape) for name, shape in self.shapes.items()}
        for width in self.widths:
            for name, axis in width.axes:
                shapes[name][axis] = kept.get(width.name, width.size) * width.channels
        return {name: prod(shape) for name, shape in shapes.items()}
