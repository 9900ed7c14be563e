"""Modules of the user's own that generate pictures, as they are trained and exported. Imports torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from edgesft.errors import InputError
from edgesft.tasks.generators.autoencoding import LOG_VARIANCE, MEAN, PICTURE, Coding
from edgesft.tasks.generators.diffusion import DENOISED, PREDICTION, Noising
from edgesft.tasks.generators.generator import GENERATION
from edgesft.tasks.models.own import Own, OwnConfig

Answers = dict[str, torch.Tensor]


class MakingConfig(OwnConfig):
    """What the module is made from again, with the contract's options."""

    def __init__(self, factory: str, path: str, arguments: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        super().__init__(factory, path, arguments)
        self.options = dict(options)

    def to_dict(self) -> dict[str, Any]:
        """JSON values, which the constructor takes."""
        return {**super().to_dict(), "options": self.options}


class Denoiser(Own):
    """Calls a module `(noisy, time[, label]) -> what is noise`, and takes the step that follows from its answer."""

    signal: torch.Tensor
    noise: torch.Tensor

    def __init__(self, config: MakingConfig) -> None:
        super().__init__(config)
        processor = Noising(config.options)
        self._says_noise, self._bounds = processor.generation.predicts == "noise", processor.bounds
        for name in ("signal", "noise"):
            factors = torch.from_numpy(getattr(processor.schedule, name)).float()
            self.register_buffer(name, factors, persistent=False)

    def forward(
        self,
        noisy: torch.Tensor,
        time: torch.Tensor,
        next: torch.Tensor | None = None,
        label: torch.Tensor | None = None,
    ) -> Answers:
        """`prediction`; and with `next`, `denoised`: the pictures as they are at that step.

        Raises:
            InputError: The module gives something else than an answer for each number of a picture.
        """
        said = self.model(noisy, time) if label is None else self.model(noisy, time, label)
        _require(said, noisy.shape, self.config)
        if next is None:
            return {PREDICTION: said}
        signal, noise, after, left = (
            table.index_select(0, step).reshape(-1, 1, 1, 1)
            for step in (time, next)
            for table in (self.signal, self.noise)
        )
        clean = (noisy - noise * said) / signal if self._says_noise else signal * noisy - noise * said
        # Pixels have bounds: a picture that is clipped to them, and the noise that follows from it, keep long steps
        # stable.
        clean = clean.clamp(*self._bounds)
        return {DENOISED: after * clean + left * (noisy - signal * clean) / noise, PREDICTION: said}


class Autoencoder(Own):
    """Calls a module's `encode(pixels) -> (mean, log variance)` and `decode(latent) -> pixels`.

    Raises:
        InputError: It lacks one of them.
    """

    def __init__(self, config: MakingConfig) -> None:
        super().__init__(config)
        self._latent = Coding(config.options).start
        if lacking := [name for name in ("encode", "decode") if not callable(getattr(self.model, name, None))]:
            message = f"model.factory: {config.factory!r} must make a module with the methods encode and decode"
            raise InputError(f"{message}, it lacks {', '.join(lacking)}", "encode(pixels) gives mean and log variance")

    def forward(
        self,
        pixels: torch.Tensor | None = None,
        latent: torch.Tensor | None = None,
        chance: torch.Tensor | None = None,
    ) -> Answers:
        """`picture` of latents: with `chance` of those that it draws for the pictures, whose `mean` and `log_variance`
        are told; else of the pictures' means, and of those that are given behind them.

        Raises:
            InputError: The module gives latents or pictures of another shape.
        """
        latents = [] if latent is None else [latent]
        answers: Answers = {}
        if pixels is not None:
            mean, log_variance = self.model.encode(pixels)  # type: ignore[operator]
            _require(mean, (len(pixels), *self._latent), self.config)
            answers = {MEAN: mean, LOG_VARIANCE: log_variance}
            latents.insert(0, mean if chance is None else mean + (log_variance / 2).exp() * chance)
        picture = self.model.decode(torch.cat(latents))  # type: ignore[operator]
        if pixels is not None:
            _require(picture, pixels.shape, self.config)
        return {PICTURE: picture, **answers}


KINDS: Mapping[str, type[Denoiser] | type[Autoencoder]] = {"diffusion": Denoiser, "autoencoder": Autoencoder}


def made(config: OwnConfig, options: Mapping[str, Any]) -> Own:
    """The model that the contract's options are of."""
    kind = KINDS[options[GENERATION]["method"]]
    return kind(MakingConfig(config.factory, config.path, config.arguments, options))


def divergence(outputs: Mapping[str, torch.Tensor], deviation: float) -> torch.Tensor | float:
    """Mean over the rows of the Kullback-Leibler divergence of a latent's distribution from the standard normal one
    (Kingma and Welling 2014, appendix B), in units of the squared error summed over a picture's numbers: those are
    normally distributed with this deviation about what is decoded. 0 where there are no latents.
    """
    if MEAN not in outputs:
        return 0.0
    mean, log_variance = outputs[MEAN].float(), outputs[LOG_VARIANCE].float()
    nats = (log_variance.exp() + mean.square() - 1 - log_variance).sum(1).mean() / 2
    return 2 * deviation**2 * nats


def _require(got: torch.Tensor, wanted: Sequence[int], config: OwnConfig) -> None:
    if not isinstance(got, torch.Tensor) or got.shape[1:] != tuple(wanted[1:]):
        found = f"[rows, {', '.join(map(str, got.shape[1:]))}]" if isinstance(got, torch.Tensor) else type(got).__name__
        message = f"model: {config.factory!r} must make a module that gives a tensor of shape [rows, "
        message += f"{', '.join(map(str, wanted[1:]))}], got {found}"
        raise InputError(message, "data.image says how pictures are read, data.generation.latent how large latents are")
