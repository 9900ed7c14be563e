"""The graph of a picture's preparation gives the numbers of training's own, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from edgesft.data.media.image import Reader
from edgesft.ship.raw import picture
from edgesft.ship.raw.edge_cases import pictures
from edgesft.ship.raw.nodes import Nodes
from tests.ship.raw.written import run

PLAIN: Mapping[str, Any] = {
    "colour": "RGB",
    "resize": None,
    "resample": "bilinear",
    "crop": None,
    "scale": None,
    "mean": None,
    "std": None,
    "layout": "NHWC",
    "dtype": "uint8",
}


def graph(said: Mapping[str, Any]) -> Callable[[np.ndarray], np.ndarray]:
    n = Nodes()
    made = picture.feed(n, "picture", said)
    answer = run(n, {"picture": ("uint8", ["height", "width", "channels"])}, {"feed": (made, said["dtype"])})
    return lambda pixels: answer(picture=pixels)[0]


def differing(said: Mapping[str, Any], given: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Pictures of which the graph makes something else, with what it is off by."""
    answer, reader = graph(said), Reader(said)
    found = {}
    for name, pixels in given.items():
        ours = reader.feed(reader.pixels(pixels[..., 0] if pixels.shape[2] == 1 else pixels)[np.newaxis])
        theirs = answer(pixels)
        if ours.dtype != theirs.dtype or ours.shape != theirs.shape or not np.array_equal(ours, theirs):
            found[name] = ours.shape == theirs.shape and np.abs(ours.astype(float) - theirs).max()
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"colour": "L"},
        {"colour": "BGR", "resize": [20, 30]},
        {"crop": (50, 40)},
        {"resize": 24, "crop": (20, 30)},
        {"scale": 1 / 255, "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6), "layout": "NCHW", "dtype": "float32"},
        {"scale": 1 / 255, "mean": 0.5, "dtype": "float16"},
        {"mean": 127.6, "dtype": "int8", "colour": "L"},
    ],
    ids=["as it is", "grey", "BGR", "cut", "shorter side", "normalised", "half", "whole numbers"],
)
def test_each_step(changes: Mapping[str, Any]) -> None:
    assert not differing({**PLAIN, **changes}, pictures())


@pytest.mark.parametrize("resample", ["nearest", "bilinear", "bicubic", "box", "lanczos"])
def test_every_filter_at_random_sizes(resample: str) -> None:
    rng = np.random.default_rng(0)
    for wanted in ([1, 1], [17, 40], [64, 9]):
        given = {
            str(number): rng.integers(0, 256, (*rng.integers(1, 130, 2), 3)).astype(np.uint8) for number in range(25)
        }
        assert not differing({**PLAIN, "resize": wanted, "resample": resample}, given | pictures())


def test_a_cosine_that_the_runtime_lacks_moves_a_pixel_by_one_at_most() -> None:
    rng = np.random.default_rng(0)
    given = {str(number): rng.integers(0, 256, (*rng.integers(1, 200, 2), 3)).astype(np.uint8) for number in range(60)}
    off = differing({**PLAIN, "resize": [50, 66], "resample": "hamming"}, given)
    assert len(off) < 3 and set(off.values()) <= {1.0}
