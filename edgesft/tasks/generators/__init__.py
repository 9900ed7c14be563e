"""Models that generate pictures: diffusion and variational autoencoders."""
