"""Alignments go forward, leave nothing out, and are the likeliest; what is unrolled lasts as long as they say."""

from __future__ import annotations

import itertools

import pytest
import torch

from edgesft.tasks.alignment import durations, likelihoods, unrolled


def best(scores: torch.Tensor) -> list[int]:
    """The best durations of all that there are."""
    symbols, frames = scores.shape
    found = {}
    for cuts in itertools.combinations(range(1, frames), symbols - 1):
        ends = (0, *cuts, frames)
        found[tuple(b - a for a, b in itertools.pairwise(ends))] = sum(
            float(scores[place, start:stop].sum()) for place, (start, stop) in enumerate(itertools.pairwise(ends))
        )
    return list(max(found, key=lambda lasting: found[lasting]))


@pytest.mark.parametrize(("symbols", "frames"), [(1, 4), (3, 7), (4, 4), (5, 9)])
def test_the_likeliest_of_all_alignments(symbols: int, frames: int) -> None:
    torch.manual_seed(0)
    scores = 100 * torch.randn(1, symbols, frames)  # So much that the preference for an even pace does not count.
    found = durations(scores, torch.tensor([symbols]), torch.tensor([frames]))
    assert found.tolist() == [best(scores[0])]


def test_padding_has_no_frames_and_changes_nothing() -> None:
    torch.manual_seed(0)
    scores = 10 * torch.randn(2, 5, 12)
    both = durations(scores, torch.tensor([5, 3]), torch.tensor([12, 7]))
    alone = durations(scores[1:, :3, :7], torch.tensor([3]), torch.tensor([7]))
    assert both[1].tolist() == [*alone[0].tolist(), 0, 0] and both[0].sum() == 12


def test_who_knows_nothing_goes_at_an_even_pace() -> None:
    found = durations(torch.zeros(1, 4, 20), torch.tensor([4]), torch.tensor([20]))
    assert found.sum() == 20 and found.max() <= 8 and found.min() >= 2


def test_unrolled_is_repeated() -> None:
    hidden = torch.arange(12.0).reshape(2, 3, 2)
    said, frames = unrolled(hidden, torch.tensor([[2, 1, 3], [1, 2, 0]]))
    assert frames.tolist() == [6, 3] and said.shape == (2, 6, 2)
    assert torch.equal(said[0], hidden[0].repeat_interleave(torch.tensor([2, 1, 3]), 0))
    assert torch.equal(said[1, :3], hidden[1].repeat_interleave(torch.tensor([1, 2, 0]), 0)) and not said[1, 3:].any()


def test_likelihoods_are_those_of_a_gaussian() -> None:
    prior, mel = torch.randn(1, 2, 4), torch.randn(1, 3, 4)
    expected = torch.distributions.Normal(prior[:, :, None], 1.0).log_prob(mel[:, None]).sum(3)
    constant = 2 * torch.log(torch.tensor(2 * torch.pi))
    torch.testing.assert_close(likelihoods(prior, mel), expected + constant)
