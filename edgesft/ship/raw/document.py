"""`raw.json` of a bundle: its raw model, what proves it, and golden rows of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgesft.ship import golden, graph
from edgesft.ship.contract import VALUE
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.golden import Golden
from edgesft.ship.graph import Graph
from edgesft.ship.shape import NATURAL, wrong
from edgesft.ship.source import Source
from edgesft.ship.variant import Variant

RAW = "raw.json"

NAME = "raw"
"""Of the variant, and of its outputs in the golden rows."""

SCHEMA, SCHEMA_VERSION = "edgesft/raw", 1

COUNTS = {"count": NATURAL, "same_feeds": NATURAL, "same_answers": NATURAL, "worst_score": float}

SHAPE = {
    "schema": {SCHEMA},
    "schema_version": range(1, SCHEMA_VERSION + 1),
    "of": str,
    "inputs": [VALUE],
    "outputs": [VALUE],
    "proof": {"split": str, "split_rows": NATURAL, "rows": COUNTS, "hard": {**COUNTS, "differing": [str]}},
}
"""Besides `variant` and `golden`, which have shapes of their own."""


@dataclass(frozen=True)
class Raw:
    """What a bundle says of its raw model.

    Attributes:
        variant: The model.
        of: The variant that it has in it.
        inputs: The one input, as the contract has inputs.
        outputs: What it answers.
        proof: `proof.Proof.to_json`.
        golden: Rows of its own, in the form of `golden.json`.
    """

    variant: Variant
    of: str
    inputs: Sequence[Mapping[str, Any]]
    outputs: Sequence[Mapping[str, Any]]
    proof: Mapping[str, Any]
    golden: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `load`."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "variant": self.variant.to_json(),
            "of": self.of,
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "proof": dict(self.proof),
            "golden": dict(self.golden),
        }

    def rows(self) -> Golden:
        """Its golden rows.

        Raises:
            RefusedError: They are not what they say.
        """
        found = golden.load(self.golden)
        if self.variant.golden not in found.tolerances:
            raise RefusedError(_finding(f"golden must have outputs of '{self.variant.golden}', got none"))
        return found

    def told(self) -> str:
        """The proof in words."""
        rows, hard = self.proof["rows"], self.proof["hard"]
        parts = [f"{rows['same_answers']} of {rows['count']} rows ({self.proof['split']})"]
        parts.append(f"{hard['same_answers']} of {hard['count']} hard inputs")
        told = f"{self.inputs[0]['name']} to {', '.join(each['name'] for each in self.outputs)}: "
        told += f"answers {' and '.join(parts)} as its parts do"
        return told + (f"; not: {', '.join(hard['differing'])}" if hard["differing"] else "")


def load(said: Any) -> Raw:
    """Reads `raw.json`; nothing in it is trusted.

    Raises:
        RefusedError: It is of a newer format, or says what cannot be.
    """
    if not isinstance(said, dict) or not {"variant", "golden"} <= set(said):
        raise RefusedError(_finding("it must be an object with variant and golden, got another form"))
    own = {key: value for key, value in said.items() if key not in ("variant", "golden")}
    if found := list(wrong(own, SHAPE)):
        raise RefusedError([_finding(message) for message in found])
    variant = Variant.from_json(said["variant"])
    if variant.form != "onnx" or variant.fixed:
        raise RefusedError(_finding(f"variant must be of the form onnx and not fixed, got {variant.form}"))
    return Raw(variant, said["of"], said["inputs"], said["outputs"], said["proof"], said["golden"])


def check(source: Source, raw: Raw, listed: Mapping[str, Any]) -> list[Finding]:
    """Whether a raw model's graph is what `raw.json` says, and reads no file but its own.

    Args:
        source: The bundle's files.
        raw: What it says.
        listed: Files of the manifest.
    """
    variant = raw.variant
    if lacking := [name for name in variant.files if name not in listed]:
        return [_finding(f"variant must be made of files of the manifest, got '{lacking[0]}'")]
    told = graph.read(source.view(variant.file), variant.file)
    return [*_unlike(raw, told), *graph.astray(told, variant.files)]


def _unlike(raw: Raw, told: Graph) -> list[Finding]:
    found = []
    for kind, said, own in (("inputs", raw.inputs, told.inputs), ("outputs", raw.outputs, told.outputs)):
        promised = [(each["name"], each["dtype"], len(each["shape"])) for each in said]
        got = [(each.name, each.dtype, len(each.shape)) for each in own]
        if promised != got:
            message = f"{kind} must be {promised}, which {RAW} says; got {got}"
            found.append(Finding(message, "pack the run again", raw.variant.file, "model"))
    return found


def _finding(message: str) -> Finding:
    return Finding(message, "pack the run again", RAW, "golden")
