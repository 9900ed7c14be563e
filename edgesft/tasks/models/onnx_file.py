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
from edgesft.tasks.models import checkpoint, companions, preprocessor

if TYPE_CHECKING:
    import onnx

CLASSES = "classes"
"""What contracts are made from may have, as the recipe's options: the classes in the order of a file's scores."""

READ = (*checkpoint.TOKENIZERS, checkpoint.CONFIG, preprocessor.FILE, companions.CONTRACT, "tokenizer_config.json")
"""Files beside it that decide what it is fed and what its answers mean."""


@dataclass(frozen=True)
class OnnxFile:
    """An ONNX file as a recipe names it.

    Attributes:
        path: The file.
        states: Input → output that becomes its value at the next inference.
        constants: Input → what it always is; the file that is measured and shipped has it built in.
        names: What the task calls an input or output → what the file does, as far as the recipe says.
        named: Classes in the order of the scores, as far as the recipe says.
        folder: Where its tokenizer or its like is.
    """

    path: Path
    states: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    named: tuple[str, ...] = ()
    folder: Path = Path()

    def digest(self) -> str:
        """Of the bytes, those beside them included, and of what is said of them."""
        facts = [[sha256(file) for file in self.files], dict(self.states), dict(self.constants)]
        beside = {name: sha256(place) for name in READ if (place := self.folder / name).is_file()}
        facts += [dict(self.names), list(self.labels), self.config, beside]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def files(self) -> list[Path]:
        """The file and its external data."""
        tensors = self._proto.graph.initializer
        named = {entry.value for tensor in tensors for entry in tensor.external_data if entry.key == "location"}
        return [self.path, *(self.path.parent / name for name in sorted(named))]

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its configuration, empty where it has none.

        Raises:
            InputError: It is damaged.
        """
        return companions.configuration(self.path, self.folder)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The classes in the order of its scores; empty where nothing names them."""
        return self.named or companions.labels(self.config, self.folder)

    @property
    def options(self) -> dict[str, Any]:
        """What it adds to the options that a contract is made from."""
        return {CLASSES: list(self.labels)} if self.labels else {}

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

    @property
    def feeds(self) -> list[str]:
        """What its inputs are called here."""
        ours = {said: name for name, said in self.names.items()}
        return [ours.get(name, name) for name in self.inputs]

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
        wanted += [("model.names", name, {**every, **outputs}) for name in self.names.values()]
        return [
            Problem(f"{place}: must be of {', '.join(known)}, got {name!r}", str(self.path))
            for place, name, known in wanted
            if name not in known
        ]

    def head_problems(self, labels: Sequence[str], output: str) -> list[Problem]:
        """What keeps its scores from being those of the labels: nobody says which is whose, or they are not as many.

        Args:
            labels: Of the task, in the order of the scores.
            output: What the task calls the scores, which lie along their last axis.

        Raises:
            InputError: It has no such output.
        """
        scores = self.outputs[self.called([], [output])[output]]
        if labels and scores and scores[-1] not in (None, len(labels)):
            message = f"model: must have a score for each of {len(labels)} labels, got {scores[-1]}"
            return [Problem(message, "model.labels must name all classes of the file, also those that no row has")]
        if self.labels or list(labels) == [str(number) for number in range(len(labels))]:
            return []
        hint = f"labels: [{', '.join(labels)}], in the file's order"
        return [Problem("model.labels: must name the classes in the order of the file's scores, got none", hint)]

    def misfits(self, inputs: Sequence[str], outputs: Sequence[str]) -> list[Problem]:
        """Why the task cannot feed it, or make answers of what it gives; names as of `called`."""
        try:
            self.called(inputs, outputs)
        except InputError as error:
            return list(error.problems)
        return []

    def called(self, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
        """What the task calls inputs and outputs → what the file does.

        The recipe says so, or the names are the same, or there is but one on both sides. The file may take fewer inputs
        than the task has, and give more outputs than it wants.

        Args:
            inputs: All that the task can feed; none where only outputs matter.
            outputs: What the task makes answers of.

        Raises:
            InputError: An input that the task does not feed, or an output that is not there.
        """
        takes, strange = self._matched(inputs, self.inputs)
        gives, _ = self._matched(outputs, self.outputs)
        problems = []
        if inputs and strange:
            message = f"model: must take {', '.join(inputs)} and nothing else, got {', '.join(strange)}"
            hint = f"model.names: {{{inputs[0]}: {strange[0]}}}, or model.constants for an input with a constant value"
            problems.append(Problem(message, hint))
        if lacking := [name for name in outputs if name not in gives]:
            message = f"model: must give {', '.join(lacking)}, got {', '.join(self.outputs)}"
            problems.append(Problem(message, f"model.names: {{{lacking[0]}: {next(iter(self.outputs))}}}"))
        if problems:
            raise InputError(problems)
        return {**takes, **gives}

    def _matched(self, wanted: Sequence[str], given: Mapping[str, Any]) -> tuple[dict[str, str], list[str]]:
        """Ours → the file's, and what of the file's is left."""
        found = {name: said for name in wanted if (said := self.names.get(name, name)) in given}
        lacking = [name for name in wanted if name not in found and name not in self.names]
        left = [name for name in given if name not in found.values()]
        if len(lacking) == len(left) == 1:
            return {**found, lacking[0]: left[0]}, []
        return found, left

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


def resolve(spec: OnnxSpec, base: Path, processor: Path | None = None) -> OnnxFile:
    """The file that a recipe means, its path taken from the recipe's folder.

    Args:
        spec: What the recipe says.
        base: Folder of the recipe.
        processor: Where its tokenizer or its like is, where the recipe says so.

    Raises:
        InputError: It is not there.
    """
    path = files.place(spec.onnx, base)
    if path.is_dir():
        path = companions.model_file(path)
    if problem := files.missing(path, "model.onnx"):
        raise InputError(problem)
    folder = companions.folder(path, processor)
    return OnnxFile(path, spec.states, spec.constants, spec.names, spec.labels, folder)


def _axes(values: Sequence[Any]) -> dict[str, tuple[int | None, ...]]:
    return {
        value.name: tuple(
            axis.dim_value if axis.HasField("dim_value") else None for axis in value.type.tensor_type.shape.dim
        )
        for value in values
    }
