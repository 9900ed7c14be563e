"""Acoustic models that speak a text: recipes name them as `voices:…`.

Each takes symbols and gives the mel bands of a sound, all frames at once; while it learns it is given the sound, too,
and finds by itself which frames say which symbol (`edgesft.tasks.alignment`).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from edgesft.tasks.alignment import durations, likelihoods, present, unrolled

MIDDLE, SPREAD = -4.0, 4.0
"""About the mean and the deviation of logarithms of power in mel bands, so that a net's last layer is near 0."""

LONGEST = 4.0
"""Logarithm of the most frames that a symbol may last, at its own tempo."""


class Block(nn.Module):
    """A depthwise convolution over time, then a feed-forward layer in each place (Liu et al. 2022, arXiv 2201.03545, as
    Siuzdak 2023, arXiv 2306.00814, has it for sound).
    """

    def __init__(self, width: int, reach: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, reach, padding=reach // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, growth * width), nn.Linear(growth * width, width)
        self.drop = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Shapes [rows, places, width] and [rows, places, 1], which is 0 where nothing is."""
        found = self.norm(self.mix((x * there).transpose(1, 2)).transpose(1, 2))
        return x + self.drop(self.down(functional.gelu(self.up(found))))


class Parallel(nn.Module):
    """All frames of a sound at once, of the type of FastSpeech (Ren et al. 2019, arXiv 1905.09263): an encoder of
    symbols, how long each lasts, and a decoder of frames. What durations are learned from is searched for (Kim et al.
    2020, arXiv 2005.11129), against what each symbol sounds like on average.
    """

    def __init__(
        self, symbols: int, speakers: int, bands: int, width: int, encoder: int, decoder: int, dropout: float
    ) -> None:
        super().__init__()
        self.symbols = nn.Embedding(symbols, width, padding_idx=0)
        self.speakers = nn.Embedding(max(speakers, 1), width)
        self.encoder = nn.ModuleList(Block(width, 5, 4, dropout) for _ in range(encoder))
        self.decoder = nn.ModuleList(Block(width, 7, 4, dropout) for _ in range(decoder))
        self.said, self.heard = nn.LayerNorm(width), nn.LayerNorm(width)
        self.prior, self.lasts, self.mel = nn.Linear(width, bands), nn.Linear(width, 1), nn.Linear(width, bands)

    def forward(
        self,
        tokens: torch.Tensor,
        tempo: torch.Tensor | None = None,
        speaker: torch.Tensor | None = None,
        mel: torch.Tensor | None = None,
        frames: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        """Mel bands and how many frames each row has; while it learns also what durations are learned by.

        Args:
            tokens: Symbols, 0 behind a row's end, shape [rows, symbols].
            tempo: How many times as fast as usual, shape [rows]; by default 1.
            speaker: Numbers, shape [rows].
            mel: The sound itself, shape [rows, frames, bands]; of training alone.
            frames: Of it, shape [rows].
        """
        there = (tokens > 0)[..., None].to(self.mel.weight.dtype)
        voice = self.speakers.weight[:1] if speaker is None else self.speakers(speaker)
        x = self.symbols(tokens) + voice[:, None]
        for block in self.encoder:
            x = block(x, there)
        x = self.said(x)
        logarithms = self.lasts(x)[..., 0]
        if mel is None:
            pace = 1.0 if tempo is None else tempo[:, None]
            lasting = (logarithms.clamp(0.0, LONGEST).exp() / pace).round().clamp(min=1).long() * (tokens > 0)
            said, count = unrolled(x, lasting)
            return {"mel": self._frames(said, count, voice), "frames": count}
        means = self.prior(x) * SPREAD + MIDDLE
        lasting = durations(likelihoods(means, mel), (tokens > 0).sum(1), frames)
        said, count = unrolled(torch.cat([x, means], 2), lasting)
        said, average = said.split([x.shape[2], means.shape[2]], 2)
        learned = {"log_durations": logarithms, "durations": lasting, "average": average}
        return {"mel": self._frames(said, count, voice), "frames": count, **learned}

    def _frames(self, x: torch.Tensor, count: torch.Tensor, voice: torch.Tensor) -> torch.Tensor:
        there = present(count, x)
        x = x + voice[:, None]
        for block in self.decoder:
            x = block(x, there)
        return self.mel(self.heard(x)) * SPREAD + MIDDLE


def parallel(
    symbols: int,
    speakers: int = 0,
    bands: int = 40,
    width: int = 128,
    encoder: int = 2,
    decoder: int = 4,
    dropout: float = 0.1,
) -> nn.Module:
    """An acoustic model.

    Args:
        symbols: What texts are made of, with 2 for what is no symbol and for both ends.
        speakers: Who speaks.
        bands: Of mel.
        width: Of its layers.
        encoder: Layers.
        decoder: Layers.
        dropout: Share of a layer's answers that is dropped in training.
    """
    return Parallel(symbols, speakers, bands, width, encoder, decoder, dropout)
