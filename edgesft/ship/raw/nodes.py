"""Writes an ONNX graph node after node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

LEAST_OPSET = 18
"""From this one on all operators that are written here mean the same: `ReduceMax` takes its axes as an input, `Resize`
knows antialiasing."""

PREFIX = "raw/"
"""Of the names of all values that are written here."""

Fed = str | np.ndarray
"""The name of a value, or a constant."""


def int32(*values: int) -> np.ndarray:
    """A constant of one axis."""
    return np.asarray(values, np.int32)


def int64(*values: int) -> np.ndarray:
    """The same, as shapes, places and axes are written."""
    return np.asarray(values, np.int64)


def element(dtype: str) -> int:
    """`TensorProto.DataType` of a type as numpy spells it, or of `string`."""
    return TensorProto.STRING if dtype == "string" else int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))


def value(name: str, dtype: str, shape: Sequence[int | str] | None = None) -> ValueInfoProto:
    """An input or output."""
    return helper.make_tensor_value_info(name, element(dtype), shape)


Branch = str | Callable[["Nodes"], str]
"""A value, or what writes it."""


class Nodes:
    """Nodes, and the constants that they take.

    Attributes:
        written: Nodes in the order in which they are computed.
        constants: Initializers, each content once.
    """

    def __init__(self, outer: Nodes | None = None) -> None:
        """Begins a graph, or the body of a loop of `outer`, whose values and constants it sees."""
        self.written: list[NodeProto] = []
        self.constants: list[TensorProto] = outer.constants if outer else []
        self._outer = outer
        self._known: dict[Any, str] = outer._known if outer else {}
        self._count = 0

    def __call__(self, operator: str, *inputs: Fed, name: str | None = None, **attributes: Any) -> str:
        """Writes a node of one output.

        Args:
            operator: Of ONNX's standard domain.
            inputs: An empty name stands for an optional one that is left out.
            name: Of the output; None for a new one.
            attributes: Of the operator.

        Returns:
            The output's name.
        """
        output = name or self._new(operator)
        self.written.append(helper.make_node(operator, [self._fed(each) for each in inputs], [output], **attributes))
        return output

    def several(self, operator: str, inputs: Sequence[Fed], outputs: Sequence[str], **attributes: Any) -> None:
        """Writes a node of several outputs, whose names are given."""
        fed = [self._fed(each) for each in inputs]
        self.written.append(helper.make_node(operator, fed, list(outputs), **attributes))

    def cast(self, given: Fed, dtype: str, name: str | None = None) -> str:
        """A value in another type, as numpy spells it."""
        return self("Cast", given, name=name, to=element(dtype))

    def filled(self, shape: Fed, content: np.ndarray) -> str:
        """Of a shape, the one element of `content` everywhere."""
        return self("ConstantOfShape", shape, value=numpy_helper.from_array(content))

    def either(self, which: str, then: Branch, other: Branch, dtype: str) -> str:
        """One value or another; what writes one is computed only where it is chosen.

        Args:
            which: Whether it is `then`, bool without axes.
            then: Name of a value, or what writes it.
            other: The same.
            dtype: Of both.
        """
        label, branches = self._new("If"), {}
        for name, branch in (("then_branch", then), ("else_branch", other)):
            inner = Nodes(self)
            made = inner("Identity", branch if isinstance(branch, str) else branch(inner))
            branches[name] = helper.make_graph(inner.written, f"{label}/{name}", [], [value(made, dtype)])
        self.written.append(helper.make_node("If", [which], [label], **branches))
        return label

    def loop(
        self, most: Fed, carried: Mapping[str, tuple[str, str]], body: Callable[..., tuple[str, Mapping[str, str]]]
    ) -> dict[str, str]:
        """Writes a loop.

        Args:
            most: Rounds at most, int64 without axes.
            carried: What goes from round to round → its first value, and its type.
            body: Writes a round into the nodes that it is given, from the round's number, from 0, and the carried
                values by name; tells whether another one follows, and the new values.

        Returns:
            The last values.
        """
        inner, label = Nodes(self), self._new("Loop")
        names = {each: f"{label}/{each}" for each in carried}
        number, goes_on = f"{label}/round", f"{label}/goes_on"
        further, made = body(inner, number, **names)
        inputs = [value(number, "int64", []), value(goes_on, "bool", [])]
        inputs += [value(names[each], dtype) for each, (_, dtype) in carried.items()]
        outputs = [value(further, "bool")] + [value(made[each], dtype) for each, (_, dtype) in carried.items()]
        graph = helper.make_graph(inner.written, label, inputs, outputs)
        found = {each: f"{label}/{each}_at_last" for each in carried}
        start = [self._fed(most), self._fed(np.asarray(True))]
        start += [first for first, _ in carried.values()]
        self.written.append(helper.make_node("Loop", start, list(found.values()), body=graph))
        return found

    def scan(self, first: str, rows: str, dtype: str, body: Callable[..., str]) -> str:
        """Writes what goes over rows.

        Args:
            first: State before the first row, of the shape of one.
            rows: Of shape [rows, width].
            dtype: Of all of them.
            body: Writes what becomes of a `state` by a `row`, into the nodes that it is given.

        Returns:
            The state after each row.
        """
        inner, label = Nodes(self), self._new("Scan")
        state, row = f"{label}/state", f"{label}/row"
        after = body(inner, state=state, row=row)
        told = inner("Identity", after)
        # ONNX Runtime 1.23 wants to be told of shapes, or at least of axes, which must not be those around it.
        ends = [[value(name, dtype, [f"{label}/width"]) for name in names] for names in ((state, row), (after, told))]
        graph = helper.make_graph(inner.written, label, *ends)
        outputs = [f"{label}/last", f"{label}/states"]
        self.written.append(helper.make_node("Scan", [first, rows], outputs, body=graph, num_scan_inputs=1))
        return outputs[1]

    def _fed(self, given: Fed) -> str:
        """The name of a value; a constant is kept once."""
        if isinstance(given, str):
            return given
        content = tuple(given.reshape(-1)) if given.dtype == object else given.tobytes()
        key = (given.dtype.str, given.shape, content)
        if key not in self._known:
            self._known[key] = f"{PREFIX}constant_{len(self._known)}"
            self.constants.append(numpy_helper.from_array(given, self._known[key]))
        return self._known[key]

    def _new(self, operator: str) -> str:
        if self._outer:
            return self._outer._new(operator)
        self._count += 1
        return f"{PREFIX}{operator}_{self._count}"
