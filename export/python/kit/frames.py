"""Sound as it comes: frames that overlap, and what is made of the answers to them (export/BUNDLE.md, "Frames")."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class Framer:
    """Makes a frame of each `hop` new samples."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Takes `window`, `hop`, `taper` and `features` of a preparation; nothing was heard before."""
        self.hop, self._taper, self._spectrum = said["hop"], taper(said), said["features"] == "spectrum"
        self._heard = np.zeros(said["window"])

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """The next frame, float32: [window], or of a spectrum [frequencies, 2].

        Args:
            samples: `hop` of them.
        """
        self._heard = np.concatenate([self._heard[self.hop :], samples])
        tapered = self._heard * self._taper
        if not self._spectrum:
            return tapered.astype(np.float32)
        found = np.fft.rfft(tapered)
        return np.stack([found.real, found.imag], axis=-1).astype(np.float32)


class Adder:
    """Makes sound of answers that overlap."""

    def __init__(self, said: Mapping[str, Any]) -> None:
        """Takes `window`, `hop`, `taper`, `features` and `gain` of a decoding."""
        self._hop, self._taper, self._spectrum = said["hop"], taper(said), said["features"] == "spectrum"
        self._gain, self._sum = said["gain"], np.zeros(said["window"])

    def __call__(self, frame: np.ndarray) -> np.ndarray:
        """`hop` samples that are complete, `window` - `hop` behind what was heard last.

        Args:
            frame: What the model answered to the next frame.
        """
        wide = frame.astype(np.float64).reshape(-1)
        if self._spectrum:
            parts = wide.reshape(-1, 2)
            wide = np.fft.irfft(parts[:, 0] + 1j * parts[:, 1], len(self._sum))
        self._sum += wide * self._taper
        done = self._sum[: self._hop] / self._gain
        self._sum = np.concatenate([self._sum[self._hop :], np.zeros(self._hop)])
        return done.astype(np.float32)


def taper(said: Mapping[str, Any]) -> np.ndarray:
    """What a frame is multiplied by."""
    places = np.arange(said["window"])
    return np.ones(len(places)) if said["taper"] == "none" else np.sin(np.pi * places / len(places))


def hops(samples: np.ndarray, hop: int, lag: int) -> np.ndarray:
    """Samples in rows of `hop`, with zeros behind them until the last one's answer is complete.

    Args:
        samples: Shape [samples].
        hop: Of a frame.
        lag: How far answers come behind.
    """
    count = -(-(len(samples) + lag) // hop)
    return np.pad(samples, (0, count * hop - len(samples))).reshape(count, hop)
