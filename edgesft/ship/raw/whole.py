"""One graph of three: what makes a model's feeds of a raw input, the model, and what makes an answer of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, ValueInfoProto, compose, helper

from edgesft.errors import StageError
from edgesft.ship import graph
from edgesft.ship.describe import PROCESSOR
from edgesft.ship.raw import answer, picture, text, vocabulary
from edgesft.ship.raw.answer import Outputs
from edgesft.ship.raw.nodes import LEAST_OPSET, Nodes, int64, value

MODEL = "model/"
"""Prefix of the names within the model, so that none is one of ours."""

TEXT, WORDS, PICTURE = "text", "words", "picture"
"""Names of the one input, by what it takes."""

SHAPES: Mapping[str, tuple[str, ...]] = {TEXT: ("bytes",), WORDS: ("bytes",), PICTURE: ("height", "width", "channels")}
"""All of type uint8."""

READERS = {"text": TEXT, "words": WORDS, "image": PICTURE}
"""`preparation.kind` of a contract → the input."""

WRITERS = {"classes": (TEXT, PICTURE), "heads": (TEXT, PICTURE), "tags": (WORDS,), "boxes": (PICTURE,)}
"""`decoding.kind` → the inputs that it is written for."""

ANSWERS = {"classes": answer.classes, "heads": answer.heads, "boxes": answer.boxes}
"""`decoding.kind` → what writes the answer; that of `tags` needs lines, too."""


@dataclass(frozen=True)
class Whole:
    """A raw model.

    Attributes:
        model: All of it, weights of other files not loaded.
        front: What makes the feeds alone, whose outputs are the model's inputs.
        reads: Name of its input.
        outputs: What it answers.
    """

    model: ModelProto
    front: ModelProto
    reads: str
    outputs: Outputs


def whole(file: Path, said: Mapping[str, Any], folder: Path) -> Whole:
    """The raw model of a run's.

    Args:
        file: The run's model.
        said: The bundle's contract.
        folder: Of the run, with the files that make inputs of raw rows.

    Raises:
        StageError: No graph is written for such a contract, tokenizer or model; it says which part.
    """
    reads = _reads(said)
    model = onnx.load(file, load_external_data=False)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset < LEAST_OPSET:
        raise StageError(f"the model must be of opset {LEAST_OPSET} or newer to be part of a larger graph, got {opset}")
    # Functions keep their names: those who call them in branches are not told of others.
    compose.add_prefix(model, MODEL, rename_functions=False, inplace=True)
    weights = {each.name for each in model.graph.initializer}
    inputs = [each for each in model.graph.input if each.name not in weights]
    n = Nodes()
    back = _front(n, reads, inputs, said, folder)
    front = _model(n, n.written, reads, inputs, model)
    before = len(n.written)
    outputs = back(n)
    nodes = [*n.written[:before], *model.graph.node, *n.written[before:]]
    ends = [value(name, dtype, shape) for name, (dtype, shape) in outputs.items()]
    made = _model(n, nodes, reads, ends, model)
    made.graph.initializer.extend(model.graph.initializer)
    # Some fusions of ONNX Runtime ask whether axes are the same, which these names tell it.
    made.graph.value_info.extend([*inputs, *model.graph.value_info])
    made.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    made.graph.quantization_annotation.extend(model.graph.quantization_annotation)
    made.functions.extend(model.functions)
    kept = {each.key: each.value for each in model.metadata_props if each.key != graph.FIXED}
    helper.set_model_props(made, kept)
    return Whole(made, front, reads, outputs)


def _reads(said: Mapping[str, Any]) -> str:
    """The input of a contract's raw model."""
    kind, decoding = said["preparation"]["kind"], said["decoding"]["kind"]
    reads = READERS.get(kind)
    if reads is None or reads not in WRITERS.get(decoding, ()):
        known = "; ".join(f"{name} of {' and '.join(each)}" for name, each in WRITERS.items())
        raise StageError(f"a raw model must make {known}; got {decoding} of {kind}")
    if said["states"]:
        raise StageError("no graph can be written for a model with states, because one call does not have them")
    if decoding != "tags" and not said["labels"]:
        raise StageError("no graph can be written for classes without labels")
    return reads


def _front(
    n: Nodes, reads: str, inputs: list[ValueInfoProto], said: Mapping[str, Any], folder: Path
) -> Callable[[Nodes], Outputs]:
    """Writes what makes the feeds; what it returns writes the answer."""
    way = said["preparation"]

    def score_of(output: str) -> str:
        return f"{MODEL}{output}"

    if reads == PICTURE:
        _named(n, picture.feed(n, PICTURE, way), inputs[0])
        return lambda n: ANSWERS[said["decoding"]["kind"]](n, said, score_of)
    if "tokenizer" not in way:
        raise StageError("no graph can be written for a tokenizer without a tokenizer.json")
    file = folder / Path(way["tokenizer"]).relative_to(PROCESSOR)
    known = vocabulary.read(file, way)
    found = text.tokens(n, reads, known, lines=reads == WORDS)
    made = text.fields(n, found.ids, known, way["max_length"])
    for each in inputs:
        name = each.name.removeprefix(MODEL)
        if name not in way["fields"]:
            raise StageError(f"no graph can be written for the input '{name}', which no tokenizer produces")
        _named(n, _filled(n, made[way["fields"][name]], each), each)
    if reads == WORDS:
        lines = text.lines_of(n, found, known, way["max_length"])
        return lambda n: answer.tags(n, said, score_of, lines, found.count)
    return lambda n: ANSWERS[said["decoding"]["kind"]](n, said, score_of)


def _filled(n: Nodes, tokens: str, given: ValueInfoProto) -> str:
    """Tokens with zeros at their end, where the model has a size for them."""
    size = given.type.tensor_type.shape.dim[1].dim_value
    if not size:
        return tokens
    lacking = n("Sub", int64(size), n("Slice", n("Shape", tokens), int64(1), int64(2)))
    return n("Pad", tokens, n("Concat", int64(0), lacking, axis=0), np.asarray(0, np.int64), int64(1))


def _named(n: Nodes, made: str, given: ValueInfoProto) -> None:
    """Gives what was made the name of one of the model's inputs, and its type."""
    n("Cast", made, name=given.name, to=given.type.tensor_type.elem_type)


def _model(n: Nodes, nodes: list[NodeProto], reads: str, outputs: list[ValueInfoProto], like: ModelProto) -> ModelProto:
    """Nodes with the constants that were written, of a model's versions."""
    made = helper.make_graph(nodes, "raw", [value(reads, "uint8", SHAPES[reads])], outputs, n.constants)
    return helper.make_model(made, opset_imports=like.opset_import, ir_version=like.ir_version, producer_name="edgesft")
