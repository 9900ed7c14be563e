"""Sound in frames, in training and on the device alike: cut, tapered, transformed; answers overlap and are added up.

Also runs on devices: imports nothing of edgesft. Computed in float64, fed as float32. `export/BUNDLE.md`, "Frames", has
it in words: `Frames` is of whole sounds, `Framer` and `Adder` are of sound as it comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

SAMPLES, SPECTRUM = "samples", "spectrum"


class Frames:
    """How samples become frames, and frames samples.

    Frame t ends with sample (t + 1) · hop - 1; what lies before the first sample is 0.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Takes the settings, by name.

        Args:
            options: `window` and `hop` in samples, `taper` (`none` or `sqrt-hann`), `features` and `answers`
                (`samples` or `spectrum`).
        """
        self.window: int = options["window"]
        self.hop: int = options["hop"]
        self.features: str = options["features"]
        self.answers: str = options["answers"]
        self.taper = taper(options["taper"], self.window)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a frame as it is fed."""
        return (self.window,) if self.features == SAMPLES else (self.window // 2 + 1, 2)

    @property
    def answered(self) -> tuple[int, ...]:
        """Of a frame as it is answered."""
        return (self.window,) if self.answers == SAMPLES else (self.window // 2 + 1, 2)

    @property
    def behind(self) -> int:
        """Samples by which what is complete lies behind what was heard."""
        return self.window - self.hop

    def count(self, samples: int, *, whole: bool) -> int:
        """Frames that so many samples make.

        Args:
            samples: How many.
            whole: Whether so many frames follow that the last sample's answer is complete.
        """
        return -(-(samples + (self.behind if whole else 0)) // self.hop)

    def cut(self, samples: np.ndarray, count: int) -> np.ndarray:
        """The first frames of a sound, silence behind its end.

        Args:
            samples: Shape [..., samples].
            count: How many frames.

        Returns:
            float32, shape [..., count, *shape].
        """
        lacking = max(0, count * self.hop - samples.shape[-1])
        around = [(0, 0)] * (samples.ndim - 1) + [(self.behind, lacking)]
        padded = np.pad(samples.astype(np.float64), around)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.window, axis=-1)
        return self.framed(windows[..., : count * self.hop : self.hop, :])

    def framed(self, samples: np.ndarray) -> np.ndarray:
        """Frames as they are fed, float32 of shape [..., *shape], of samples of shape [..., window]."""
        found = samples * self.taper
        if self.features == SPECTRUM:
            spectra = np.fft.rfft(found)
            found = np.stack([spectra.real, spectra.imag], -1)
        return found.astype(np.float32)

    def sounded(self, answers: np.ndarray) -> np.ndarray:
        """Samples of shape [..., window], tapered, of answers of shape [..., *shape]."""
        found = answers.astype(np.float64)
        if self.answers == SPECTRUM:
            found = np.fft.irfft(found[..., 0] + 1j * found[..., 1], self.window)
        tapered: np.ndarray = found * self.taper
        return tapered

    def joined(self, answers: np.ndarray, samples: int) -> np.ndarray:
        """The sound that answers make.

        Args:
            answers: Shape [..., count, *shape], a frame each.
            samples: How many of it are wanted.

        Returns:
            float32, shape [..., samples].
        """
        found = self.sounded(answers)
        count = found.shape[-2]
        sums = np.zeros((*found.shape[:-2], self.behind + count * self.hop))
        for number in range(count):
            sums[..., number * self.hop : number * self.hop + self.window] += found[..., number, :]
        return (sums[..., self.behind : self.behind + samples] / self.gain).astype(np.float32)

    @property
    def gain(self) -> float:
        """What answers that equal what was fed add up to, as a multiple of it."""
        return float((self.taper**2).sum() / self.hop)

    @property
    def even(self) -> bool:
        """Whether that is the same for every sample, so that nothing rises and falls with the frames."""
        padded = np.pad(self.taper**2, (0, -self.window % self.hop))
        sums = padded.reshape(-1, self.hop).sum(0)
        return bool(np.allclose(sums, self.gain, rtol=1e-9))


class Framer:
    """Makes a frame of each `hop` new samples."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Takes `window`, `hop`, `taper` and `features` of a preparation; nothing was heard before."""
        self._frames = Frames({**said, "answers": said["features"]})
        self.hop, self._heard = self._frames.hop, np.zeros(self._frames.window)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """The next frame, float32: [window], or of a spectrum [frequencies, 2].

        Args:
            samples: `hop` of them.
        """
        self._heard = np.concatenate([self._heard[self.hop :], samples])
        return self._frames.framed(self._heard)


class Adder:
    """Makes sound of answers that overlap."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Takes `window`, `hop`, `taper`, `features` and `gain` of a decoding."""
        self._frames = Frames({**said, "answers": said["features"]})
        self._gain, self._sum = said["gain"], np.zeros(self._frames.window)

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """`hop` samples that are complete, `window` - `hop` behind what was heard last, float32.

        Args:
            frame: What the model answered to the next frame.
        """
        hop = self._frames.hop
        self._sum += self._frames.sounded(frame.reshape(self._frames.answered))
        done = self._sum[:hop] / self._gain
        self._sum = np.concatenate([self._sum[hop:], np.zeros(hop)])
        return done.astype(np.float32)


def hops(samples: np.ndarray, hop: int, lag: int) -> np.ndarray:
    """Samples in rows of `hop`, with zeros behind them until the last one's answer is complete.

    Args:
        samples: Shape [samples].
        hop: Of a frame.
        lag: How far answers come behind.
    """
    count = -(-(len(samples) + lag) // hop)
    return np.pad(samples, (0, count * hop - len(samples))).reshape(count, hop)


def taper(name: str, window: int) -> np.ndarray:
    """What a frame is multiplied by, float64 of shape [window]: 1, or the square root of a periodic Hann window."""
    return np.ones(window) if name == "none" else np.sin(np.pi * np.arange(window) / window)
