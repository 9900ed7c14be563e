"""Log-mel bands and cepstra by torch's operators, for models whose files make them of samples. Imports torch.

`edgesft.data.media.audio` makes the same beside the graph, in float64; here it is float32, as devices have it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edgesft.data.media.audio import LEAST, Reader

STFT = "stft"


class LogMel(nn.Module):
    """Samples, shape [rows, samples], to what a model reads, shape [rows, 1, frames, bands] or [rows, frames, bands].

    By the operator STFT, which has no weights, or by products with matrices: the windowed sines and cosines of those
    points of the spectrum that a band counts.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Takes the settings of `AudioSpec`, by name."""
        super().__init__()
        reader = Reader({**options, "in_graph": "none"})
        self.frame, self.hop, self.fft, self.floor = reader.frame, reader.hop, reader.fft, options["floor"]
        self.samples, self.count, self.shape = reader.count, reader.frames, reader.shape
        self.length, self.mean, self.std = reader.length, reader.mean, reader.std
        self.normalise, self.stft = options["normalise"], options["in_graph"] == STFT
        counted = slice(None) if self.stft else reader.bands.any(axis=1)
        self.register_buffer("bands", _floats(reader.bands[counted]))
        self.register_buffer("waves", None if reader.waves is None else _floats(reader.waves))
        self.register_buffer("window", _floats(reader.hann) if self.stft else None)
        points = np.fft.rfft(reader.windowed(np.eye(self.frame)), self.fft)[:, counted]
        matrix = np.concatenate([points.real, points.imag], axis=1)
        self.register_buffer("matrix", None if self.stft else _floats(matrix))

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """The bands, or their cepstrum."""
        power = self._by_operator(samples) if self.stft else self._by_products(samples)
        found = torch.log(torch.clamp(power @ self.bands, min=self.floor))
        if self.waves is not None:
            found = found @ self.waves
        if self.normalise:
            found = found - found.mean(-2, keepdim=True)
            found = found / (found.square().mean(-2, keepdim=True).sqrt() + LEAST)
        if self.length is not None:
            found = self._fitted(found, samples)
        return ((found - self.mean) / self.std).unflatten(1, self.shape[:-1])

    def _fitted(self, found: torch.Tensor, samples: torch.Tensor) -> torch.Tensor:
        # A frame is there where, from its last sample on, not everything is 0; parts begin where frames end.
        parts = samples[:, self.frame - 1 :]
        parts = functional.pad(parts, (0, -parts.shape[1] % self.hop)).unflatten(1, (-1, self.hop))
        places = torch.arange(1, parts.shape[1] + 1, dtype=samples.dtype, device=samples.device)
        last = ((parts.abs().amax(-1) > 0) * places).amax(-1, keepdim=True)
        there = (places[: self.count] <= last).to(found.dtype)
        return functional.pad(found * there[..., None], (0, 0, 0, (self.length or 0) - self.count))

    def _by_operator(self, samples: torch.Tensor) -> torch.Tensor:
        # The operator's frames are as long as the transform, with the window in their middle.
        before = (self.fft - self.frame) // 2
        padded = functional.pad(samples, (before, self.fft - self.frame - before))
        spectrum = torch.stft(
            padded, self.fft, self.hop, self.frame, self.window, center=False, onesided=True, return_complex=True
        )
        return torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2)[:, : self.count]

    def _by_products(self, samples: torch.Tensor) -> torch.Tensor:
        # Frames are blocks behind each other, of the largest length of which both frame and hop are multiples.
        block = math.gcd(self.frame, self.hop)
        blocks = samples[:, : self.samples // block * block].reshape(samples.shape[0], -1, block)
        step = self.hop // block
        parts = [blocks[:, first::step][:, : self.count] for first in range(self.frame // block)]
        real, imaginary = (torch.cat(parts, dim=-1) @ self.matrix).square().chunk(2, dim=-1)
        return real + imaginary


class Fronted(nn.Module):
    """A model that makes its features of samples itself."""

    def __init__(self, front: LogMel, model: nn.Module, name: str) -> None:
        """Puts the one before the other.

        Args:
            front: Makes the features.
            model: Reads them.
            name: Of the model's input, and of this one's: exporters read it off the signature.
        """
        super().__init__()
        self.front, self.model = front, model

        def forward(*given: torch.Tensor, **inputs: torch.Tensor) -> Any:
            return model(**made(front, name, dict(zip((name,), given, strict=False)) | inputs))

        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        forward.__signature__ = inspect.Signature([inspect.Parameter(name, kind)])  # type: ignore[attr-defined]
        self.forward = forward


def made(front: LogMel, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What a model is called with, whose samples, if it is samples that have this name, have become features."""
    return {**inputs, name: front(inputs[name])} if inputs[name].ndim == 2 else dict(inputs)


def _floats(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).float()
