"""The idx format of MNIST and its kin: a file of pictures and beside it one of labels, perhaps gzipped.

The format, of Yann LeCun's page of MNIST: two zero bytes, a byte of the type, a byte of the number of axes, their
lengths as big-endian 32-bit integers, the values.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.errors import InputError

_NAME = re.compile(r"images([-.]idx)3([-.]ubyte)?(\.gz)?$")

UBYTE = 8
"""The type of whole numbers from 0 to 255."""


def is_idx(path: Path) -> bool:
    """Whether a file is called like one of pictures: `…images-idx3-ubyte.gz`."""
    return bool(_NAME.search(path.name))


def labels_of(path: Path) -> Path:
    """Where the labels of a file of pictures lie."""
    return path.with_name(_NAME.sub(lambda found: f"labels{found[1]}1{found[2] or ''}{found[3] or ''}", path.name))


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """`image`, uint8 of shape [height, width], and `label`, a whole number.

    Raises:
        InputError: A file is damaged, there are no labels, or not as many as pictures.
    """
    place = labels_of(path)
    if not place.is_file():
        raise InputError(f"'{path}': must have its labels beside it, got no file '{place.name}'")
    pictures, labels = _read(path, 3), _read(place, 1)
    if len(pictures) != len(labels):
        raise InputError(f"'{path}': must have as many labels as pictures, got {len(labels)} for {len(pictures)}")
    yield from ({"image": picture, "label": label} for picture, label in zip(pictures, labels.tolist(), strict=True))


def _read(path: Path, axes: int) -> np.ndarray:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        zero, kind, count = struct.unpack(">HBB", content[:4])
        shape = struct.unpack(f">{axes}I", content[4 : 4 + 4 * axes])
        if (zero, kind, count) != (0, UBYTE, axes):
            raise ValueError(f"a header of type {kind} and {count} axes, where {UBYTE} and {axes} are right")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, zlib.error, struct.error, ValueError) as error:
        raise InputError(f"'{path}' must be an idx file, got: {error}", "download it again") from error
