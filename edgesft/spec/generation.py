"""How pictures are made by a model that generates them: in a recipe and in the contract."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from edgesft.spec.base import Spec

Method = Literal["diffusion", "autoencoder"]
Predicted = Literal["noise", "v"]


class GenerationSpec(Spec):
    """How a model makes pictures, and what they are held against."""

    method: Method = "diffusion"
    """`diffusion`: of noise, which the model takes away step by step; `autoencoder`: of a latent, in one inference."""
    trained: int = Field(1000, ge=2, le=10_000)
    """Diffusion: steps from a picture to noise that the model is trained on."""
    steps: int = Field(50, ge=1, le=10_000)
    """Diffusion: inferences that a picture takes, evenly spaced over those steps; `picture_ms` of a budget counts
    them."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """Diffusion: how fast the noise grows."""
    predicts: Predicted = "noise"
    """Diffusion: what the model is trained to say of a noisy picture: its noise, or v, a mixture of noise and picture
    that means something at every level of noise, and so bears few steps better."""
    latent: int = Field(16, ge=1, le=65_536)
    """Autoencoder: numbers of a latent."""
    deviation: float = Field(0.3, gt=0)
    """Autoencoder: standard deviation that a pixel, as it is fed, has about what is decoded; a smaller one weighs the
    picture more and the latent's distribution less."""
    features: str | None = None
    """ONNX file of a net that tells features of pictures as they are fed, of shape [rows, features]: by these, pictures
    that were made are compared with the rows, as a Fréchet distance."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.steps > self.trained:
            raise ValueError(f"steps must be at most trained, {self.trained}, got {self.steps}")
        return self
