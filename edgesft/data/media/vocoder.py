"""Mel bands of a voice, and a sound of mel bands: no net, so that there is nothing to train or to load.

Also runs on devices: imports nothing of edgesft. Computed in float64.
"""

from __future__ import annotations

import numpy as np

MOMENTUM = 0.99
"""How far each step of the search goes on where it went (Perraudin et al. 2013, section 3: best of those tried)."""

STEPS = 20
"""Of the search for powers: bands of speech are then 0.003 off on average, in natural logarithms, where the
pseudo-inverse, whose negative powers must go, leaves 0.15."""

LEAST = 1e-12
"""What is less is this, where it is divided by."""

LEAST_WEIGHT = 1e-3
"""Of samples at both ends, which one frame's edge alone has."""


class Vocoder:
    """Samples → logarithms of the power in mel bands → samples.

    Frames lie around every `hop`th sample, the first around sample 0, with silence beyond both ends, so that n samples
    have 1 + n // hop frames.
    """

    def __init__(self, bands: np.ndarray, frame: int, hop: int, floor: float, iterations: int) -> None:
        """Takes the settings.

        Args:
            bands: What each point of a spectrum counts for in each band, shape [fft / 2 + 1, bands].
            frame: Samples of a spectrum, under a periodic Hann window.
            hop: Samples from one to the next; at most a quarter of a frame, or phases cannot be told.
            floor: Least power of a band.
            iterations: Steps of the search for phases.
        """
        self._bands, self._counted = bands, np.maximum(bands.sum(1), LEAST)
        self._frame, self._hop, self._fft = frame, hop, 2 * (len(bands) - 1)
        self._floor, self._iterations = floor, iterations
        self._hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(frame) / frame)

    def mel(self, samples: np.ndarray) -> np.ndarray:
        """Natural logarithms of the power in bands, float32 of shape [frames, bands], of samples of shape [samples]."""
        power = np.abs(self._spectra(self._padded(samples.astype(np.float64)))) ** 2
        return np.log(np.maximum(power @ self._bands, self._floor)).astype(np.float32)

    def sound(self, mel: np.ndarray) -> np.ndarray:
        """A sound with these bands, float32 of shape [samples]; the same bands give the same one.

        Magnitudes are such as have the bands (`power`); phases are searched for, from any on, such that a sound has
        both (Griffin and Lim 1984, with the momentum of Perraudin et al. 2013).

        Args:
            mel: As `mel` has it, shape [frames, bands].
        """
        magnitudes = np.sqrt(self.power(mel))
        turns = np.random.default_rng(0).random(magnitudes.shape)
        spectra = magnitudes * np.exp(2j * np.pi * turns)
        before, weights = np.zeros_like(spectra), self._weights(len(mel))
        for _ in range(self._iterations):
            possible = self._spectra(self._joined(spectra, weights))
            ahead = possible + MOMENTUM * (possible - before)
            spectra, before = magnitudes * ahead / np.maximum(np.abs(ahead), LEAST), possible
        edge = self._frame // 2
        whole = self._joined(spectra, weights)
        return whole[edge : edge + (len(mel) - 1) * self._hop].astype(np.float32)

    def power(self, mel: np.ndarray) -> np.ndarray:
        """A power at each point of the spectrum, none below 0, that has these bands: shape [frames, points].

        By multiplication, from all alike on (Lee and Seung 2000, equation 5, with the bands held).

        Args:
            mel: As `mel` has it, shape [frames, bands].
        """
        wanted = np.exp(mel.astype(np.float64))
        found = np.ones((len(mel), len(self._bands)))
        for _ in range(STEPS):
            found *= (wanted / np.maximum(found @ self._bands, LEAST)) @ self._bands.T / self._counted
        return found

    def _padded(self, samples: np.ndarray) -> np.ndarray:
        return np.pad(samples, (self._frame // 2, self._frame - self._frame // 2))

    def _spectra(self, padded: np.ndarray) -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(padded, self._frame)[:: self._hop]
        found: np.ndarray = np.fft.rfft(frames * self._hann, self._fft)
        return found

    def _joined(self, spectra: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The sound whose spectra are nearest to these (Griffin and Lim 1984, equation 6)."""
        frames = np.fft.irfft(spectra, self._fft)[:, : self._frame] * self._hann
        found: np.ndarray = _added(frames, self._hop) / weights
        return found

    def _weights(self, count: int) -> np.ndarray:
        """How much of each sample so many frames have, where that is enough to tell."""
        return np.maximum(_added(np.tile(self._hann**2, (count, 1)), self._hop), LEAST_WEIGHT)


def _added(frames: np.ndarray, hop: int) -> np.ndarray:
    """Frames that overlap, added up: shape [frame + (frames - 1) · hop]."""
    count, size = frames.shape
    parts = -(-size // hop)
    pieces = np.pad(frames, ((0, 0), (0, parts * hop - size))).reshape(count, parts, hop)
    found = np.zeros((count + parts - 1, hop))
    for part in range(parts):
        found[part : part + count] += pieces[:, part]
    return found.reshape(-1)[: size + (count - 1) * hop]
