"""Constants that nothing reads any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgesft.measure.model.facts import read_inside

if TYPE_CHECKING:
    import onnx


def remove_unused(graph: onnx.GraphProto) -> None:
    """Removes the initializers that no node reads, no branch or loop inside of a node, and that are no outputs."""
    used = read_inside(graph) | {name for node in graph.node for name in node.input}
    used |= {output.name for output in graph.output}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
