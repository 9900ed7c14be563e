"""A model that others made, as an ONNX file: measured, compressed further and gated, not trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.data import files
from edgesft.data.files import sha256
from edgesft.errors import InputError, Problem
from edgesft.spec.model import OnnxSpec

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Brought:
    """An ONNX file as a recipe names it.

    Attributes:
        path: The file.
        states: Input → output that becomes its value at the next inference.
        constants: Input → what it always is; the file that is measured and shipped has it built in.
    """

    path: Path
    states: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)

    def digest(self) -> str:
        """Of the bytes, those beside them included, and of what is said of them."""
        facts = [[sha256(file) for file in self.files], dict(self.states), dict(self.constants)]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def files(self) -> list[Path]:
        """The file and its external data."""
        tensors = self._proto.graph.initializer
        named = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
        return [self.path, *(self.path.parent / name for name in sorted(named))]

    @cached_property
    def inputs(self) -> dict[str, tuple[int | None, ...]]:
        """Of each input that is neither a constant nor a weight its axes; None is one of any size."""
        weights = {tensor.name for tensor in self._proto.graph.initializer}
        axes = _axes(self._proto.graph.input)
        return {name: shape for name, shape in axes.items() if name not in weights and name not in self.constants}

    @cached_property
    def outputs(self) -> dict[str, tuple[int | None, ...]]:
        """The same of each output."""
        return _axes(self._proto.graph.output)

    def problems(self) -> list[Problem]:
        """Names that the file does not have, as far as it can be read."""
        try:
            every, outputs = {**self.inputs, **dict.fromkeys(self.constants, ())}, self.outputs
            given = _axes(self._proto.graph.input)
        except InputError as error:
            return list(error.problems)
        wanted = [("model.states", name, every) for name in self.states]
        wanted += [("model.states", name, outputs) for name in self.states.values()]
        wanted += [("model.constants", name, given) for name in self.constants]
        return [
            Problem(f"{place}: must be of {', '.join(known)}, got {name!r}", str(self.path))
            for place, name, known in wanted
            if name not in known
        ]

    def alone(self, what: str, among: Mapping[str, Any], states: Sequence[str]) -> str:
        """The one input, or output, that is no state.

        Raises:
            InputError: There is none, or several.
        """
        rest = [name for name in among if name not in states]
        if len(rest) != 1:
            got = ", ".join(rest) or "none"
            raise InputError(
                f"model: must have one {what} that is no state, got {got}", "model.states, model.constants"
            )
        return rest[0]

    def with_constants(self) -> onnx.ModelProto:
        """The whole model with the constants built in."""
        import onnx

        model = onnx.load(str(self.path))
        for value in list(model.graph.input):
            if value.name in self.constants:
                dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
                array = np.asarray(self.constants[value.name], dtype)
                model.graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
                model.graph.input.remove(value)
        return model

    @cached_property
    def _proto(self) -> onnx.ModelProto:
        """The model without its external data."""
        import onnx

        try:
            return onnx.load(str(self.path), load_external_data=False)
        except Exception as error:  # Protobuf's own unrelated types.
            raise InputError(
                f"model.onnx: '{self.path}' must be an ONNX file, got: {error}", "export it again"
            ) from error


def resolve(spec: OnnxSpec, base: Path) -> Brought:
    """The file that a recipe means, its path taken from the recipe's folder.

    Raises:
        InputError: It is not there.
    """
    path = files.place(spec.onnx, base)
    if problem := files.missing(path, "model.onnx"):
        raise InputError(problem)
    return Brought(path, spec.states, spec.constants)


def _axes(values: Sequence[Any]) -> dict[str, tuple[int | None, ...]]:
    return {
        value.name: tuple(
            axis.dim_value if axis.HasField("dim_value") else None for axis in value.type.tensor_type.shape.dim
        )
        for value in values
    }
