"""What an acoustic model learns by, what a student learns of it, and whether it is one. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from edgesft.errors import InputError
from edgesft.tasks.alignment import present
from edgesft.tasks.models.own import Own

ANSWERS = ("mel", "frames")
"""What it must give."""

VARIANCE = 16.0
"""About that of logarithms of power in the bands of speech, in whose units the average is learned."""


class Acoustic(Own):
    """Calls an acoustic model that a factory made."""

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """Its answers by name.

        Raises:
            InputError: It does not give `mel` and `frames`.
        """
        outputs = self.model(**inputs)
        if isinstance(outputs, Mapping) and all(isinstance(outputs.get(each), torch.Tensor) for each in ANSWERS):
            return dict(outputs)
        wanted = " and ".join(map(repr, ANSWERS))
        got = ", ".join(map(str, outputs)) if isinstance(outputs, Mapping) else type(outputs).__name__
        raise InputError(
            f"model: {self.config.factory!r} must make a module that returns {wanted} by name, got {got}",
            "the task's documentation gives the shapes",
        )


def masked_mean(values: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Mean over what is there, a scalar; 0 where nothing is.

    Args:
        values: Any shape.
        there: 1 where values count, else 0; of a shape that broadcasts.
    """
    weights = there.expand_as(values)
    return (values * weights).sum() / weights.sum().clamp(min=1)


def criterion(outputs: Mapping[str, torch.Tensor], mel: torch.Tensor) -> torch.Tensor:
    """What an acoustic model minimises: how far its frames are from the sound's, the logarithms of durations from those
    of the alignment, and, where it says what symbols sound like on average, how far the sound is from that.

    The first is the mean absolute difference, as Ren et al. 2020 (arXiv 2006.04558) have it, the others are squares.

    Args:
        outputs: What it answers while it learns, by name.
        mel: Of the sounds, shape [rows, frames, bands].
    """
    # Of a batch that is computed in parts none may be as long as the batch.
    mel = mel[:, : outputs["mel"].shape[1]]
    there, lasting = present(outputs["frames"], mel), outputs["durations"]
    loss = masked_mean((outputs["mel"] - mel).abs(), there)
    spoken = (lasting > 0).to(mel.dtype)
    apart = outputs["log_durations"] - lasting.clamp(min=1).to(mel.dtype).log()
    loss = loss + masked_mean(apart.square(), spoken)
    if "average" in outputs:
        loss = loss + masked_mean((outputs["average"] - mel).square(), there) / (2 * VARIANCE)
    return loss


def told(outputs: Mapping[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """What a student learns of an answer: bands, and in the last column the logarithms of durations; 0 behind the ends
    of both. A sound has at least as many frames as its text has symbols.

    Args:
        outputs: What the model answers while it learns, by name.
        tokens: Of the texts, shape [rows, symbols].

    Returns:
        Shape [rows, frames, bands + 1].
    """
    mel, lasting = outputs["mel"], outputs["log_durations"] * (tokens > 0)
    column = functional.pad(lasting, (0, mel.shape[1] - lasting.shape[1]))[..., None]
    return torch.cat([mel * present(outputs["frames"], mel), column], 2)


def divergence(ours: torch.Tensor, theirs: torch.Tensor) -> torch.Tensor:
    """How far a student is from its teacher, by the differences that `criterion` takes; both as `told` has them."""
    mel, lasting = theirs[..., :-1], theirs[..., -1]
    there = (mel != 0).any(2, keepdim=True).to(mel.dtype)
    apart = (ours[..., -1] - lasting).square()
    return masked_mean((ours[..., :-1] - mel).abs(), there) + masked_mean(apart, (lasting != 0).to(mel.dtype))


def require(model: nn.Module, symbols: int, speakers: int, bands: int) -> None:
    """Lets a model say every symbol, as the last speaker.

    Args:
        model: An acoustic model.
        symbols: Numbers of symbols that there are, those of no symbol and of edges among them.
        speakers: How many; 0 where nobody is named.
        bands: That it must give.

    Raises:
        InputError: It cannot, or gives other shapes.
    """
    given = {"tokens": torch.arange(1, symbols)[None], "tempo": torch.ones(1)}
    given |= {"speaker": torch.tensor([speakers - 1])} if speakers else {}
    hint = "set these numbers in model.arguments, by the names that your factory uses"
    wanted = f"model: must take {symbols} symbols and {speakers} speakers, and give {bands} bands"
    training = model.training
    try:
        with torch.inference_mode():
            found = model.eval()(**given)
    except InputError:
        raise
    except Exception as error:  # A module of the user's own raises whatever it does.
        raise InputError(f"{wanted}, got {type(error).__name__}: {error}", hint) from error
    finally:
        model.train(training)
    mel, frames = (list(found[name].shape) for name in ("mel", "frames"))
    if frames != [1] or mel != [1, int(found["frames"][0]), bands]:
        message = f"{wanted}: mel of shape [1, frames, {bands}] and frames of shape [1], got {mel} and {frames}"
        raise InputError(message, hint)
