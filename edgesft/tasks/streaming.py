"""Shared base of tasks on streaming sound: a frame and states in, an answer and new states out.

A model of the user's own is a module with an attribute `states` (name → shape of one row's) and a
`forward(frames, **states)`, which returns a tuple: the answers, then the states in that order. `frames` has the shape
[rows, frames, *frame], a state [rows, *shape]; states that are left out are zeros. A whole sound at once, as in
training, and one frame at a time with states fed back, as on the device, give the same answers.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from edgesft.data.hashing import identity
from edgesft.data.media.frames import Frames
from edgesft.errors import InputError, Problem
from edgesft.spec.media import FramesSpec
from edgesft.tasks.base import Batch, Example, Graph, Row, Run, Task
from edgesft.tasks.contract import Contract
from edgesft.tasks.media import INPUT
from edgesft.tasks.models import factory
from edgesft.tasks.models.factory import Factory
from edgesft.tasks.models.onnx_file import OnnxFile
from edgesft.tasks.models.source import Source

if TYPE_CHECKING:
    from torch import nn

    from edgesft.spec.recipe import RecipeSpec

OUTPUT, SHAPE, STATES = "output", "shape", "states"
"""Options of the contract: name of the output, shape of the input, and for each state its shape and the output that
becomes its next value; shapes are those of one row."""

STATED = "a mapping from name to shape, without the axis of rows"

FED = ("rate", "window", "hop", "taper", "features", "answers")
"""Options of the contract that say how sound is cut into frames."""

GOLDEN = 0.618034
"""The fractional parts of its multiples fill 0 to 1 evenly."""

SAMPLES = "samples"
"""Key of a row's sound in an example."""

LABELS = "labels"


class Cutting:
    """A processor: cuts sound into frames as the contract says, and feeds states back."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.rate: int = options["rate"]
        self.frames = Frames(options)
        self.input: str = options[INPUT]
        self.output: str = options[OUTPUT]
        self.shape = tuple(map(int, options[SHAPE]))
        self.states = {name: tuple(map(int, said["shape"])) for name, said in options[STATES].items()}
        self.outputs = {name: str(said[OUTPUT]) for name, said in options[STATES].items()}

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes nothing: the contract has it all."""

    @property
    def most(self) -> int | None:
        """Most streams per inference: one for ONNX files whose axes are laid out differently from ours."""
        return None if all(shape[:1] == (1,) for shape in (self.shape, *self.states.values())) else 1

    def begin(self, rows: int) -> Batch:
        """The states at the start of so many streams."""
        return {name: np.zeros(_many(shape, rows), np.float32) for name, shape in self.states.items()}

    def after(self, outputs: Mapping[str, np.ndarray]) -> Batch:
        """The states after an inference."""
        return {name: outputs[output] for name, output in self.outputs.items()}

    def steps(self, run: Run, samples: np.ndarray, count: int) -> Iterator[tuple[Batch, Mapping[str, np.ndarray]]]:
        """The input of each inference of a stream, and its outputs.

        Args:
            run: One inference.
            samples: Shape [rows, samples].
            count: Frames.
        """
        cut, states = self.frames.cut(samples, count), self.begin(len(samples))
        for number in range(count):
            feeds = {self.input: cut[:, number].reshape(_many(self.shape, len(cut))), **states}
            outputs = run(feeds)
            states = self.after(outputs)
            yield feeds, outputs


def _many(shape: tuple[int, ...], rows: int) -> tuple[int, ...]:
    return shape if rows == 1 else (rows, *shape[1:])


class Streaming(Task, ABC):
    """A task on streaming sound."""

    words: ClassVar[bool] = False
    max_grad_norm: ClassVar[float] = 5.0
    patience: ClassVar[float] = 3.0
    learning_rates: ClassVar[tuple[float, ...]] = (3e-4, 1e-3)
    unprunable: ClassVar[str] = "states must keep the shapes given in model.states"
    takes_files: ClassVar[bool] = True
    heard: ClassVar[str]
    """Column of a row that the model hears."""
    whole: ClassVar[bool]
    """Whether frames follow a sound's end until its last sample's answer is complete."""

    def __init__(self, frames: FramesSpec | None = None, inputs: Sequence[str] = ("frames",)) -> None:
        """Takes what the recipe declares.

        Args:
            frames: How sound is cut.
            inputs: Name of the model's input.
        """
        self.spec = frames or FramesSpec()
        self.frames = Frames(self._said)
        self._output = f"{inputs[0]}_out"

    @classmethod
    def of_recipe(cls, recipe: RecipeSpec, base: Path) -> Self:
        """The task with the recipe's frames and the name of the model's input."""
        return cls(recipe.data.frames, getattr(recipe.model, "inputs", ("frames",)))

    @classmethod
    def of_contract(cls, contract: Contract, columns: Mapping[str, str]) -> Self:
        """The task with the contract's frames and name of the model's input."""
        options = contract.options
        return cls(FramesSpec(**{name: options[name] for name in FED}), (options[INPUT],))

    def text(self, row: Row) -> str:
        """What its file's content alone has: files are no words."""
        return identity(row[self.roles[0]])

    def implied(self, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """The recipe's options with names and shapes of the model's inputs and outputs."""
        if isinstance(source, OnnxFile):
            return {**options, **self._of_file(source)}
        if not isinstance(source, Factory):
            return dict(options)
        name = source.inputs[0]
        states = {each: {SHAPE: [1, *shape], OUTPUT: f"{each}_out"} for each, shape in source.states.items()}
        return {**options, INPUT: name, OUTPUT: f"{name}_out", SHAPE: [1, 1, *self.frames.shape], STATES: states}

    def declared(self, source: Factory) -> dict[str, Any]:
        """Name of the input and shapes of the states, as the module has them."""
        from edgesft.tasks.models import own

        module = own.OwnModel(own.OwnConfig(source.name, str(source.path), source.arguments)).model
        states = getattr(module, "states", None)
        if not isinstance(states, Mapping):
            message = f"model.factory: the module of {source.name!r} must have an attribute `states`, got {states!r}"
            raise InputError(message, STATED)
        inputs = [name for name in inspect.signature(module.forward).parameters if name not in states]
        return {"inputs": inputs[:1], STATES: {name: list(shape) for name, shape in states.items()}}

    def _of_file(self, source: OnnxFile) -> dict[str, Any]:
        """The same for a given ONNX file.

        Raises:
            InputError: Its input is no frame, or it lacks a name that the recipe states.
        """
        if problems := source.problems():
            raise InputError(problems)
        given = source.inputs
        name = source.alone("input", given, list(source.states))
        output = source.alone("output", source.outputs, list(source.states.values()))
        shape = [1 if axis is None else axis for axis in given[name]]
        wanted = math.prod(self.frames.shape)
        if None in given[name]:
            last = max(place for place, axis in enumerate(given[name]) if axis is None)
            shape[last] = max(1, wanted // math.prod(shape))
        if math.prod(shape) != wanted:
            got = [axis or "any" for axis in given[name]]
            message = f"data.frames: must make {wanted} numbers per frame for '{name}', got {got}"
            raise InputError(message, "set window and features as the model was trained with")
        states = {
            each: {SHAPE: [axis or 1 for axis in given[each]], OUTPUT: after} for each, after in source.states.items()
        }
        return {INPUT: name, OUTPUT: output, SHAPE: shape, STATES: states}

    def read_alike(self, one: Source, other: Source, options: Mapping[str, Any]) -> bool:
        """True: only the recipe says how sound is cut."""
        return True

    def contract(self, train: Sequence[Row], options: Mapping[str, Any]) -> Contract:
        """Frames and states; no labels unless the task has some."""
        named = {name: options[name] for name in (INPUT, OUTPUT, SHAPE, STATES) if name in options}
        return Contract(self.name, self.labels, {**self._said, **named})

    @property
    def _said(self) -> dict[str, Any]:
        """The framing options with all defaults filled in."""
        said = self.spec.model_dump(mode="json", include=set(FED))
        return {**said, "answers": said["answers"] or said["features"]}

    labels: ClassVar[tuple[str, ...]] = ()
    """Of the contract."""

    def check_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> list[Problem]:
        """A model that is neither a factory's nor an ONNX file; missing modules, weights, inputs or states."""
        if isinstance(source, OnnxFile):
            return source.problems()
        if not isinstance(source, Factory):
            message = (
                f"model: must be {{factory: module:function}} or {{onnx: file}} for the task {self.name}, got a name"
            )
            return [Problem(message, factory.WHERE)]
        found = list(source.problems())
        if len(source.inputs) != 1:
            message = f"model.inputs: must be the name of the one input, got {', '.join(source.inputs)}"
            found.append(Problem(message, "inputs: [frames]; states are named by model.states"))
        if not source.states:
            message = "model.states: must give the shape of each state that goes from frame to frame, got none"
            found.append(Problem(message, "states: {hidden: [2, 128]}, without the axis of rows"))
        return found

    def check_head(self, source: Source, contract: Contract) -> list[Problem]:
        """Nothing: a factory's model is not checked."""
        return []

    def load_model(self, source: Source, contract: Contract, *, trust_remote_code: bool = False) -> nn.Module:
        """The factory's model with its weights.

        Raises:
            InputError: It is no module, or has other states than the recipe says.
        """
        from edgesft.tasks.models import own

        if not isinstance(source, Factory):
            raise InputError(self.check_model(source, contract))
        model = own.load(source)
        has = getattr(model.model, "states", None)
        if not isinstance(has, Mapping) or {name: tuple(shape) for name, shape in has.items()} != dict(source.states):
            message = f"model.states: must be the attribute `states` of the module, got {dict(source.states)} for {has}"
            raise InputError(message, STATED)
        return model

    def build_model(self, config: Mapping[str, Any], contract: Contract) -> nn.Module:
        """The factory's model."""
        from edgesft.tasks.models import own

        return own.OwnModel(own.OwnConfig(config["factory"], config["path"], config["arguments"]))

    def load_processor(self, source: Source, contract: Contract) -> Cutting:
        """A processor that cuts sound as the contract says."""
        return Cutting(contract.options)

    def preparation(self, contract: Contract) -> dict[str, Any]:
        """Frames of a stream, cut as in training."""
        steps = {name: contract.options[name] for name in ("rate", "window", "hop", "taper", "features")}
        return {"kind": "frames", "columns": [self.heard], "input": contract.options[INPUT], **steps}

    def period_ns(self, contract: Contract, predictions: np.ndarray) -> int:
        """Time from one frame to the next."""
        return round(contract.options["hop"] * 1_000_000_000 / contract.options["rate"])

    def fed_back(self, contract: Contract) -> dict[str, str]:
        """Input → the output that becomes its value at the next inference."""
        return {name: said[OUTPUT] for name, said in contract.options[STATES].items()}

    def graphs(self, model: nn.Module, processor: Cutting, examples: Sequence[Example]) -> list[Graph]:
        """One graph, `model`, of one frame with its states."""
        import torch

        from edgesft.tasks.models.own import OwnModel

        module = model.model if isinstance(model, OwnModel) else model
        requests = self.requests([examples[0], examples[-1]], processor)
        inputs = {name: torch.from_numpy(np.concatenate([each[name] for each in requests])) for name in requests[0]}
        outputs = (processor.output, *processor.outputs.values())
        return [Graph("model", module, inputs, {name: {0: "batch"} for name in inputs}, outputs)]

    def names(self, contract: Contract) -> tuple[Sequence[str], Sequence[str]]:
        """The names of frame and states, which are the model's own."""
        options, back = contract.options, self.fed_back(contract)
        return (options[INPUT], *back), (options[OUTPUT], *back.values())

    def requests(self, examples: Sequence[Example], processor: Cutting) -> list[Batch]:
        """One frame of each sound, from anywhere in it."""
        found = []
        for example in examples:
            place = self._place(example, processor)
            frame = processor.frames.cut(example[SAMPLES][np.newaxis], place + 1)[:, place]
            found.append({processor.input: frame.reshape(processor.shape), **processor.begin(1)})
        return found

    def stateful_requests(self, examples: Sequence[Example], processor: Cutting, run: Run) -> list[Batch]:
        """The same frames with the states after all frames before them."""
        found = []
        for example in examples:
            steps = processor.steps(run, example[SAMPLES][np.newaxis], self._place(example, processor) + 1)
            found.append(list(steps)[-1][0])
        return found

    def _place(self, example: Example, processor: Cutting) -> int:
        samples = len(example[SAMPLES])
        return int(samples * GOLDEN % 1 * processor.frames.count(samples, whole=self.whole))

    def length(self, example: Example) -> int:
        """Blocks of about a quarter of a second: sounds of similar length are batched, and batches are never split, for
        the statistics of batch normalisations.
        """
        return 1 + len(example[SAMPLES]) // 4096
