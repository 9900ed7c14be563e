"""The model file that a user asks to measure: what it is, what belongs to it, and why a runtime will not load it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgesft.errors import InputError, Problem, StageError
from edgesft.measure.model.facts import external_files, facts_of, read_model
from edgesft.measure.model.graph import operators, precision, tables
from edgesft.spec.problems import nearest

if TYPE_CHECKING:
    import onnx

Form = Literal["onnx", "ort"]

ORT_IDENTIFIER = b"ORTM"
"""File identifier of ORT's flatbuffer, at bytes 4 to 8 (flatbuffers' specification; onnxruntime's `ort.fbs`)."""

SIGNATURES: Sequence[tuple[int, bytes, str, str]] = (
    (0, b"version https://git-lfs", "a git-lfs pointer instead of the file", "git lfs pull"),
    (0, b"PK\x03\x04", "a zip archive, such as a PyTorch checkpoint or npz", "export the model to ONNX first"),
    (4, b"TFL3", "a TensorFlow Lite model", "convert it with tf2onnx --tflite"),
    (8, b'{"', "a safetensors file", "export the model to ONNX first"),
)
"""Offset, bytes there, what such a file is, what to try: what is given in place of ONNX most often."""

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ModelFile:
    """A model's file and what it tells without being run; an ORT-format file tells only its form, bytes and hash.

    Attributes:
        path: The file.
        form: ONNX (protobuf) or ORT format (flatbuffer).
        files: Every file that the device loads: the file itself, then its external data.
        size_bytes: All of them.
        sha256: Of their contents one after the other, so that of a single file is what `sha256sum` prints.
        domains: Domain → version of its operator set, the standard one as `ai.onnx`.
        precision: Its label (`graph.precision`).
        nodes: Nodes, those of subgraphs included.
        parameters: Elements of the constants that are weights.
        operators: Type of operator → nodes; those of another domain as `com.microsoft.FusedConv`.
        free: Input → its axes without a size.
        gathers: Integer input → rows of the smallest table that it indexes, so that ids in [0, rows) are valid.
    """

    path: Path
    form: Form
    files: tuple[Path, ...]
    size_bytes: int
    sha256: str
    domains: Mapping[str, int] = field(default_factory=dict)
    precision: str | None = None
    nodes: int | None = None
    parameters: int | None = None
    operators: Mapping[str, int] = field(default_factory=dict)
    free: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gathers: Mapping[str, int] = field(default_factory=dict)

    @property
    def opset(self) -> int | None:
        """Version of the standard operator set."""
        return self.domains.get("ai.onnx")

    def to_json(self) -> dict[str, Any]:
        """JSON form; files by name, for a receipt that other machines can hold against theirs."""
        return {
            "form": self.form,
            "files": [file.name for file in self.files],
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "domains": dict(self.domains),
            "precision": self.precision,
            "nodes": self.nodes,
            "parameters": self.parameters,
        }


def inspect(path: Path) -> ModelFile:
    """Looks at a model's file; weights in external data are hashed but not loaded.

    Raises:
        InputError: There is no such file, it is no model, or its external data is missing (each file named).
    """
    head = _head(path)
    if head[4:8] == ORT_IDENTIFIER:
        return ModelFile(path, "ort", (path,), path.stat().st_size, _sha256([path]))
    model = _read_onnx(path, head)
    names = external_files(model)
    if missing := [name for name in names if not (path.parent / name).is_file()]:
        raise InputError(
            [
                Problem(
                    f"model '{path}' must lie beside its external data, got no file '{path.parent / name}'",
                    "copy it there; the weights are in it",
                )
                for name in missing
            ]
        )
    facts = facts_of(model, path)
    files = (path, *(path.parent / name for name in names))
    return ModelFile(
        path=path,
        form="onnx",
        files=files,
        size_bytes=facts.size_bytes,
        sha256=_sha256(files),
        domains={entry.domain or "ai.onnx": entry.version for entry in model.opset_import},
        precision=precision(model, facts),
        nodes=facts.nodes,
        parameters=facts.parameters,
        operators=operators(model),
        free=_free(facts.inputs),
        gathers=tables(model),
    )


def _free(inputs: Mapping[str, Sequence[int | str]]) -> dict[str, tuple[str, ...]]:
    found = {name: tuple(axis for axis in sizes if isinstance(axis, str)) for name, sizes in inputs.items()}
    return {name: axes for name, axes in found.items() if axes}


def _head(path: Path) -> bytes:
    if path.is_dir():
        raise InputError(f"model must be a file, got the folder '{path}'", _siblings(path, path.name))
    if not path.is_file():
        raise InputError(f"model must be a file that exists, got '{path}'", _siblings(path.parent, path.name))
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise InputError(f"model must be a file that can be read, got '{path}': {error.strerror}") from error
    if not head:
        raise InputError(f"model must be an ONNX or ORT-format file, got the empty file '{path}'", "copy it again")
    return head


def _siblings(folder: Path, name: str) -> str:
    """A hint that names the model in the folder whose name is nearest."""
    if not folder.is_dir():
        return f"a path that exists; there is no folder '{folder}' either"
    models = [entry.name for entry in folder.iterdir() if entry.suffix in (".onnx", ".ort")]
    return f"{nearest(name, models)} in '{folder}'" if models else "the path of an .onnx or .ort file"


def _read_onnx(path: Path, head: bytes) -> onnx.ModelProto:
    try:
        model = read_model(path)
    except StageError:
        model = None
    # Bytes of another kind can happen to be protobuf of unknown fields: only what has a graph is a model.
    if model is not None and model.HasField("graph"):
        return model
    for offset, mark, kind, hint in SIGNATURES:
        if head[offset:].startswith(mark):
            raise InputError(f"model must be an ONNX or ORT-format file, got {kind}: '{path}'", hint)
    lines = head.decode("latin-1").splitlines()
    if all(line.isascii() and line.isprintable() for line in lines):
        raise InputError(
            f"model must be an ONNX or ORT-format file, got text: '{path}' begins with {lines[0]!r}",
            "the .onnx file itself; a download may have saved an error page",
        )
    got = f"{path.stat().st_size} bytes that cannot be parsed: '{path}' is cut short, damaged or of another format"
    raise InputError(f"model must be an ONNX or ORT-format file, got {got}", "copy or download it again")


def _sha256(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


LOAD_ERRORS: Sequence[tuple[str, str, str]] = (
    (
        r"No Op registered for (?P<op>\S+) with domain_version of (?P<version>\d+)",
        "operator '{op}' must be in opset {version} of the standard operators, got one that ONNX Runtime {runtime} does"
        " not know there",
        "export with an opset that has it, or a newer onnxruntime; an operator of your own needs a domain",
    ),
    (
        r"(?P<domain>[\w.]*):(?P<op>\w+)\(-?\d+\) is not a registered function/op",
        "operator '{op}' of domain '{domain}' must be one that ONNX Runtime {runtime} has, got one it does not know",
        "an export without custom operators, or an onnxruntime whose build has it",
    ),
    (
        r"Could not find an implementation for (?P<op>\w+)\((?P<version>\d+)\) node with name '(?P<node>[^']*)'",
        "operator {op} (as of opset {version}) must be implemented by a provider of ONNX Runtime {runtime} for the"
        " types it is used with, got none for node '{node}'",
        "export in fp32 or with a newer opset, or add CPUExecutionProvider, which implements the most",
    ),
    (
        r"Opset (?P<opset>\d+) is under development.*?domain (?P<domain>\S+) is till opset (?P<limit>\d+)",
        "opset of domain {domain} must be at most {limit} for ONNX Runtime {runtime}, got {opset}",
        "export with opset {limit} or lower, or a newer onnxruntime",
    ),
    (
        r"Unsupported model IR version: (?P<version>\d+), max supported IR version: (?P<limit>\d+)",
        "IR version must be at most {limit} for ONNX Runtime {runtime}, got {version}",
        "a newer onnxruntime; or lower the model's ir_version with the onnx package and save it again",
    ),
    (
        r"Missing opset in the model",
        "model must say which opsets it uses, got none",
        "export it again, or add opset_import with the onnx package",
    ),
    (
        r"External data path does not exist: \"?(?P<file>[^\"\n]+)",
        "model must lie beside its external data, got no file '{file}'",
        "copy it there; the weights are in it",
    ),
    (
        r"External initializer: (?P<name>\S+) offset: \d+ size to read: \d+ given file_length: (?P<length>\d+)",
        "external data must hold all of '{name}', got a file of {length} bytes, which is cut short or of another model",
        "copy or download the model's external data again",
    ),
    (
        r"Protobuf parsing failed|No graph was found in the protobuf|ORT model verification failed|Invalid ORT format",
        "model must be an ONNX or ORT-format file, got one that ONNX Runtime {runtime} cannot parse",
        "copy or download it again",
    ),
    (
        r"The ORT format model version \[(?P<version>[^\]]*)\] is not supported",
        "ORT format must be of a version that ONNX Runtime {runtime} reads, got version {version}",
        "convert the .onnx again with this version's onnxruntime.tools.convert_onnx_models_to_ort",
    ),
    (
        r"(?:This is an invalid model\.|Invalid model\.)\s*(?P<reason>[^\n]+)",
        "model must be valid ONNX, got: {reason}",
        "onnx.checker.check_model(path, full_check=True) on what the exporter wrote",
    ),
)
"""Pattern in ONNX Runtime's message (as 1.32 words it), what it means, what to try; the first one found counts."""


def explain_load_error(text: str, runtime: str) -> Problem | None:
    """What keeps ONNX Runtime from loading a model, in the user's words.

    Args:
        text: The runtime's message.
        runtime: Its version.

    Returns:
        The problem with the operator, opset or file named, or None where the message is not a known one.
    """
    for pattern, message, hint in LOAD_ERRORS:
        if match := re.search(pattern, text, re.DOTALL):
            words = {**match.groupdict(), "runtime": runtime}
            return Problem(message.format(**words), hint.format(**words))
    return None
