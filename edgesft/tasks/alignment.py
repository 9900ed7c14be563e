"""Which frames of a sound say which symbol of its text: found without an aligner, and unrolled again. Imports torch.

Building blocks for acoustic models of one's own, and for those in `bench/voices.py`.
"""

from __future__ import annotations

import torch

REACH = 0.2
"""How far from an even pace alignments go unpunished, as a share of the text: g of Tachibana et al. 2017 (arXiv
1710.08969, section 4.1)."""


def likelihoods(prior: torch.Tensor, mel: torch.Tensor) -> torch.Tensor:
    """How well each symbol's mean explains each frame: the logarithm of a Gaussian of variance 1, but for a constant.

    Args:
        prior: What each symbol sounds like on average, shape [rows, symbols, bands].
        mel: Frames, shape [rows, frames, bands].

    Returns:
        Shape [rows, symbols, frames].
    """
    distance = prior.square().sum(2)[:, :, None] + mel.square().sum(2)[:, None] - 2 * prior @ mel.transpose(1, 2)
    return -distance / 2


@torch.no_grad()
def durations(scores: torch.Tensor, symbols: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """How many frames each symbol lasts on the likeliest way through text and sound that goes forward alone, leaves no
    symbol out and gives each frame to one (monotonic alignment search, Kim et al. 2020, arXiv 2005.11129, algorithm 1).

    A weak preference for an even pace (Tachibana et al. 2017) decides where a net that knows nothing yet does not.

    Args:
        scores: As `likelihoods` has them, shape [rows, symbols, frames].
        symbols: Of each row, shape [rows]; what is behind them is padding.
        frames: Of each row, shape [rows]; at least as many as symbols.

    Returns:
        int64 of shape [rows, symbols]; 0 for padding.
    """
    device, scores = scores.device, scores.detach().float().cpu()
    symbols, frames = symbols.cpu(), frames.cpu()
    rows, most, longest = scores.shape
    place, time = torch.arange(most), torch.arange(longest)
    pace = place[None, :, None] / symbols[:, None, None] - time[None, None] / frames[:, None, None]
    scores = scores - pace.square() / (2 * REACH**2)
    best = torch.full((rows, most + 1), -torch.inf)  # One place more in front, from which nothing comes.
    best[:, 1] = scores[:, 0, 0]
    moved = torch.zeros(longest, rows, most, dtype=torch.bool)
    for now in range(1, longest):
        stay, step = best[:, 1:], best[:, :-1]
        moved[now] = step > stay
        best[:, 1:] = torch.maximum(stay, step) + scores[:, :, now]
    found, at, each = torch.zeros(rows, most, dtype=torch.int64), symbols - 1, torch.arange(rows)
    for now in range(longest - 1, -1, -1):
        there = now < frames
        found[each, at] += there.long()
        at = at - (there & moved[now][each, at]).long()
    return found.to(device)


def unrolled(hidden: torch.Tensor, lasting: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each symbol as many times as it lasts (the length regulator of Ren et al. 2019, arXiv 1905.09263).

    By a product with a matrix that compares times with sums of durations: no loop, so that it exports as it is.

    Args:
        hidden: Shape [rows, symbols, width].
        lasting: Frames of each symbol, int64 of shape [rows, symbols]; 0 for padding.

    Returns:
        Shape [rows, frames, width], zeros behind a row's end; and the frames of each row, shape [rows].
    """
    ends = lasting.cumsum(1)
    longest = ends[:, -1].max().item()
    torch._check(longest >= 1)
    times = torch.arange(longest, device=hidden.device)[None, :, None]
    owns = (times < ends[:, None]) & (times >= (ends - lasting)[:, None])
    return owns.to(hidden.dtype) @ hidden, ends[:, -1]


def present(frames: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """1 where a row has frames and 0 behind its end, shape [rows, frames, 1].

    Args:
        frames: Of each row, shape [rows].
        like: What has the frames, shape [rows, frames, …].
    """
    return (torch.arange(like.shape[1], device=like.device)[None] < frames[:, None])[..., None].to(like.dtype)
