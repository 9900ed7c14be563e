"""Models whose free axes were given sizes: what they are fed is padded to those, and what they answer is cut back.

Which axes those are stands in the file itself, under `edgesft.fixed` among its metadata: whoever loads it knows.
Inputs are padded with zeros at their end: that is right where a mask says what counts, and the answers are compared
with those of the model before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.errors import InputError

if TYPE_CHECKING:
    import onnx

OWN = "edgesft."
"""Metadata of ours begins so."""

KEY = f"{OWN}fixed"

Axes = Mapping[str, Mapping[int, str]]
"""Input or output → its axis → what that axis was called."""


@dataclass(frozen=True)
class Fixed:
    """Axes that were free.

    Attributes:
        sizes: Name of an axis → the size that it has now.
        inputs: Where inputs had them.
        outputs: Where outputs had them.
    """

    sizes: Mapping[str, int]
    inputs: Axes
    outputs: Axes

    def pad(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Feeds with zeros behind what they are, as far as axes were free.

        Raises:
            InputError: An array is longer than the model takes.
        """
        return {name: self._padded(name, np.asarray(array)) for name, array in feeds.items()}

    def crop(self, outputs: Mapping[str, np.ndarray], feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the model answered, without what stands for the padding.

        Args:
            outputs: To the padded feeds.
            feeds: Before they were padded.
        """
        real: dict[str, int] = {}
        for name, axes in self.inputs.items():
            if name in feeds:
                real.update({called: np.shape(feeds[name])[axis] for axis, called in axes.items()})
        found = {}
        for name, array in outputs.items():
            cut = [slice(None)] * array.ndim
            for axis, called in self.outputs.get(name, {}).items():
                cut[axis] = slice(real.get(called))
            found[name] = array[tuple(cut)]
        return found

    def _padded(self, name: str, array: np.ndarray) -> np.ndarray:
        lacking = [(0, 0)] * array.ndim
        for axis, called in self.inputs.get(name, {}).items():
            size = self.sizes[called]
            if array.shape[axis] > size:
                raise InputError(
                    f"axis {axis} of input '{name}' must be at most {size}, which the model was fixed at, "
                    f"got {array.shape[axis]}",
                    f"a model fixed at a larger '{called}'",
                )
            lacking[axis] = (0, size - array.shape[axis])
        return np.pad(array, lacking) if any(after for _, after in lacking) else array

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `from_json`."""
        told = {
            kind: {name: {str(axis): called for axis, called in axes.items()} for name, axes in places.items()}
            for kind, places in (("inputs", self.inputs), ("outputs", self.outputs))
        }
        return {"sizes": dict(self.sizes), **told}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fixed:
        """Inverse of `to_json`."""
        places = [
            {name: {int(axis): called for axis, called in axes.items()} for name, axes in data[kind].items()}
            for kind in ("inputs", "outputs")
        ]
        return cls(dict(data["sizes"]), *places)


def fixed(model: onnx.ModelProto) -> Fixed | None:
    """What a model's metadata tell of axes that were free; None where none was."""
    told = next((entry.value for entry in model.metadata_props if entry.key == KEY), None)
    return Fixed.from_json(json.loads(told)) if told else None


def free(model: onnx.ModelProto) -> Fixed:
    """The free axes of a model, with no sizes yet; one without a name is `<input>.<axis>`."""
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = {value.name: _free(value) for value in model.graph.input if value.name not in known}
    named = {called for axes in inputs.values() for called in axes.values()}
    outputs = {
        value.name: {axis: called for axis, called in _free(value).items() if called in named}
        for value in model.graph.output
    }
    return Fixed({}, *({name: axes for name, axes in places.items() if axes} for places in (inputs, outputs)))


def _free(value: onnx.ValueInfoProto) -> dict[int, str]:
    axes = value.type.tensor_type.shape.dim
    return {
        place: axis.dim_param or f"{value.name}.{place}"
        for place, axis in enumerate(axes)
        if not axis.HasField("dim_value")
    }


def fix(model: onnx.ModelProto, sizes: Mapping[str, int]) -> Fixed:
    """Gives a model's free axes their sizes, in place, and notes in its metadata which they were.

    Args:
        model: With free axes.
        sizes: Name of an axis → its size.

    Returns:
        What was fixed.

    Raises:
        InputError: An axis has no size.
    """
    from onnxruntime.tools.onnx_model_utils import fix_output_shapes, make_dim_param_fixed

    found = free(model)
    names = {called for axes in found.inputs.values() for called in axes.values()}
    if lacking := sorted(names - set(sizes)):
        raise InputError(f"axis {', '.join(lacking)} must have a size, got none", f"--axis {lacking[0]}=64")
    for value in model.graph.input:
        for place, called in found.inputs.get(value.name, {}).items():
            value.type.tensor_type.shape.dim[place].dim_value = sizes[called]
    for called in sorted(names):
        make_dim_param_fixed(model.graph, called, sizes[called])
    fix_output_shapes(model)
    done = Fixed({name: sizes[name] for name in sorted(names)}, found.inputs, found.outputs)
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(done.to_json(), sort_keys=True)
    return done


def own_metadata(model: onnx.ModelProto) -> None:
    """Leaves of a model's metadata only what is ours: tools write paths and names of their own there."""
    ours = [(entry.key, entry.value) for entry in model.metadata_props if entry.key.startswith(OWN)]
    del model.metadata_props[:]
    for key, value in ours:
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
