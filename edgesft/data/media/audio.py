"""Sounds, in training and end to end: a file → samples → log-mel bands → the model → its class. Also runs in the
agent's process on a device: imports nothing of edgesft.

Computed in float64, fed as float32, so that numpy's version makes no difference. The bands are those of HTK: triangles
in Hz between points that are evenly spaced in mel, m = 2595 · log10(1 + f / 700), not normalised by their width, over
the power spectrum of frames under a periodic Hann window; `transformers.audio_utils.spectrogram` gives the same.
Those of Kaldi (`fbank`) are triangles in mel, over frames as `windowed` says; transformers' ASTFeatureExtractor gives
the same.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

TAPS, BETA = 16, 8.0
"""Zero crossings of the sinc on either side, and the shape of the Kaiser window over it: about 80 dB down."""

PREEMPHASIS = 0.97
"""How much of a sample Kaldi takes off the next (feature-window.h, `FrameExtractionOptions`)."""

LEAST = 1e-3
"""Added to a deviation that is divided by, in logarithms of power: silence stays 0."""


class Reader:
    """What a model reads of a sound, in two steps: `samples`, which are worth keeping, and `feed`."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Takes the settings: those of `edgesft.spec.media.AudioSpec`, by name."""
        self.rate: int = options["rate"]
        self.count = round(options["seconds"] * self.rate)
        # A model whose file makes the features gets samples as they are.
        inside = options.get("in_graph", "none") != "none"
        self._centre, self._raw = options["window"] == "centre", inside or options["features"] == "none"
        self._normalise, self._floor = options["normalise"] and not inside, options["floor"]
        self.frame, self.hop = round(options["frame"] * self.rate), round(options["hop"] * self.rate)
        self.fft = 1 << (self.frame - 1).bit_length()
        self._kaldi = options["features"] == "fbank"
        self.hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.frame) / (self.frame - self._kaldi))
        within = 1 + (self.count - self.frame) // self.hop
        self.length: int | None = options["frames"] if self._kaldi else None
        self.frames = min(within, self.length or within)
        self.mean: float = options["mean"] if self._kaldi else 0.0
        self.std: float = options["std"] if self._kaldi else 1.0
        high = options["high"] or self.rate / 2
        self.bands = bands(self.rate, self.fft, options["mels"], options["low"], high, in_mel=self._kaldi)
        self.waves = None if options["coefficients"] is None else cosines(options["mels"], options["coefficients"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of what is fed for a sound: [samples], [1, frames, bands], or of Kaldi's features [frames, bands]."""
        if self._raw:
            return (self.count,)
        width = self.bands.shape[1] if self.waves is None else self.waves.shape[1]
        return (self.length or self.frames, width) if self._kaldi else (1, self.frames, width)

    def samples(self, source: str | bytes | np.ndarray) -> np.ndarray:
        """Decoded, made one channel of the rate, and cut or padded.

        Args:
            source: A path; what a file holds; or samples at the rate, shape [samples].

        Returns:
            float32, shape [samples].

        Raises:
            RuntimeError: This interpreter lacks soundfile; or, as its own class is one, the file is no sound.
        """
        found = np.asarray(source, np.float64) if isinstance(source, np.ndarray) else self._decoded(source)
        lacking = self.count - len(found)
        if lacking > 0:
            before = lacking // 2 if self._centre else 0
            return np.pad(found, (before, lacking - before)).astype(np.float32)
        start = -lacking // 2 if self._centre else 0
        return found[start : start + self.count].astype(np.float32)

    def feed(self, samples: np.ndarray) -> np.ndarray:
        """The model's feed.

        Args:
            samples: float32, shape [..., samples].

        Returns:
            float32: of the shape that `shape` says of a sound.
        """
        found = samples.astype(np.float64)
        if not self._raw:
            found = self._spectrum(found)
        if self._normalise:
            axis = -1 if self._raw else -2
            found = found - found.mean(axis, keepdims=True)
            least = 1e-7 if self._raw else LEAST
            found = found / (found.std(axis, keepdims=True) + least)
        return found.astype(np.float32).reshape(*samples.shape[:-1], *self.shape)

    def windowed(self, frames: np.ndarray) -> np.ndarray:
        """What a spectrum is taken of, shape [..., frame]: a linear function of the frames.

        Kaldi takes off the mean, and of each sample `PREEMPHASIS` times the one before it (of the first, itself).
        """
        if self._kaldi:
            frames = frames - frames.mean(-1, keepdims=True)
            frames = frames - PREEMPHASIS * np.concatenate([frames[..., :1], frames[..., :-1]], -1)
        return frames * self.hann

    def _decoded(self, source: str | bytes) -> np.ndarray:
        found, rate = decode(source)
        return resampled(found.mean(axis=1), rate, self.rate)

    def _spectrum(self, samples: np.ndarray) -> np.ndarray:
        """Logarithms of the bands, or their cepstrum, shape [..., frames, bands]."""
        frames = np.lib.stride_tricks.sliding_window_view(samples, self.frame, axis=-1)[..., :: self.hop, :]
        power = np.abs(np.fft.rfft(self.windowed(frames[..., : self.frames, :]), self.fft)) ** 2
        found: np.ndarray = np.log(np.maximum(power @ self.bands, self._floor))
        found = found if self.waves is None else found @ self.waves
        return (self._fitted(found, samples) - self.mean) / self.std

    def _fitted(self, found: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Of the length that the model reads: frames that do not end within the sound, before its silence, are 0."""
        if self.length is None:
            return found
        ends = np.max((samples != 0) * np.arange(1, self.count + 1), axis=-1, keepdims=True)
        there = np.arange(self.frames) * self.hop + self.frame <= ends
        lacking = [(0, 0)] * (found.ndim - 2) + [(0, self.length - self.frames), (0, 0)]
        return np.pad(found * there[..., np.newaxis], lacking)


class Pipeline:
    """`{"audio": path}` → what the model reads, with a batch axis of 1; class scores → `{"label": …, "score": …}`.

    Where the options have `accept_above`, the answer also says whether the sound is of a known class: `known`.
    """

    def __init__(self, folder: str, options: Mapping[str, Any]) -> None:
        """Takes the settings; nothing is read from the folder.

        Args:
            folder: Where the model lies.
            options: Those of `Reader`; `inputs` (the model's one input) and `labels` (class names; empty where
                unknown); `temperature` and `accept_above`, which may be left out or None.

        Raises:
            RuntimeError: This interpreter lacks soundfile.
        """
        library()
        self._reader = Reader(options)
        (self._input,), self._labels = options["inputs"], list(options["labels"])
        self._temperature, self._least = options.get("temperature") or 1.0, options.get("accept_above")

    def before(self, row: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The model's one feed.

        Raises:
            ValueError: The row has no `audio`.
        """
        try:
            source = row["audio"]
        except (KeyError, TypeError):
            raise ValueError(f"a row of the audio pipeline must have 'audio', got {row!r}") from None
        samples = self._reader.samples(np.asarray(source) if isinstance(source, list) else source)
        return {self._input: self._reader.feed(samples[np.newaxis])}

    def after(self, outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The likeliest label and its probability (the class's index where labels are unknown), and if it is known.

        Raises:
            ValueError: The model has no output `logits`, and more than one.
        """
        scores = next(iter(outputs.values())) if len(outputs) == 1 else outputs.get("logits")
        if scores is None:
            raise ValueError(f"outputs of the audio pipeline must have 'logits', got {', '.join(outputs)}")
        logits = scores[0].astype(np.float32)
        best = int(logits.argmax())
        weights = np.exp((logits - logits[best]) / self._temperature)
        answer = {"label": self._labels[best] if self._labels else best, "score": float(1 / weights.sum())}
        if self._least is not None:
            known = logits[best] - logits.mean() + np.log(np.exp(logits - logits[best]).sum())
            answer["known"] = bool(known >= self._least)
        return answer


def library() -> Any:
    """Soundfile.

    Raises:
        RuntimeError: This interpreter lacks it.
    """
    try:
        import soundfile
    except (ImportError, OSError) as error:
        raise RuntimeError(
            f"the audio pipeline needs the package soundfile, which {sys.executable} cannot import ({error}). "
            f"Try: {sys.executable} -m pip install soundfile"
        ) from error
    return soundfile


def decode(source: str | bytes) -> tuple[np.ndarray, int]:
    """A file's samples, float64 of shape [samples, channels], and how many a second has.

    Raises:
        RuntimeError: This interpreter lacks soundfile; or, as its own class is one, the file is no sound.
    """
    found, rate = library().read(io.BytesIO(source) if isinstance(source, bytes) else source, always_2d=True)
    return found, int(rate)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """The same sound at another rate, by a windowed sinc (Smith, "Digital Audio Resampling", 1984).

    Args:
        samples: Shape [samples].
        rate: Samples a second.
        wanted: Of what is returned; the longer of the two periods limits what is heard.
    """
    if rate == wanted:
        return samples
    divisor = math.gcd(rate, wanted)
    up, down = wanted // divisor, rate // divisor
    cutoff = min(1.0, up / down)
    reach = math.ceil(TAPS / cutoff)
    count = -(-len(samples) * up // down)
    padded = np.pad(samples, (reach, reach + down + 1))
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    found = np.zeros(count)
    for phase in range(min(up, count)):
        first, fraction = divmod(phase * down, up)
        distance = np.arange(-reach, reach + 1) - fraction / up
        inside = np.sqrt(np.clip(1 - (distance / reach) ** 2, 0, None))
        weights = cutoff * np.sinc(cutoff * distance) * np.i0(BETA * inside) / np.i0(BETA)
        own = windows[first::down][: len(found[phase::up])]
        found[phase::up] = own @ (weights * (np.abs(distance) <= reach))
    return found


def bands(rate: int, fft: int, count: int, low: float, high: float, *, in_mel: bool = False) -> np.ndarray:
    """What each point of a spectrum counts for in each band, shape [fft / 2 + 1, count].

    Args:
        rate: Samples a second.
        fft: Points of the transform.
        count: Bands.
        low: Where the lowest begins, in Hz.
        high: Where the highest ends, in Hz.
        in_mel: Whether sides of the triangles are straight in mel, not in Hz.
    """
    edges = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), count + 2)
    points = np.arange(fft // 2 + 1)[:, None] * rate / fft
    if in_mel:
        points = 2595 * np.log10(1 + points / 700)
    else:
        edges = 700 * (10 ** (edges / 2595) - 1)
    rising = (points - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - points) / np.diff(edges)[1:]
    return np.clip(np.minimum(rising, falling), 0, None)


def cosines(count: int, coefficients: int) -> np.ndarray:
    """An orthonormal cosine transform of the second kind, its lowest coefficients, shape [count, coefficients]."""
    places = (np.arange(count)[:, None] + 0.5) * np.arange(coefficients)
    found = np.sqrt(2 / count) * np.cos(np.pi / count * places)
    found[:, 0] /= np.sqrt(2)
    return found
