"""Files of pictures as pixels: PNG, PPM, PGM and npy by this kit, all others by Pillow where it is installed."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np

from kit.errors import InputError, UnavailableError

PNG = b"\x89PNG\r\n\x1a\n"

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""PNG's colour type → samples of a pixel (its specification, section 11.2.1)."""

PALETTE = 3
"""The colour type whose samples are places in a palette."""

MOST_PIXELS = 1 << 28


def read(path: str | Path) -> np.ndarray:
    """A file's pixels, uint8 of shape [height, width, channels], with 1 or 3 channels; transparency is dropped.

    Raises:
        InputError: It is no such picture.
        UnavailableError: It takes Pillow, which is not installed.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"file must be one that can be read, got '{path}': {error.strerror}") from error
    try:
        if data.startswith(b"\x93NUMPY"):
            return checked(np.load(io.BytesIO(data), allow_pickle=False))
        if data[:2] in (b"P5", b"P6"):
            return _portable(data)
        if data.startswith(PNG) and (found := _png(data)) is not None:
            return checked(found)
    except (ValueError, struct.error, zlib.error, IndexError) as error:
        raise InputError(f"file must be a whole picture, got '{path}': {error}") from error
    return _by_pillow(data, path)


def pixels_of(source: str | Path | np.ndarray) -> np.ndarray:
    """The pixels of a file, or those that a program has, as `read` gives them.

    Raises:
        InputError: They are none.
        UnavailableError: It takes Pillow, which is not installed.
    """
    if not isinstance(source, np.ndarray):
        return read(source)
    try:
        return checked(source)
    except ValueError as error:
        raise InputError(str(error)) from error


def checked(pixels: np.ndarray) -> np.ndarray:
    """Pixels as an array of three axes, with 1 or 3 channels; of 4 the last, their opacity, is dropped.

    Raises:
        ValueError: They are none.
    """
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        raise ValueError(f"pixels must be uint8 of shape [height, width, 1, 3 or 4], got {pixels.dtype} {pixels.shape}")
    return np.ascontiguousarray(pixels[..., :3]) if pixels.shape[2] == 4 else pixels


def coloured(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Pixels of another number of channels, as Pillow converts them.

    Args:
        pixels: uint8 of shape [height, width, 1 or 3].
        colour: RGB, BGR or L.
    """
    if colour == "L":
        if pixels.shape[2] == 1:
            return pixels
        wide = pixels.astype(np.int32)
        # ITU-R 601-2 in 16 bits behind the point (Pillow's src/libImaging/Convert.c).
        grey = (wide[..., 0] * 19595 + wide[..., 1] * 38470 + wide[..., 2] * 7471 + 0x8000) >> 16
        return grey.astype(np.uint8)[..., np.newaxis]
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    return pixels[..., ::-1] if colour == "BGR" else pixels


def _portable(data: bytes) -> np.ndarray:
    """A PPM or PGM of 8 bits (netpbm's format, binary)."""
    fields, place = [], 2
    while len(fields) < 3:
        while data[place : place + 1].isspace():
            place += 1
        if data[place : place + 1] == b"#":
            place = data.index(b"\n", place)
            continue
        end = place
        while not data[end : end + 1].isspace():
            end += 1
            if end > len(data):
                raise ValueError("its header is cut short")
        fields.append(int(data[place:end]))
        place = end
    (width, height, most), channels = fields, 3 if data[:2] == b"P6" else 1
    if most != 255 or width < 1 or height < 1 or width * height > MOST_PIXELS:
        raise ValueError(f"it must be of 8 bits and at least one pixel, got {width} x {height} up to {most}")
    count = width * height * channels
    if len(data) - place - 1 < count:
        raise ValueError(f"it must have {count} bytes of pixels, got {len(data) - place - 1}")
    return np.frombuffer(data, np.uint8, count, place + 1).reshape(height, width, channels)


def _png(data: bytes) -> np.ndarray | None:
    """A PNG (W3C, third edition); None where it is interlaced or turned, which is left to Pillow."""
    chunks, place = dict[bytes, bytes](), len(PNG)
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        if struct.unpack_from(">I", data, place + 8 + length)[0] != zlib.crc32(kind + body):
            raise ValueError(f"its part {kind.decode('ascii', 'replace')} is damaged")
        chunks[kind] = chunks.get(kind, b"") + body
        place += 12 + length
    if lacking := [kind for kind in (b"IHDR", b"IDAT") if kind not in chunks]:
        raise ValueError(f"it has no part {lacking[0].decode()}")
    width, height, bits, colour, _, _, interlaced = struct.unpack(">2I5B", chunks[b"IHDR"])
    if interlaced or b"eXIf" in chunks or colour not in CHANNELS or width * height > MOST_PIXELS:
        return None
    channels = CHANNELS[colour]
    row = (width * channels * bits + 7) // 8
    packed = zlib.decompressobj().decompress(chunks[b"IDAT"], height * (row + 1))
    if len(packed) < height * (row + 1):
        raise ValueError("it is cut short")
    lines = _unfiltered(np.frombuffer(packed, np.uint8).reshape(height, row + 1), max(1, channels * bits // 8))
    samples = _samples(lines, bits, width * channels).reshape(height, width, channels)
    if colour == PALETTE:
        if b"PLTE" not in chunks:
            raise ValueError("it has no part PLTE")
        palette = np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3)
        return palette[samples[..., 0]]
    if bits < 8:
        samples = samples * (255 // ((1 << bits) - 1))
    return np.ascontiguousarray(samples[..., :1] if channels < 3 else samples[..., :3])


def _samples(lines: np.ndarray, bits: int, count: int) -> np.ndarray:
    """Samples of rows, uint8: of 16 bits the upper 8."""
    if bits == 16:
        return lines[:, ::2]
    if bits == 8:
        return lines
    apart = np.unpackbits(lines, axis=1).reshape(len(lines), -1, bits)
    values = apart @ (1 << np.arange(bits - 1, -1, -1))
    return values[:, :count].astype(np.uint8)


def _unfiltered(rows: np.ndarray, width: int) -> np.ndarray:
    """Rows without their filters (section 9.2); a pixel has `width` bytes."""
    found, above = np.empty((len(rows), rows.shape[1] - 1), np.uint8), np.zeros(rows.shape[1] - 1, np.uint8)
    for place, row in enumerate(rows):
        kind, line = row[0], row[1:]
        if kind == 1:
            line = _summed(line, width)
        elif kind == 2:
            line = line + above
        elif kind in (3, 4):
            line = _predicted(line, above, width, _average if kind == 3 else _paeth)
        elif kind:
            raise ValueError(f"a row's filter must be 0 to 4, got {kind}")
        found[place] = above = line
    return found


def _summed(line: np.ndarray, width: int) -> np.ndarray:
    padded = np.pad(line, (0, -len(line) % width)).reshape(-1, width)
    return np.cumsum(padded, axis=0, dtype=np.uint8).reshape(-1)[: len(line)]


def _predicted(line: np.ndarray, above: np.ndarray, width: int, predict: object) -> np.ndarray:
    found, up = line.tolist(), above.tolist()
    for place, byte in enumerate(found):
        left = found[place - width] if place >= width else 0
        corner = up[place - width] if place >= width else 0
        found[place] = (byte + predict(left, up[place], corner)) & 0xFF  # type: ignore[operator]
    return np.asarray(found, np.uint8)


def _average(left: int, up: int, corner: int) -> int:
    return (left + up) // 2


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    apart = (abs(guess - left), abs(guess - up), abs(guess - corner))
    return (left, up, corner)[apart.index(min(apart))]


def _by_pillow(data: bytes, path: str | Path) -> np.ndarray:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        message = f"'{path}' must be an npy, PPM, PGM or plain PNG file where Pillow is not installed; or install it"
        raise UnavailableError(message) from error
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode in ("I", "F"):
                raise ValueError(f"it must be of 8 or 16 bits, got 32 (mode {image.mode})")
            ImageOps.exif_transpose(image, in_place=True)
            if image.mode.startswith("I;16"):
                return checked((np.asarray(image) >> 8).astype(np.uint8))
            return checked(np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"file must be a whole picture, got '{path}': {error}") from error
