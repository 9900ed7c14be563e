"""What an acoustic model learns by counts what is there, and nothing else."""

from __future__ import annotations

import torch
from torch.nn import functional

from edgesft.tasks.audio.acoustic import VARIANCE, criterion, divergence, told


def answered(frames: int = 4) -> dict[str, torch.Tensor]:
    """Of two rows, the second of which has one frame and one symbol less."""
    torch.manual_seed(0)
    return {
        "mel": torch.randn(2, frames, 3),
        "frames": torch.tensor([frames, frames - 1]),
        "durations": torch.tensor([[1, frames - 1], [frames - 1, 0]]),
        "log_durations": torch.randn(2, 2),
    }


def test_the_loss_is_that_of_what_is_there() -> None:
    outputs, mel = answered(), torch.randn(2, 4, 3)
    frames = torch.cat([(outputs["mel"] - mel)[0], (outputs["mel"] - mel)[1, :3]]).abs().mean()
    lasting = (outputs["log_durations"] - torch.tensor([[1.0, 3.0], [3.0, 1.0]]).log()).square()
    expected = frames + (lasting[0].sum() + lasting[1, 0]) / 3
    torch.testing.assert_close(criterion(outputs, mel), expected)
    with_average = criterion({**outputs, "average": mel + 2}, mel)
    torch.testing.assert_close(with_average - expected, torch.tensor(4 / (2 * VARIANCE)))


def test_padding_does_not_count() -> None:
    """Of a batch that is computed in parts, labels may be longer than any row of a part."""
    outputs, mel = answered(), torch.randn(2, 4, 3)
    longer = functional.pad(mel, (0, 0, 0, 5), value=9.0)
    torch.testing.assert_close(criterion(outputs, longer), criterion(outputs, mel))


def test_a_student_is_as_far_from_its_teacher_as_it_says() -> None:
    ours, theirs, tokens = answered(), answered(), torch.tensor([[1, 2], [1, 0]])
    taught = told(theirs, tokens)
    assert taught.shape == (2, 4, 4) and not taught[1, 3].any() and not taught[1, 1:, 3].any()
    assert divergence(taught, taught) == 0
    ours["mel"] = ours["mel"] + 0.5
    ours["log_durations"] = ours["log_durations"] - 2
    torch.testing.assert_close(divergence(told(ours, tokens), taught), torch.tensor(0.5 + 4.0))
