"""The training engine that fine-tuning, recovery and distillation share."""

from edgesft.tasks.models.pretrained import quiet

with quiet():
    # Pulls in quantization packages that log what they could not load.
    import transformers.trainer  # noqa: F401
