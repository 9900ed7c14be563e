"""Graphs that are written node after node."""

from __future__ import annotations

import numpy as np

from edgesft.ship.raw.nodes import Nodes, int64
from tests.ship.raw.written import run


def test_a_constant_is_kept_once() -> None:
    n = Nodes()
    n("Add", "x", int64(1))
    n("Sub", "x", int64(1))
    n("Sub", "x", np.asarray([1], np.int32))
    n("Gather", np.asarray(["a", "b"], object), "x")
    assert len(n.constants) == 3


def test_one_of_two_ways() -> None:
    n = Nodes()
    made = n.either("which", "x", lambda g: g("Mul", "x", int64(3)), "int64")
    answer = run(n, {"which": ("bool", []), "x": ("int64", ["n"])}, {"y": (made, "int64")})
    assert [answer(which=np.asarray(which), x=int64(2, 5))[0].tolist() for which in (True, False)] == [[2, 5], [6, 15]]


def test_a_loop_that_ends_early_and_one_that_does_not() -> None:
    n = Nodes()

    def step(g: Nodes, number: str, *, total: str) -> tuple[str, dict[str, str]]:
        total = g("Add", total, "x")
        return g("Less", total, np.asarray(10)), {"total": total}

    made = n.loop(np.asarray(4), {"total": ("x", "int64")}, step)["total"]
    answer = run(n, {"x": ("int64", [])}, {"y": (made, "int64")})
    assert [int(answer(x=np.asarray(x))[0]) for x in (1, 4, 50)] == [5, 12, 100]


def test_what_goes_over_rows_tells_older_runtimes_its_shape() -> None:
    n = Nodes()
    made = n.scan("x", "rows", "int64", lambda g, *, state, row: g("Add", state, row))
    body = n.written[-1].attribute[0].g
    assert all(len(each.type.tensor_type.shape.dim) == 1 for each in (*body.input, *body.output))
    answer = run(n, {"x": ("int64", ["n"]), "rows": ("int64", ["m", "n"])}, {"y": (made, "int64")})
    rows = np.asarray([[1, 2], [3, 4]])
    assert answer(x=int64(10, 20), rows=rows)[0].tolist() == [[11, 22], [14, 26]]
