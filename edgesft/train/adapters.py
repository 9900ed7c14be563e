"""Low-rank adapters (LoRA, Hu et al. 2021, arXiv 2106.09685) through PEFT: trained, then merged into the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from edgesft.errors import InputError, UnavailableError
from edgesft.spec.training import ResolvedTraining
from edgesft.tasks.models.pretrained import quiet
from edgesft.train.depth import depths


@contextmanager
def adapted(model: nn.Module, settings: ResolvedTraining, seed: int) -> Iterator[None]:
    """While open, and where the settings say so, adapters of the linear layers train and the head, nothing else.

    On leaving, the adapters are added to the weights they are of: the model has the modules that it had before.

    Args:
        model: Has a list of layers; what lies behind it is the head.
        settings: `unfreeze: lora`, `lora_rank`, `lora_alpha`.
        seed: Of the adapters' first weights; their product is 0 then, so that the model answers as before.

    Raises:
        InputError: The model has no such list, or no linear layer in it.
        UnavailableError: PEFT is not installed.
    """
    if settings.unfreeze != "lora":
        yield
        return
    known = depths(model)
    highest = max(known.values())
    _inject(model, [name for name in _linears(model) if 0 < known.get(f"{name}.weight", 0) < highest], settings, seed)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(".lora_" in name or known.get(name) == highest)
    try:
        yield
    finally:
        merge(model)


def _linears(model: nn.Module) -> list[str]:
    """Names of the linear layers; those of GPT-2 are of a class of their own, whose weights stand the other way."""
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D)]


def _inject(model: nn.Module, targets: list[str], settings: ResolvedTraining, seed: int) -> None:
    if not targets:
        raise InputError("unfreeze: lora needs linear layers, got a model without", "unfreeze: all")
    try:
        with quiet():
            from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UnavailableError("unfreeze: lora needs PEFT", "pip install 'edgesft[lora]'") from error
    torch.manual_seed(seed)
    turned = isinstance(model.get_submodule(targets[0]), Conv1D)
    options = LoraConfig(
        r=settings.lora_rank, lora_alpha=settings.lora_alpha, target_modules=targets, fan_in_fan_out=turned
    )
    inject_adapter_in_model(options, model)


def merge(model: nn.Module) -> None:
    """Adds adapters to the weights that they are of, and takes them out of the model."""
    from peft.tuners.lora import LoraLayer

    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLayer):
            module.merge(safe_merge=True)
            above, _, own = name.rpartition(".")
            setattr(model.get_submodule(above), own, module.get_base_layer())
