"""Modules such as a user would bring; tests name them in recipes as `nets:…`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edgesft.tasks import alignment


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(functional.gelu(self.up(self.norm(x))))


class Net(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Linear(6, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(2))
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.stem(x)
        for block in self.blocks:
            found = block(found)
        return self.head(found)


def make(width: int = 16, classes: int = 2) -> nn.Module:
    return Net(width, classes)


class Image(nn.Module):
    """A convolution, a residual branch, a depthwise and a pointwise one."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.first = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(2 * width, width, 3, padding=1), nn.BatchNorm2d(width))
        self.deep = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=width), nn.BatchNorm2d(width))
        self.point = nn.Sequential(nn.Conv2d(width, 2 * width, 1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.head = nn.Linear(2 * width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.stem(x)
        found = self.point(self.deep(functional.relu(found + self.second(self.first(found)))))
        return self.head(found.mean((2, 3)))


def image(width: int = 16, classes: int = 2) -> nn.Module:
    return Image(width, classes)


class Enhancer(nn.Module):
    """A recurrent mask on spectra, which goes from frame to frame."""

    def __init__(self, bins: int, width: int) -> None:
        super().__init__()
        self.states = {"hidden": (width,), "cell": (width,)}
        self.recurrent, self.mask = nn.LSTM(bins, width, batch_first=True), nn.Linear(width, bins)

    def forward(
        self, frames: torch.Tensor, hidden: torch.Tensor | None = None, cell: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        level = (frames.square().sum(-1) + 1e-6).log()
        before = None if hidden is None else (hidden[None], cell[None])
        found, (hidden, cell) = self.recurrent(level / 4, before)
        return frames * torch.sigmoid(self.mask(found))[..., None], hidden[0], cell[0]


def enhancer(bins: int = 257, width: int = 24) -> nn.Module:
    return Enhancer(bins, width)


class Speaking(nn.Module):
    """The probability of speech, by the loudness of samples."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.states = {"hidden": (width,)}
        self.recurrent, self.last = nn.GRU(1, width, batch_first=True), nn.Linear(width, 1)

    def forward(self, frames: torch.Tensor, hidden: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        level = (frames.square().mean(-1, keepdim=True) + 1e-6).log()
        found, hidden = self.recurrent(level / 4 + 1, None if hidden is None else hidden[None])
        return torch.sigmoid(self.last(found)), hidden[0]


def speaking(width: int = 8) -> nn.Module:
    return Speaking(width)


class Detector(nn.Module):
    """A grid of 8 by 8 places on a picture of 32 by 32, each with scores and a box about itself."""

    def __init__(self, classes: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.deep = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.ReLU()
        )
        self.wide = nn.Sequential(nn.Conv2d(2 * width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.head = nn.Conv2d(2 * width, classes + 4, 3, padding=1)
        nn.init.constant_(self.head.bias[:classes], -3.0)
        ticks = (torch.arange(8) + 0.5) / 8
        places = torch.stack(torch.meshgrid(ticks, ticks, indexing="xy"), 2).reshape(64, 2)
        self.register_buffer("places", places, persistent=False)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        found = self.head(self.wide(self.deep(self.stem(x)))).flatten(2).transpose(1, 2)
        scores, offsets, sides = found.split([self.classes, 2, 2], 2)
        return {"logits": scores, "pred_boxes": torch.cat([self.places + offsets.tanh() / 4, sides.sigmoid()], 2)}


def detector(classes: int = 2, width: int = 16) -> nn.Module:
    return Detector(classes, width)


class Painter(nn.Module):
    """Says what of a small picture is noise, told how much there is."""

    def __init__(self, channels: int, width: int, classes: int) -> None:
        super().__init__()
        self.time, self.label = nn.Linear(1, width), nn.Embedding(max(classes, 1), width)
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU())
        self.head = nn.Conv2d(2 * width, channels, 3, padding=1)

    def forward(self, noisy: torch.Tensor, time: torch.Tensor, label: torch.Tensor | None = None) -> torch.Tensor:
        told = self.time(time[:, None] / 1000)
        told = told if label is None else told + self.label(label)
        return self.head(self.deep(self.stem(noisy) + told[..., None, None]))


def painter(channels: int = 3, width: int = 16, classes: int = 0) -> nn.Module:
    return Painter(channels, width, classes)


class Coder(nn.Module):
    """An autoencoder of small pictures."""

    def __init__(self, shape: tuple[int, ...], width: int, latent: int) -> None:
        super().__init__()
        self.shape, numbers = shape, int(np.prod(shape))
        self.first = nn.Sequential(nn.Conv2d(shape[0], width, 3, 2, 1), nn.ReLU(), nn.Flatten())
        self.mean, self.spread = (nn.Linear(width * shape[1] * shape[2] // 4, latent) for _ in range(2))
        self.last = nn.Sequential(nn.Linear(latent, 4 * width), nn.ReLU(), nn.Linear(4 * width, numbers), nn.Tanh())

    def encode(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = self.first(pixels)
        return self.mean(found), self.spread(found)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        return self.last(latent).unflatten(1, self.shape)


def coder(shape: Sequence[int] = (3, 12, 12), width: int = 16, latent: int = 16) -> nn.Module:
    return Coder(tuple(shape), width, latent)


def flat() -> nn.Module:
    """No generator: it gives a number a row."""
    return nn.Sequential(nn.Flatten(), nn.Linear(432, 1))


class Reader(nn.Module):
    """Says symbols in tones that it learns: what each sounds like on average, and a layer over the frames."""

    def __init__(self, symbols: int, speakers: int, bands: int, width: int) -> None:
        super().__init__()
        self.symbols, self.speakers = nn.Embedding(symbols, width), nn.Embedding(speakers, width)
        self.said, self.lasts = nn.Linear(width, width), nn.Linear(width, 1)
        self.average, self.mel = nn.Linear(width, bands), nn.Linear(width, bands)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(
        self,
        tokens: torch.Tensor,
        tempo: torch.Tensor | None = None,
        speaker: torch.Tensor | None = None,
        mel: torch.Tensor | None = None,
        frames: torch.Tensor | None = None,
    ) -> dict[str, torch.Tensor]:
        x = self.said(self.symbols(tokens) + (0 if speaker is None else self.speakers(speaker)[:, None])).relu()
        logarithms, means = self.lasts(x)[..., 0] + 2.0, 4 * self.average(x) - 4
        if mel is not None:
            lasting = alignment.durations(alignment.likelihoods(means, mel), (tokens > 0).sum(1), frames)
        else:
            pace = 1.0 if tempo is None else tempo[:, None]
            lasting = (logarithms.clamp(0.0, 4.0).exp() / pace).round().clamp(min=1).long() * (tokens > 0)
        said, count = alignment.unrolled(torch.cat([x, means], 2), lasting)
        said, average = said.split([x.shape[2], means.shape[2]], 2)
        found = {"mel": 4 * self.mel(said + self.down(self.up(said).relu())) - 4, "frames": count}
        if mel is None:
            return found
        return {**found, "log_durations": logarithms, "durations": lasting, "average": average}


def reader(symbols: int = 6, speakers: int = 2, bands: int = 80, width: int = 32) -> nn.Module:
    return Reader(symbols, speakers, bands, width)


def broken() -> nn.Module:
    raise ValueError("out of paper")


def number() -> int:
    return 3


def focal(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    chance = functional.log_softmax(scores, dim=-1).gather(1, labels[:, None])[:, 0]
    return (-((1 - chance.exp()) ** 2) * chance).mean()


def hits(predictions: np.ndarray, references: np.ndarray) -> float:
    return float((predictions.argmax(axis=1) == references).mean())
