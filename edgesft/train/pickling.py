"""Objects of this process as bytes for another one, models and functions of the user's own modules included."""

from __future__ import annotations

import inspect
import io
import pickle
from typing import Any

from torch import nn
from transformers.utils import output_capturing

from edgesft.tasks.models import factory

HOOK = "install_output_capuring_hook.<locals>.output_capturing_hook"
"""What transformers leaves, spelt so, on a model that was asked for its hidden states; pickle does not know it."""


def pack(content: Any) -> memoryview:
    """An object that can be pickled, with what the other process must know before.

    transformers notes the classes that it has made a model of, and reads there which outputs such a model has.
    """
    file = io.BytesIO()
    # A pickle of its own: the other one can be read when these modules are imported.
    pickle.dump((factory.loaded(), dict(output_capturing._CAN_RECORD_REGISTRY)), file)
    _Pickler(file).dump(content)
    return file.getbuffer()


def unpack(data: memoryview) -> Any:
    """What was packed, by ourselves: a pickle can do anything.

    Raises:
        InputError: A module of the user's own is not here.
    """
    file = io.BytesIO(data)
    modules, outputs = pickle.load(file)  # noqa: S301
    for name, folder in modules.items():
        factory.function(name, folder, "model.factory")
    output_capturing._CAN_RECORD_REGISTRY.update(outputs)
    return pickle.load(file)  # noqa: S301


class _Pickler(pickle.Pickler):
    def reducer_override(self, found: Any) -> Any:
        if getattr(found, "__qualname__", "") == HOOK:
            held = inspect.getclosurevars(found).nonlocals
            return _hook, (held["key"], held["index"], held["capture_initial_hidden_state"])
        return NotImplemented


def _hook(key: str, index: int, initial: bool) -> Any:
    module = nn.Identity()
    output_capturing.install_output_capuring_hook(module, key, index, initial)
    return next(iter(module._forward_hooks.values()))
