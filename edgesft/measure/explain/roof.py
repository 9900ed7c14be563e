"""What the machine could do at best with this provider and these threads, measured by models that do little else."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgesft.measure.agent import CPU
from edgesft.measure.driver import Agent, MeasureError
from edgesft.measure.explain.work import Arithmetic
from edgesft.measure.replies import Loaded
from edgesft.spec.profile import ProviderSpec

if TYPE_CHECKING:
    import onnx

ROWS, INNER, COLUMNS = 256, 1024, 1024
"""The products: large enough to run at full speed, small enough for a slow core to finish in a tenth of a second."""

COPIED = 2**24
"""Floats that the copy reads, and writes: 64 MiB each, more than most caches hold.

Where a cache holds more, the copy measures that cache, and floors are only lower.
"""

CHAINED = 200
"""Nodes of one element each: enough for the call of the session to be a small part."""

SECONDS = 0.3
"""Time that each of them is given."""

FEWEST, MOST = 5, 300
"""Timed runs of each."""

OPSET = 17
"""Old enough for any onnxruntime that an agent may have."""


@dataclass(frozen=True)
class Roof:
    """What the machine can do at best; None where the provider cannot run what measures it.

    Attributes:
        fp32_macs_per_second: Multiply-accumulates of floats.
        int8_macs_per_second: The same of unsigned activations and signed weights of 8 bits.
        bytes_per_second: Bytes read and written, of memory that no cache holds.
        node_ns: Nanoseconds of a node that does next to nothing.
        cache_bytes: The last-level cache, or None where the system does not tell, or for other providers than the CPU.
    """

    fp32_macs_per_second: int | None
    int8_macs_per_second: int | None
    bytes_per_second: int | None
    node_ns: int | None
    cache_bytes: int | None = None

    def peak(self, arithmetic: Arithmetic | None) -> int | None:
        """Multiply-accumulates a second of this arithmetic, or None where that was not measured."""
        return {"fp32": self.fp32_macs_per_second, "int8": self.int8_macs_per_second}.get(arithmetic or "")

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class _Trial:
    """A model that does one thing.

    Attributes:
        model: The model.
        operator: Type of the nodes that do it.
        feed: Its input `x`.
        amount: What one run does: products, bytes or nodes.
    """

    model: onnx.ModelProto
    operator: str
    feed: np.ndarray
    amount: int


def measure_roof(providers: Sequence[ProviderSpec], threads: int, connect: Callable[[], Agent]) -> Roof:
    """Measures the roof in an agent of its own, within about three seconds and 300 MB.

    Each figure is the best of several runs: what the machine can do, and not what it does on average. An accelerator
    that is much faster than a CPU takes longer to start such products than to compute them, and has a higher roof.

    Args:
        providers: The first one is measured.
        threads: Intra-op threads.
        connect: Starts an agent.

    Raises:
        MeasureError: No agent can be started.
    """
    found: dict[str, float | None] = {}
    with tempfile.TemporaryDirectory() as folder, connect() as agent:
        asked = providers[0].name
        cache = agent.info()["machine"]["cache_bytes"] if asked == CPU else None
        held = 0
        for name, build in _TRIALS.items():
            trial = build()
            path = Path(folder) / f"{name}.onnx"
            path.write_bytes(trial.model.SerializeToString())
            found[name] = None
            with suppress(MeasureError):
                loaded = agent.load(path, providers, threads)
                if _is_on(loaded, trial.operator, asked):
                    agent.request({"x": trial.feed})
                    # Agents keep the requests of the models before; this one is the last.
                    held += 1
                    found[name] = _best_ns(agent, held - 1) / trial.amount
    return Roof(
        fp32_macs_per_second=_per_second(found["fp32"]),
        int8_macs_per_second=_per_second(found["int8"]),
        bytes_per_second=_per_second(found["copy"]),
        node_ns=None if found["chain"] is None else round(found["chain"]),
        cache_bytes=cache,
    )


def _best_ns(agent: Agent, request: int) -> int:
    first = agent.series("time", 1, [request]).ns[0]
    count = min(MOST, max(FEWEST, int(SECONDS * 1e9) // max(1, first)))
    return min(agent.series("time", count, [request]).ns)


def _is_on(loaded: Loaded, operator: str, asked: str) -> bool:
    """Whether the provider itself runs the operator; what an old runtime does not tell is not believed."""
    if loaded.left is None:
        return asked == CPU
    return operator not in loaded.left


def _per_second(ns: float | None) -> int | None:
    return round(1e9 / ns) if ns else None


def _fp32() -> _Trial:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((INNER, COLUMNS), dtype=np.float32)
    feed = rng.standard_normal((ROWS, INNER), dtype=np.float32)
    return _product("MatMul", feed, weight, np.dtype(np.float32))


def _int8() -> _Trial:
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (INNER, COLUMNS), dtype=np.int8)
    feed = rng.integers(0, 256, (ROWS, INNER), dtype=np.uint8)
    return _product("MatMulInteger", feed, weight, np.dtype(np.int32))


def _product(operator: str, feed: np.ndarray, weight: np.ndarray, product: np.dtype[Any]) -> _Trial:
    from onnx import helper, numpy_helper

    nodes = [helper.make_node(operator, ["x", "weight"], ["product"]), _first_row("product")]
    constants = [numpy_helper.from_array(weight, "weight")]
    return _Trial(_model(nodes, feed, [COLUMNS], product, constants), operator, feed, ROWS * INNER * COLUMNS)


def _copy() -> _Trial:
    """Adds a number to a long constant, which the runtime makes up itself so that the file is small."""
    from onnx import helper, numpy_helper

    feed = np.ones(1, np.float32)
    nodes = [
        helper.make_node("ConstantOfShape", ["length"], ["long"], value=numpy_helper.from_array(feed)),
        helper.make_node("Add", ["long", "x"], ["sum"]),
        _first_row("sum"),
    ]
    constants = [numpy_helper.from_array(np.array([COPIED], np.int64), "length")]
    return _Trial(_model(nodes, feed, [], feed.dtype, constants), "Add", feed, 2 * COPIED * feed.itemsize)


def _chain() -> _Trial:
    from onnx import helper

    feed = np.ones(1, np.float32)
    names = ["x", *(f"h{index}" for index in range(1, CHAINED)), "y"]
    nodes = [helper.make_node("Neg", [names[index]], [names[index + 1]]) for index in range(CHAINED)]
    return _Trial(_model(nodes, feed, [1], feed.dtype, []), "Neg", feed, CHAINED)


_TRIALS: dict[str, Callable[[], _Trial]] = {"fp32": _fp32, "int8": _int8, "copy": _copy, "chain": _chain}


def _first_row(name: str) -> onnx.NodeProto:
    """Large results stay inside; carrying them to the caller is no part of what is measured."""
    from onnx import helper

    return helper.make_node("Gather", [name, "first"], ["y"])


def _model(
    nodes: Sequence[onnx.NodeProto],
    feed: np.ndarray,
    shape: Sequence[int],
    dtype: np.dtype[Any],
    constants: Sequence[onnx.TensorProto],
) -> onnx.ModelProto:
    """A model from `x` like the feed to `y` of this shape and type."""
    from onnx import helper, numpy_helper

    x = helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(feed.dtype), feed.shape)
    y = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(dtype), shape)
    first = numpy_helper.from_array(np.array(0, np.int64), "first")
    graph = helper.make_graph(nodes, "roof", [x], [y], [first, *constants])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
