"""Sound of frames, and how far it is from what it should be, in torch, so that training can follow it. Imports torch.

`edgesft.data.media.frames` puts frames together alike.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from edgesft.data.media.frames import SPECTRUM, Frames

EPS = 1e-8


def joined(frames: Frames, answers: torch.Tensor, samples: int) -> torch.Tensor:
    """The sound that answers make, as `Frames.joined` has it.

    Args:
        frames: How they were cut.
        answers: Shape [rows, count, *shape].
        samples: How many of it are wanted.

    Returns:
        Shape [rows, samples].
    """
    found = answers
    if frames.answers == SPECTRUM:
        found = torch.fft.irfft(torch.view_as_complex(found.contiguous()), n=frames.window)
    found = found * torch.as_tensor(frames.taper, dtype=found.dtype, device=found.device)
    count = found.shape[1]
    size = (1, frames.behind + count * frames.hop)
    whole = functional.fold(found.transpose(1, 2), size, (1, frames.window), stride=(1, frames.hop))[:, 0, 0]
    return whole[:, frames.behind : frames.behind + samples] / frames.gain


def si_sdr(estimate: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Decibels of each row, as `quality.si_sdr` has them; both of shape [rows, samples], silence behind each end."""
    energy = target.square().sum(-1, keepdim=True)
    scaled = (estimate * target).sum(-1, keepdim=True) / (energy + EPS) * target
    wanted, rest = scaled.square().sum(-1), (estimate - scaled).square().sum(-1)
    return 10 * torch.log10((wanted + EPS) / (rest + EPS))
