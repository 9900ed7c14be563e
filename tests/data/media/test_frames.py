"""Frames of sound: cut and joined at once or bit by bit, as `export/BUNDLE.md` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesft.data.media.frames
from edgesft.data.media.frames import Frames

HANN = {"window": 16, "hop": 8, "taper": "sqrt-hann", "features": "spectrum", "answers": "spectrum"}
PLAIN = {"window": 16, "hop": 4, "taper": "none", "features": "spectrum", "answers": "samples"}
BLOCKS = {"window": 12, "hop": 8, "taper": "none", "features": "samples", "answers": "samples"}


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(count).astype(np.float32)


@pytest.mark.parametrize("length", [1, 7, 8, 40, 43])
def test_answers_that_are_what_was_fed_make_the_sound(length: int) -> None:
    frames, sound = Frames(HANN), noise(length)
    cut = frames.cut(sound, frames.count(length, whole=True))
    assert cut.shape[1:] == frames.shape == (9, 2)
    assert frames.even and frames.gain == pytest.approx(1)
    assert np.allclose(frames.joined(cut, length), sound, atol=1e-6)


def test_samples_may_answer_spectra() -> None:
    frames, sound = Frames(PLAIN), noise(50)
    cut = frames.cut(sound, frames.count(50, whole=True))
    samples = np.fft.irfft(cut[..., 0] + 1j * cut[..., 1])
    assert frames.gain == 4
    assert np.allclose(frames.joined(samples, 50), sound, atol=1e-6)


@pytest.mark.parametrize("options", [HANN, PLAIN])
def test_bit_by_bit_is_the_same(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kit for devices does it, from the one file that both have."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[3] / "export" / "python"))
    import kit.frames as kit
    from kit.frames import Adder, Framer

    assert Path(str(kit.__file__)).resolve() == Path(str(edgesft.data.media.frames.__file__)).resolve()
    frames, sound = Frames(options), noise(41)
    count, gain = frames.count(41, whole=True), frames.gain
    framer, adder, said = Framer(options), Adder({**options, "features": options["answers"], "gain": gain}), []
    cut = frames.cut(sound, count)
    for number, hop in enumerate(np.pad(sound, (0, count * frames.hop - 41)).reshape(count, frames.hop)):
        frame = framer(hop)
        assert np.array_equal(frame, cut[number])
        said.append(adder(frame if options is HANN else np.fft.irfft(frame[..., 0] + 1j * frame[..., 1])))
    assert np.allclose(np.concatenate(said)[frames.behind :][:41], sound, atol=1e-6)


def test_a_frame_begins_with_the_end_of_the_one_before() -> None:
    frames, sound = Frames(BLOCKS), np.arange(1, 21, dtype=np.float32)
    cut = frames.cut(sound, frames.count(20, whole=False))
    assert cut.tolist() == [[0, 0, 0, 0, *range(1, 9)], [*range(5, 17)], [*range(13, 21), 0, 0, 0, 0]]
    assert not frames.even
