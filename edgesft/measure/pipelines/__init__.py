'''End-to-end measurement: the steps before and after the model, measured with it.

A model's inference is not the latency of a feature: a text must be tokenized, an image decoded, resized and
normalised, and what comes out be turned into an answer. A pipeline is one Python file that says how. Three ship,
`text`, `image` and `audio`; for anything else, write one:

    """Temperature of a room from its last hour."""

    import numpy as np

    class Pipeline:
        def __init__(self, folder, options):
            """folder: where the model lies. options: see below. Load here what is loaded once."""
            self.mean = float(options.get("mean", 20.0))

        def before(self, row):
            """A raw row → the model's feeds by name, with a batch axis of 1."""
            return {"x": np.asarray([row["hour"]], np.float32) - self.mean}

        def after(self, outputs):
            """The model's outputs by name → the feature's answer, any JSON value."""
            return float(outputs["y"][0, 0]) + self.mean

The measuring process runs the file by its path. It may be another interpreter, on another machine, that has only
numpy and onnxruntime: so the file imports those, the standard library, and what is installed there. `before`,
the inference and `after` are timed as three spans of one sample, one row at a time; `__init__` is not timed. A row is
whatever JSON value the rows' file has. Where states are fed back from one inference to the next, they replace what
`before` gave for them. `options` has `inputs` (the names that the model takes), `labels` (those of the contract),
the contract's other options, and the settings that were given. An exception ends the measurement with its text, so
say in it what was wrong with the row.
'''

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.data import files
from edgesft.data.media import audio, image
from edgesft.errors import InputError
from edgesft.measure.pipelines import text
from edgesft.measure.pipelines.options import (
    OWN,
    AudioOptions,
    ImageOptions,
    TextOptions,
    audio_defaults,
    image_defaults,
    text_defaults,
)
from edgesft.measure.pipelines.rows import read_rows
from edgesft.spec.base import Spec
from edgesft.spec.document import Document
from edgesft.spec.load import validate
from edgesft.spec.overrides import override
from edgesft.tasks.contract import Contract
from edgesft.tasks.models.checkpoint import read_json

if TYPE_CHECKING:
    from edgesft.measure.replies import Value

__all__ = ["PipelineSource", "find", "read_rows"]

CONTRACT = "contract.json"


@dataclass(frozen=True)
class PipelineSource:
    """A pipeline as the agent's `pipeline` takes it.

    Attributes:
        file: Python file that has the class `Pipeline`.
        folder: Where the model lies.
        options: What the pipeline is told; JSON values.
        label: What a report calls it: `text`, `image`, `audio` or the name of the user's file.
    """

    file: Path
    folder: Path
    options: Mapping[str, Any]
    label: str


@dataclass(frozen=True)
class _Kind:
    """A pipeline that ships: the tasks that it serves, its options and where they come from, and its file."""

    tasks: tuple[str, ...]
    schema: type[Spec]
    defaults: Callable[[Path, Sequence[Value]], dict[str, Any]]
    file: Path


KINDS = {
    "text": _Kind(("text-classification",), TextOptions, text_defaults, Path(text.__file__)),
    "image": _Kind(("image-classification", "object-detection"), ImageOptions, image_defaults, Path(image.__file__)),
    "audio": _Kind(("audio-classification",), AudioOptions, audio_defaults, Path(audio.__file__)),
}
"""By the name of a pipeline that ships."""


def find(
    model: Path, *, kind: str | Path | None, inputs: Sequence[Value], settings: Sequence[str] = ()
) -> PipelineSource:
    """The pipeline of a model, and its options.

    An option comes from the settings, else from the contract, else from what lies beside the model
    (`tokenizer_config.json`, `preprocessor_config.json`), else from the graph's inputs.

    Args:
        model: ONNX file; what the pipeline needs lies beside it.
        kind: `text`, `image`, `audio` or a Python file; None means what the task in `contract.json` says.
        inputs: The graph's inputs, as loading the model told them.
        settings: `option=value` in YAML, from the command line.

    Raises:
        InputError: No pipeline of this kind, a file that it needs is missing or damaged, inputs that it does not
            make, or an option that it does not have.
    """
    folder = model.absolute().parent
    contract = _contract(folder)
    name = str(kind) if kind is not None else _of_task(folder, contract)
    said = {"labels": list(contract.labels), **contract.options} if contract else {}
    names = [value.name for value in inputs]
    if name not in KINDS:
        file = _own(name)
        document = Document(file.name, {"labels": [], **said})
        override(document, settings)
        return PipelineSource(file, folder, {**document.data, "inputs": names}, file.name)
    schema = KINDS[name].schema
    known = {key: value for key, value in said.items() if key in schema.model_fields}
    document = Document(f"{name} pipeline", {**KINDS[name].defaults(folder, inputs), **known})
    override(document, settings)
    options = validate(document, schema).model_dump(mode="json")
    return PipelineSource(KINDS[name].file, folder, {**options, "inputs": names}, name)


def _contract(folder: Path) -> Contract | None:
    said = read_json(folder / CONTRACT)
    if not said:
        return None
    try:
        return Contract.from_json(said)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / CONTRACT}: must have task, labels and options, got {', '.join(said)}", "export the model again"
        ) from error


def _of_task(folder: Path, contract: Contract | None) -> str:
    choice = f"{', '.join(KINDS)}, or {OWN}"
    if contract is None:
        raise InputError(
            f"pipeline: must be named where no {CONTRACT} lies beside the model, got none in {str(folder)!r}", choice
        )
    for name, kind in KINDS.items():
        if contract.task in kind.tasks:
            return name
    raise InputError(f"pipeline: must be named for the task {contract.task!r}, which none that ships serves", choice)


def _own(name: str) -> Path:
    file = Path(name)
    if file.suffix != ".py":
        raise InputError(f"pipeline: must be {', '.join(KINDS)} or a Python file, got {name!r}", OWN)
    problem = files.missing(file, "pipeline")
    if problem:
        raise InputError(problem)
    return file.absolute()
