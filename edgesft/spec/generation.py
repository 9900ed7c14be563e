"""Settings of image generation, for the recipe and the contract."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from edgesft.spec.base import Spec

Method = Literal["diffusion", "autoencoder"]
Predicted = Literal["noise", "v"]


class GenerationSpec(Spec):
    """How a model generates pictures, and how they are evaluated."""

    method: Method = "diffusion"
    """`diffusion`: starts from noise, which the model removes step by step. `autoencoder`: decodes a random latent
    vector in one inference."""
    trained: int = Field(1000, ge=2, le=10_000)
    """Diffusion: number of noise levels that the model is trained on, from a picture to pure noise."""
    steps: int = Field(50, ge=1, le=10_000)
    """Diffusion: inferences per picture, evenly spaced over the trained steps. The budget's `picture_ms` includes all
    of them."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """Diffusion: how the noise grows over the steps."""
    predicts: Predicted = "noise"
    """Diffusion: what the model predicts from a noisy picture: the noise, or v, a mixture of noise and picture. v is
    informative at every noise level, so it works better with few steps."""
    latent: int = Field(16, ge=1, le=65_536)
    """Autoencoder: size of the latent vector."""
    deviation: float = Field(0.3, gt=0)
    """Autoencoder: assumed standard deviation of a pixel (as fed to the model) around its decoded value. A smaller one
    gives more weight to the picture and less to the latent's distribution."""
    features: str | None = None
    """ONNX file of a network that computes features, of shape [rows, features], from pictures as fed to the model.
    Generated pictures are compared with the rows by the Fréchet distance of these features."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.steps > self.trained:
            raise ValueError(f"steps must be at most trained, {self.trained}, got {self.steps}")
        return self
