"""Pictures and sounds of the kit in Python, against what reads them in training: Pillow and soundfile."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from PIL import Image

from edgesft.data.media import audio, image
from tests.export import conftest

FILTERS = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("resample", FILTERS)
def test_resized_as_pillow_does_bit_for_bit(resample: str) -> None:
    from kit.resize import resized

    sizes = [
        (7, 5, 3, 11),
        (64, 48, 17, 19),
        (1, 9, 4, 2),
        (33, 100, 224, 224),
        (480, 640, 224, 300),
        (5, 5, 5, 9),
        (8, 8, 8, 8),
    ]
    sizes += [tuple(RNG.integers(1, 90, 4).tolist()) for _ in range(40)]
    for height, width, high, wide in sizes:
        pixels = RNG.integers(0, 256, (height, width, 3), np.uint8)
        if height % 2:
            pixels = np.where(pixels > 127, 255, 0).astype(np.uint8)  # edges, where filters overshoot
        theirs = np.asarray(Image.fromarray(pixels).resize((wide, high), Image.Resampling[resample.upper()]))
        ours = resized(pixels, high, wide, resample)
        assert np.array_equal(ours, theirs), (height, width, high, wide)
        grey = np.asarray(Image.fromarray(pixels[..., 0]).resize((wide, high), Image.Resampling[resample.upper()]))
        assert np.array_equal(resized(pixels[..., :1], high, wide, resample)[..., 0], grey)


OPTIONS: dict[str, Any] = {
    **{"resize": 20, "crop": [24, 16], "resample": "bicubic", "scale": 1 / 255, "mean": [0.4, 0.5, 0.6], "std": 0.3},
    **{"colour": "RGB", "layout": "NCHW", "dtype": "float32"},
}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"colour": "L", "mean": 0.5},
        {"colour": "BGR", "layout": "NHWC"},
        {"dtype": "uint8", "scale": None, "mean": None, "std": None},
        {"dtype": "int8", "scale": 1.0, "mean": 128.0, "std": None},
        {"dtype": "float16", "resize": [9, 30], "crop": None},
        {"crop": [60, 61], "resize": None},
    ],
)
@pytest.mark.parametrize("shape", [(31, 50, 3), (50, 31, 3), (8, 9)])
def test_pictures_are_fed_as_in_training(changes: dict[str, Any], shape: tuple[int, ...]) -> None:
    from kit.prepare import _Images

    options = {**OPTIONS, **changes}
    reader = image.Reader(options)
    bundle = type("Bundle", (), {"contract": {"inputs": [{"name": "x"}]}})
    ours = _Images(bundle, {**options, "columns": ["image"]})  # type: ignore[arg-type]
    pixels = RNG.integers(0, 256, shape, np.uint8)
    (request,) = ours({"image": pixels})
    theirs = reader.feed(reader.pixels(pixels)[np.newaxis])
    assert request.feeds["x"].dtype == theirs.dtype and np.array_equal(request.feeds["x"], theirs)


def pictures() -> dict[str, tuple[bytes, Image.Image]]:
    """Name → what a file holds, and the picture in it."""
    colours = Image.fromarray(RNG.integers(0, 256, (13, 17, 3), np.uint8))
    smooth = Image.fromarray(np.add.outer(np.arange(40), np.arange(33)).astype(np.uint8))
    found = {
        "rgb": colours,
        "smooth": smooth,
        "grey": colours.convert("L"),
        "alpha": colours.convert("RGBA"),
        "grey and alpha": colours.convert("LA"),
        "palette": colours.convert("P", palette=Image.Palette.ADAPTIVE, colors=200),
        "four colours": colours.convert("P", palette=Image.Palette.ADAPTIVE, colors=4),
        "black and white": colours.convert("1"),
        "16 bits": Image.fromarray(RNG.integers(0, 65536, (9, 8), np.uint16)),
    }
    files = {}
    for name, picture in found.items():
        out = io.BytesIO()
        picture.save(out, "PNG")
        files[name] = (out.getvalue(), picture)
    for name, picture in (("portable", colours), ("portable grey", smooth)):
        out = io.BytesIO()
        picture.save(out, "PPM")
        files[name] = (out.getvalue(), picture)
    return files


@pytest.mark.parametrize("name", pictures())
def test_files_are_read_without_pillow(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from kit import picture

    data, _ = pictures()[name] if name.startswith("palette") else PICTURES[name]
    (tmp_path / "p").write_bytes(data)
    for colour in ("RGB", "L"):
        theirs = image.Reader({**OPTIONS, "resize": None, "crop": None, "colour": colour}).pixels(data)
        with monkeypatch.context() as patched:
            patched.setattr(picture, "_by_pillow", None)
            ours = picture.coloured(picture.read(tmp_path / "p"), colour)
        assert np.array_equal(ours, theirs), colour


PICTURES = pictures()


def test_pictures_of_32_bits_are_refused(tmp_path: Path) -> None:
    from kit import picture
    from kit.errors import InputError

    Image.fromarray(np.full((3, 4), 0.5, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match=r"must be of 8 or 16 bits, got 32 \(mode F\)"):
        picture.read(tmp_path / "a.tif")


def test_pictures_that_are_turned_interlaced_or_packed_go_by_pillow(tmp_path: Path) -> None:
    from kit import picture

    colours = Image.fromarray(RNG.integers(0, 256, (12, 20, 3), np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    for name, more in (("a.jpg", {"exif": turned}), ("a.png", {"exif": turned}), ("b.bmp", {})):
        colours.save(tmp_path / name, **more)
        theirs = image.Reader({**OPTIONS, "resize": None, "crop": None}).pixels(str(tmp_path / name))
        assert np.array_equal(picture.read(tmp_path / name), theirs)


def part(kind: bytes, body: bytes) -> bytes:
    """A part of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def without(kind: bytes, data: bytes) -> bytes:
    """A PNG that lacks a part."""
    place = data.index(kind) - 4
    return data[:place] + data[place + 12 + struct.unpack_from(">I", data, place)[0] :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:40],
        lambda data: data[: len(data) // 2],
        lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
        lambda data: b"P6\n9 9\n255\n" + data[:9],
        lambda data: b"P6\n9",
        lambda data: b"no picture",
        lambda data: b"",
        lambda data: data[: 8 + 25],
        lambda data: data[:8] + data[8 + 25 :],
        lambda data: without(b"PLTE", PICTURES["palette"][0]),
        lambda data: data[:8] + part(b"IHDR", b"\0" * 4 + data[20:29]) + data[33:],
    ],
)
def test_files_that_are_no_pictures(spoil: Any, tmp_path: Path) -> None:
    from kit import picture
    from kit.errors import InputError

    (tmp_path / "p").write_bytes(spoil(PICTURES["rgb"][0]))
    with pytest.raises(InputError, match="a whole picture"):
        picture.read(tmp_path / "p")


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("channels", [1, 3])
def test_sounds_are_read_without_soundfile(subtype: str, form: str, channels: int, tmp_path: Path) -> None:
    from kit import sound

    samples = RNG.uniform(-1, 1, (1001, channels))
    soundfile.write(tmp_path / "s.wav", samples, 8000, subtype=subtype, format=form)
    found, rate = sound._wav((tmp_path / "s.wav").read_bytes())
    theirs, _ = soundfile.read(tmp_path / "s.wav", always_2d=True)
    assert rate == 8000 and np.array_equal(found, theirs)


def test_other_sounds_go_by_soundfile(tmp_path: Path) -> None:
    from kit import sound
    from kit.errors import InputError

    samples = RNG.uniform(-1, 1, 100)
    soundfile.write(tmp_path / "s.flac", samples, 8000)
    assert np.array_equal(sound.read(tmp_path / "s.flac")[0], soundfile.read(tmp_path / "s.flac", always_2d=True)[0])
    for data in (b"", b"RIFFxxxxWAVE", b"RIFFxxxxWAVEfmt ", b"nothing"):
        (tmp_path / "s").write_bytes(data)
        with pytest.raises(InputError, match="whole sound"):
            sound.read(tmp_path / "s")


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    from kit import sound

    samples = RNG.uniform(-1, 1, 77).astype(np.float32)
    sound.write(tmp_path / "s.wav", samples, 16000)
    for found, rate in (sound.read(tmp_path / "s.wav"), soundfile.read(tmp_path / "s.wav", always_2d=True)):
        assert rate == 16000 and np.array_equal(found[:, 0].astype(np.float32), samples)


FRAMES = {"window": 32, "hop": 8, "taper": "sqrt-hann", "features": "spectrum", "gain": 2.0}


@pytest.mark.parametrize(
    "changes",
    [{}, {"features": "samples"}, {"hop": 16, "gain": 1.0}, {"taper": "none", "gain": 4.0, "features": "samples"}],
)
@pytest.mark.parametrize("count", [1, 7, 8, 100, 333])
def test_frames_that_are_put_together_again_are_the_sound(changes: dict[str, Any], count: int) -> None:
    from kit.frames import Adder, Framer, hops

    said = {**FRAMES, **changes}
    lag = said["window"] - said["hop"]
    framer, add = Framer(said), Adder(said)
    samples = RNG.uniform(-1, 1, count)
    rows = hops(samples, said["hop"], lag)
    assert len(rows) == -(-(count + lag) // said["hop"])
    frames = [framer(row) for row in rows]
    got = np.concatenate([add(frame) for frame in frames])[lag : lag + count]
    assert np.abs(got - samples).max() < 1e-6
    # Frame t is the window that ends with sample (t + 1) hop - 1.
    padded = np.concatenate([np.zeros(said["window"]), samples, np.zeros(said["window"])])
    for place in (0, len(frames) // 2):
        own = padded[(place + 1) * said["hop"] :][: said["window"]]
        own = own * (1 if said["taper"] == "none" else np.sin(np.pi * np.arange(32) / 32))
        spectrum = np.stack([np.fft.rfft(own).real, np.fft.rfft(own).imag], axis=-1)
        wanted = spectrum if said["features"] == "spectrum" else own
        assert np.abs(frames[place] - wanted).max() < 1e-5


def test_what_measures_and_what_hears_is_the_reference_s_own_file() -> None:
    """A copy would drift. Links to folders would be missing in a wheel, which has each folder once."""
    from kit import agent as measuring
    from kit import audio as hearing

    from edgesft.measure import agent

    for ours, theirs in ((hearing, audio), (measuring, agent)):
        assert Path(ours.__file__).resolve() == Path(theirs.__file__).resolve()
    assert not [link for link in conftest.KIT.parent.rglob("*") if link.is_symlink() and link.is_dir()]


@pytest.mark.parametrize("changes", [{}, {"units": "words", "lower": False}, {"unseen": "skip"}])
def test_texts_are_symbols_as_in_training(changes: dict[str, Any]) -> None:
    from kit.errors import InputError as Refused
    from kit.symbols import numbers

    from edgesft.errors import InputError
    from edgesft.spec.media import SpeechSpec
    from edgesft.tasks.audio.script import Script
    from edgesft.tasks.contract import Contract
    from edgesft.tasks.text_to_speech import TextToSpeech

    options = {**SpeechSpec().model_dump(), "symbols": ["AH0", "T", "a", "t", " ", "\u00e9"], "speakers": [], **changes}
    said, script = TextToSpeech().preparation(Contract("text-to-speech", (), options)), Script(options)
    for text in (" AH0  T", "a\tTa", "E\u0301t", "t!", "!", "", "a" * 1001):
        try:
            expected = script.tokens(text)[0].tolist()
        except InputError:
            with pytest.raises(Refused):
                numbers(text, said)
        else:
            assert numbers(text, said) == expected
