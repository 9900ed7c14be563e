"""Golden rows: real inputs with the answers that a device must give, and how far it may be off."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgesft.ship import generation
from edgesft.ship.contract import widths
from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.shape import NATURAL, Each, wrong
from edgesft.ship.variant import ANY, Variant

if TYPE_CHECKING:
    import numpy as np

    from edgesft.measure.parity import Parity
    from edgesft.ship.wiring import Run

GOLDEN = "golden.json"

SCHEMA, SCHEMA_VERSION = "edgesft/golden", 1

MOST_BYTES = 1 << 28
"""Of the file: a handful of rows of the largest pictures."""

DTYPES = frozenset(
    ("bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
)

ARRAY = {"dtype": str, "shape": [NATURAL], "data": (str, [str])}

SHAPE = {
    "schema": {SCHEMA},
    "schema_version": range(1, SCHEMA_VERSION + 1),
    "runtime": str,
    "tolerances": Each(Each(float)),
    "rows": [{"row": (None, Each((str, [str], [Each(str)]))), "inputs": Each(ARRAY), "outputs": Each(Each(ARRAY))}],
}

Outputs = Mapping[str, "np.ndarray"]


@dataclass(frozen=True)
class Row:
    """A golden row.

    Attributes:
        inputs: What is fed.
        outputs: A variant's `golden` → what it answers: its precision, or its own name where a CPU cannot run it.
        row: What the inputs were made of, where it is text.
    """

    inputs: Outputs
    outputs: Mapping[str, Outputs]
    row: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Golden:
    """The golden rows of a bundle.

    Attributes:
        rows: All of them.
        tolerances: A variant's `golden` → provider, or `*` → how far an output may be off, as a share of its largest
            magnitude over all rows (`measure.parity`).
        runtime: Version of ONNX Runtime that answered, on the CPU provider where a CPU can run the variant.
    """

    rows: Sequence[Row]
    tolerances: Mapping[str, Mapping[str, float]]
    runtime: str

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `load`."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "runtime": self.runtime,
            "tolerances": {name: dict(each) for name, each in self.tolerances.items()},
            "rows": [
                {
                    "row": row.row,
                    "inputs": _packed(row.inputs),
                    "outputs": {name: _packed(each) for name, each in row.outputs.items()},
                }
                for row in self.rows
            ],
        }

    def widths(self, decoding: Mapping[str, Any]) -> list[Finding]:
        """Outputs that have not as many scores as the contract has classes; some graphs do not say how many."""
        if not (known := widths(decoding)):
            return []
        output, axis = decoding["output"], decoding["axis"]
        shapes = {each[output].shape for row in self.rows for each in row.outputs.values() if output in each}
        wrong = [shape for shape in sorted(shapes) if not set(shape[axis : axis + 1]) & set(known)]
        return [
            _finding(f"'{output}' must have a score for each of the {known[0]} labels, got shape {list(shape)}")
            for shape in wrong
        ]

    def tolerance(self, precision: str, provider: str) -> float:
        """How far an output may be off."""
        known = self.tolerances[precision]
        return known.get(provider, known[ANY])

    def shaped(self, said: Mapping[str, Any]) -> list[Finding]:
        """Rows that are no prompts, or do not hold what is said, of a contract whose answers are said."""
        if not generation.is_generated(said):
            return []
        wrong = [
            problem
            for row in self.rows
            for each in row.outputs.values()
            if (problem := generation.malformed(said, row.inputs, each))
        ]
        return [_finding(f"rows must {wrong[0]}")] if wrong else []

    def compare(self, variant: Variant, said: Mapping[str, Any], run: Run, limit: float) -> Parity:
        """How far a variant's answers are from the golden ones.

        Args:
            variant: Whose.
            said: The contract.
            run: Of the variant.
            limit: The tolerance.
        """
        from edgesft.measure.parity import compare

        expected = [row.outputs[variant.golden] for row in self.rows]
        got = [generation.answer(said, run, row.inputs, each) for row, each in zip(self.rows, expected, strict=True)]
        return compare(*generation.without_close_calls(expected, got, limit), variant.precision)

    def findings(self, variant: Variant, said: Mapping[str, Any], run: Run, provider: str) -> list[Finding]:
        """Outputs of a variant that are further off than they may be."""
        limit = self.tolerance(variant.golden, provider)
        found = []
        for each in self.compare(variant, said, run, limit).outputs:
            if each.mismatch or each.relative > (0 if each.name == generation.TOKENS else limit):
                got = each.mismatch or f"off by {each.relative:.2g} of it"
                message = f"'{each.name}' must be within {limit:g} of its largest magnitude on {provider}, got {got}"
                found.append(
                    Finding(message, "another provider, or the same version of onnxruntime", variant.file, "golden")
                )
        return found


def tolerances(precisions: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Provider → tolerance of some outputs: that of their precision, wider where a provider computes in halves of it.

    Args:
        precisions: Name of the outputs, a variant's `golden` → their precision.
    """
    from edgesft.measure.parity import TOLERANCES, tolerance
    from edgesft.measure.providers import PROVIDERS

    halving = sorted(name for name, provider in PROVIDERS.items() if provider.halves)
    return {
        name: {
            ANY: tolerance(precision),
            **{name: max(tolerance(precision), TOLERANCES["fp16"]) for name in halving},
        }
        for name, precision in precisions.items()
    }


def load(said: Any) -> Golden:
    """Reads `golden.json`; nothing in it is trusted.

    Raises:
        RefusedError: It is of a newer format, or an array is not what it says.
    """
    found = list(wrong(said, SHAPE)) or list(_contradictions(said))
    if found:
        raise RefusedError([_finding(message) for message in found])
    try:
        rows = [
            Row(_arrays(row["inputs"]), {name: _arrays(each) for name, each in row["outputs"].items()}, row["row"])
            for row in said["rows"]
        ]
    except ValueError as error:
        raise RefusedError(_finding(f"arrays must be what they say, got {error}")) from error
    return Golden(rows, said["tolerances"], said["runtime"])


def _contradictions(said: Mapping[str, Any]) -> Iterator[str]:
    known = said["tolerances"]
    if not said["rows"] or any(set(row["outputs"]) != set(known) for row in said["rows"]):
        yield "rows must have outputs of every precision that has a tolerance, and of no other"
    for precision, each in known.items():
        if ANY not in each or not all(0 < limit <= 1 for limit in each.values()):
            yield f"tolerances.{precision} must have a tolerance for {ANY}, all above 0 and at most 1, got {each}"


def _finding(message: str) -> Finding:
    return Finding(message, "pack the run again", GOLDEN, "golden")


def _packed(arrays: Outputs) -> dict[str, Any]:
    return {name: _array(array) for name, array in arrays.items()}


def _array(array: np.ndarray) -> dict[str, Any]:
    """As the measuring protocol has arrays (`export/PROTOCOL.md`)."""
    if array.dtype.kind in "OU":
        return {"dtype": "string", "shape": list(array.shape), "data": [str(each) for each in array.reshape(-1)]}
    data = base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()
    return {"dtype": str(array.dtype.newbyteorder("=")), "shape": list(array.shape), "data": data}


def _arrays(said: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: _unpacked(name, each) for name, each in said.items()}


def _unpacked(name: str, said: Mapping[str, Any]) -> np.ndarray:
    import numpy as np

    dtype, shape, data = said["dtype"], said["shape"], said["data"]
    if isinstance(data, list) != (dtype == "string"):
        raise ValueError(f"'{name}' of type {dtype} with {type(data).__name__} as data")
    if dtype == "string":
        return np.asarray(data, object).reshape(shape)
    if dtype not in DTYPES:
        raise ValueError(f"'{name}' of type {dtype}")
    try:
        raw = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(f"'{name}' that is no base64: {error}") from error
    return np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(shape)
