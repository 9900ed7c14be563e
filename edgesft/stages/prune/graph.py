"""torch-pruning's dependency graph of a model, and where it cannot tell how indices go on."""

from __future__ import annotations

from typing import Any

import torch_pruning as tp
from torch_pruning.dependency import constants, shape_infer


class Graph(tp.DependencyGraph):
    """A graph that also follows concatenations of which it cannot tell how much each part has.

    Attributes:
        unsized: Their nodes. Where the indices of a width lie behind them is not known.
    """

    unsized: frozenset[Any] = frozenset()

    def _build_dependency(self, module2node: Any) -> None:
        """torch-pruning 1.6.1 adds up the sizes of the parts in the step that follows, and ends in an error there."""
        super()._build_dependency(module2node)
        shape_infer.init_shape_information(self)
        self.unsized = frozenset(node for node in module2node.values() if self._is_unsized(node))
        for node in self.unsized:
            # No sizes that could be added up, and no mapping of indices.
            node.module.concat_sizes, node.enable_index_mapping = [0] * len(node.inputs), False

    def _is_unsized(self, node: Any) -> bool:
        if node.type != tp.ops.OPTYPE.CONCAT:
            return False
        # -1 comes as a number that is larger than any axis.
        if getattr(node.grad_fn, "_saved_dim", 1) != 1 and node.grad_fn._saved_dim < constants.MAX_VALID_DIM:
            return False
        sizes = [shape_infer.infer_channels_between(self, part, node) for part in node.inputs]
        return None in sizes and shape_infer.infer_in_channels_recursively(self, node, [0]) is not None
