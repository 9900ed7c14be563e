"""Networks that make grey pictures of 28 by 28, and one that compares them: recipes name them as `drawing:…`."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

PERIOD = 10_000.0
"""Longest period of a time's sines (Vaswani et al. 2017, arXiv 1706.03762, section 3.5)."""


def _conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after))


class Block(nn.Module):
    """A residual block that is told the time and the class: two convolutions, between which they are added."""

    def __init__(self, width: int, told: int) -> None:
        super().__init__()
        self.first, self.second, self.told = _conv(width, width), _conv(width, width), nn.Linear(told, width)

    def forward(self, x: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """Shape [rows, width, height, width]."""
        found = functional.relu(self.first(x) + self.told(told)[..., None, None])
        return functional.relu(x + self.second(found))


class Unet(nn.Module):
    """Says what of a noisy picture is noise (Ho et al. 2020, arXiv 2006.11239, by far smaller and without attention).

    Pixels are folded by two into channels, so that the largest maps are of 14 by 14; batch normalisations, which go
    into the convolutions of the exported graph, in place of group normalisations.
    """

    def __init__(self, width: int, classes: int, told: int = 64) -> None:
        super().__init__()
        self.half = told // 2
        self.time = nn.Sequential(nn.Linear(told, told), nn.ReLU(), nn.Linear(told, told))
        self.label = nn.Embedding(classes, told)
        self.stem = _conv(4, width)
        self.high = Block(width, told)
        self.down = _conv(width, 2 * width, 2)
        self.low, self.deep = Block(2 * width, told), Block(2 * width, told)
        self.up = _conv(2 * width, width)
        self.join = _conv(2 * width, width)
        self.last = Block(width, told)
        self.head = nn.Conv2d(width, 4, 3, padding=1)

    def forward(self, noisy: torch.Tensor, time: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        """Shape of the pictures, [rows, 1, 28, 28]; `time` and `label` are int64 of shape [rows]."""
        rates = torch.exp(torch.arange(self.half, device=time.device) * (-math.log(PERIOD) / self.half))
        phases = time[:, None].float() * rates
        told = functional.relu(self.time(torch.cat([phases.sin(), phases.cos()], 1)) + self.label(label))
        high = self.high(functional.relu(self.stem(functional.pixel_unshuffle(noisy, 2))), told)
        low = self.low(functional.relu(self.down(high)), told)
        low = functional.relu(self.up(self.deep(low, told)))
        found = functional.relu(self.join(torch.cat([functional.interpolate(low, scale_factor=2.0), high], 1)))
        return functional.pixel_shuffle(self.head(self.last(found, told)), 2)


def unet(width: int = 32, classes: int = 10) -> nn.Module:
    """A net that nobody trained yet."""
    return Unet(width, classes)


class Vae(nn.Module):
    """A variational autoencoder of convolutions (Kingma and Welling 2014, arXiv 1312.6114)."""

    def __init__(self, width: int, latent: int) -> None:
        super().__init__()
        self.width = width
        self.encoder = nn.Sequential(
            *(_conv(1, width, 2), nn.ReLU(), _conv(width, 2 * width, 2), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(2 * width * 49, 256), nn.ReLU()),
        )
        self.mean, self.log_variance = nn.Linear(256, latent), nn.Linear(256, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 256), nn.ReLU(), nn.Linear(256, 2 * width * 49), nn.ReLU())
        self.low, self.high = _conv(2 * width, 4 * width), nn.Conv2d(width, 4, 3, padding=1)

    def encode(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance of each picture's latent, both of shape [rows, latent]."""
        found = self.encoder(pixels)
        return self.mean(found), self.log_variance(found)

    def decode(self, latent: torch.Tensor) -> torch.Tensor:
        """Pictures, shape [rows, 1, 28, 28]."""
        found = self.decoder(latent).unflatten(1, (2 * self.width, 7, 7))
        found = functional.pixel_shuffle(functional.relu(self.low(found)), 2)
        return functional.pixel_shuffle(self.high(found), 2).tanh()


def vae(width: int = 16, latent: int = 16) -> nn.Module:
    """A net that nobody trained yet."""
    return Vae(width, latent)


class Classifier(nn.Module):
    """A small classifier, whose layer before the last tells features."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(_conv(1, 16, 2), nn.ReLU(), _conv(16, 32, 2), nn.ReLU(), nn.Flatten()),
            *(nn.Linear(32 * 49, features), nn.ReLU()),
        )
        self.head = nn.Linear(features, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores, shape [rows, classes]."""
        return self.head(self.body(x))


def classifier(features: int = 64, classes: int = 10) -> nn.Module:
    """A net that nobody trained yet."""
    return Classifier(features, classes)
