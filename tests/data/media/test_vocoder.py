"""A sound made of mel bands has them, whatever its length, and is the same each time."""

from __future__ import annotations

import numpy as np
import pytest

from edgesft.data.media.audio import bands
from edgesft.data.media.vocoder import Vocoder

RATE = 8000


def vocoder(frame: int = 320, hop: int = 80, iterations: int = 32) -> Vocoder:
    return Vocoder(bands(RATE, 512, 40, 20, 4000), frame, hop, 1e-4, iterations)


def chirp(seconds: float) -> np.ndarray:
    times = np.arange(int(RATE * seconds)) / RATE
    found: np.ndarray = 0.3 * np.sin(2 * np.pi * (300 * times + 900 * times**2)) + 0.1 * np.sin(2 * np.pi * 150 * times)
    return found


@pytest.mark.parametrize(("frame", "hop"), [(320, 80), (300, 70)])
def test_a_sound_of_its_bands_has_them(frame: int, hop: int) -> None:
    made = vocoder(frame, hop)
    sound = chirp(0.5)
    mel = made.mel(sound)
    assert mel.shape == (1 + len(sound) // hop, 40) and mel.dtype == np.float32
    again = made.sound(mel)
    assert len(again) == (len(mel) - 1) * hop and again.dtype == np.float32
    # At both ends the true sound stops at once, which no search finds again.
    loud = mel[4:-4] > mel.max() - 6
    assert np.abs(made.mel(again) - mel)[4:-4][loud].mean() < 0.3
    assert np.sqrt(np.square(again).mean()) == pytest.approx(np.sqrt(np.square(sound).mean()), rel=0.2)
    assert np.array_equal(made.sound(mel), again)


def test_more_steps_come_nearer() -> None:
    mel = vocoder().mel(chirp(0.5))
    far, near = (np.abs(made.mel(made.sound(mel)) - mel).mean() for made in (vocoder(iterations=1), vocoder()))
    assert near < 0.8 * far


def test_short_and_silent_sounds() -> None:
    made = vocoder()
    assert made.mel(np.zeros(10)).shape == (1, 40)
    assert (made.mel(np.zeros(400)) == np.float32(np.log(1e-4))).all()
    silent = made.sound(made.mel(np.zeros(400)))
    assert np.isfinite(silent).all() and np.abs(silent).max() < 1e-2
    assert made.sound(made.mel(np.zeros(10))).shape == (0,)
