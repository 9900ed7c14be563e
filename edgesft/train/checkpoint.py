"""A model's folder: configuration, weights, processor, contract, and the widths the configuration does not tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from edgesft.errors import InputError
from edgesft.store.store import write_json
from edgesft.tasks.base import Task
from edgesft.tasks.contract import Contract
from edgesft.train import widths

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
WIDTHS = "widths.json"
CONTRACT = "contract.json"


def save(model: nn.Module, folder: Path, processor: Any, contract: Contract) -> None:
    """Writes a model so that `load` gives it back; the same model gives the same bytes.

    Args:
        model: Has a `config` that its class builds it from, but for widths and ties, which are recorded.
        folder: Made if it is not there.
        processor: What the task encodes with.
        contract: What device code must know.
    """
    folder.mkdir(parents=True, exist_ok=True)
    processor.save_pretrained(folder)
    write_json(folder / CONFIG, _configuration(model))
    write_json(folder / CONTRACT, contract.to_json())
    if found := widths.record(model):
        write_json(folder / WIDTHS, found)
    write_weights(model, folder / WEIGHTS)


def load(folder: Path, task: Task) -> nn.Module:
    """The model that `save` wrote, in evaluation mode.

    Raises:
        InputError: A file is missing or damaged, or the files do not belong together.
    """
    contract = Contract.from_json(_read(folder / CONTRACT))
    model = task.build_model(_read(folder / CONFIG), contract)
    found = _read(folder / WIDTHS) if (folder / WIDTHS).is_file() else {}
    widths.fit(model, read_weights(folder / WEIGHTS), found)
    return model.eval()


def write_weights(module: nn.Module, path: Path) -> None:
    """Every parameter and persistent buffer of a module as safetensors, tied ones once, under the first name."""
    again = widths.ties(module)
    state = {name: tensor for name, tensor in module.state_dict().items() if name not in again}
    # safetensors writes several metadata entries in a random order: one entry keeps the bytes the same.
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}, path, {"format": "pt"})


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file.

    Raises:
        InputError: The file is missing, cut short or damaged.
    """
    try:
        state: dict[str, torch.Tensor] = load_file(path)
    except FileNotFoundError as error:
        raise InputError(f"model: must have the file '{path}', which is missing", _again(path)) from error
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"model: '{path}' must be whole safetensors, got a damaged file ({error})", _again(path)
        ) from error
    # The file is mapped into memory, at whatever address its header leaves. In memory of their own, which torch aligns,
    # the same weights give the same answers to the bit wherever they come from.
    return {name: tensor.clone() for name, tensor in state.items()}


def restore_weights(module: nn.Module, path: Path) -> None:
    """Puts the tensors that `write_weights` wrote of this very module back in place.

    Raises:
        InputError: The file is missing, cut short or damaged.
    """
    state = read_weights(path)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name in state:
                tensor.copy_(state[name])


def _configuration(model: nn.Module) -> dict[str, Any]:
    """The model's configuration in full, so that a library's new defaults do not change it; without where it lay."""
    config: dict[str, Any] = model.config.to_dict()
    config.pop("_name_or_path", None)
    return dict(sorted({**config, "architectures": [type(model).__name__]}.items()))


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"model: must have the file '{path}', which is missing", _again(path)) from error
    except ValueError as error:
        raise InputError(f"model: '{path}' must be JSON, got a damaged file ({error})", _again(path)) from error
    if not isinstance(found, dict):
        raise InputError(f"model: '{path}' must hold a JSON object, got {type(found).__name__}", _again(path))
    return found


def _again(path: Path) -> str:
    """What to try when a file of a model's folder is damaged: what the store finished, it does not make again."""
    return f"delete the folder '{path.parent.parent}', then run the same command again"
