"""Files of sound as samples: WAV and npy by this kit, all others by soundfile where it is installed."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np

from kit.errors import InputError, UnavailableError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
"""Formats of a WAV file's samples (Microsoft's mmreg.h)."""


def read(path: str | Path) -> tuple[np.ndarray, int | None]:
    """A file's samples, float64 of shape [samples, channels], and how many a second has; None where it does not say.

    Raises:
        InputError: It is no such sound.
        UnavailableError: It takes soundfile, which is not installed.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"file must be one that can be read, got '{path}': {error.strerror}") from error
    try:
        if data.startswith(b"\x93NUMPY"):
            return samples_of(np.load(io.BytesIO(data), allow_pickle=False)), None
        if data[:4] == b"RIFF" and data[8:12] == b"WAVE" and (found := _wav(data)):
            return found
    except (ValueError, struct.error) as error:
        raise InputError(f"file must be a whole sound, got '{path}': {error}") from error
    return _by_soundfile(data, path)


def samples_of(array: np.ndarray) -> np.ndarray:
    """An array as samples of channels.

    Raises:
        ValueError: It is none.
    """
    if array.ndim not in (1, 2) or array.dtype.kind != "f":
        raise ValueError(
            f"samples must be floats of shape [samples] or [samples, channels], got {array.dtype} {array.shape}"
        )
    return array.reshape(len(array), -1).astype(np.float64)


def _wav(data: bytes) -> tuple[np.ndarray, int] | None:
    """A WAV file of whole or floating numbers, from -1 to 1; None where they are packed otherwise."""
    place, form = 12, None
    while place + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        body = data[place + 8 : place + 8 + length]
        if kind == b"fmt ":
            form = body
        elif kind == b"data" and form:
            return _samples(form, body)
        place += 8 + length + length % 2
    raise ValueError("it has no samples, or does not say of what form")


def _samples(form: bytes, body: bytes) -> tuple[np.ndarray, int] | None:
    kind, channels, rate, _, _, bits = struct.unpack_from("<2H2I2H", form)
    if kind == EXTENSIBLE:
        kind = struct.unpack_from("<H", form, 24)[0]
    width = bits // 8
    if not channels or not rate or kind not in (PCM, FLOAT) or bits not in (8, 16, 24, 32, 64):
        return None
    body = body[: len(body) // (channels * width) * channels * width]
    if kind == FLOAT:
        found = np.frombuffer(body, f"<f{width}").astype(np.float64)
    elif width == 1:
        found = (np.frombuffer(body, np.uint8) - 128.0) / 128
    else:
        # The bytes are the upper ones of 32 bits, whatever their number.
        wide = np.zeros((len(body) // width, 4), np.uint8)
        wide[:, 4 - width :] = np.frombuffer(body, np.uint8).reshape(-1, width)
        found = wide.reshape(-1).view("<i4") / 2.0**31
    return found.reshape(-1, channels), rate


def _by_soundfile(data: bytes, path: str | Path) -> tuple[np.ndarray, int]:
    try:
        import soundfile
    except (ImportError, OSError) as error:
        message = f"'{path}' must be a WAV or npy file where soundfile is not installed; or install it"
        raise UnavailableError(message) from error
    try:
        found, rate = soundfile.read(io.BytesIO(data), always_2d=True)
    except RuntimeError as error:
        raise InputError(f"file must be a whole sound, got '{path}': {error}") from error
    return found, int(rate)


def write(path: Path, samples: np.ndarray, rate: int) -> None:
    """Writes a WAV file of one channel, floats of 32 bits.

    Args:
        path: Where to.
        samples: Shape [samples].
        rate: Samples a second.

    Raises:
        InputError: It cannot be written.
    """
    body = samples.astype("<f4").tobytes()
    form = struct.pack("<4sI2H2I2H", b"fmt ", 16, FLOAT, 1, rate, 4 * rate, 4, 32)
    head = b"RIFF" + struct.pack("<I", 4 + len(form) + 8 + len(body)) + b"WAVE"
    try:
        path.write_bytes(head + form + struct.pack("<4sI", b"data", len(body)) + body)
    except OSError as error:
        raise InputError(f"output must be a file that can be written, got '{path}': {error.strerror}") from error
