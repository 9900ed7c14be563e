"""The model of a recipe: a name, your own Python function, or an existing ONNX file."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from edgesft.spec.base import Spec

NAME = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class FactorySpec(Spec):
    """A Python function that makes the model, and how it is trained. For arrays, pictures and sounds."""

    factory: str = Field(pattern=NAME)
    """`module:function`. The function returns an `nn.Module` that takes the inputs by name and returns scores."""
    arguments: dict[str, Any] = {}
    """Keyword arguments of the function. If one is called `layers` and is the length of an `nn.ModuleList`, `distill`
    can keep some of the layers."""
    weights: str | None = None
    """Safetensors file with the weights. By default training starts from the weights that the function returns."""
    path: str | None = None
    """Folder to import the module from. By default the recipe's."""
    inputs: tuple[str, ...] = Field(("x",), min_length=1)
    """Names of the inputs. For arrays they are columns of the rows; pictures and sounds have one."""
    states: dict[str, tuple[int, ...]] = {}
    """For a model that processes one frame after another: name of each state → its shape without the batch axis."""
    loss: str = "auto"
    """cross_entropy, mse, l1, huber, or `module:function` of (scores, labels); `auto` is cross_entropy for classes, mse
    for numbers. Only for arrays."""
    metric: str = "accuracy"
    """accuracy, r2, or `module:function` of (predictions, references) with a result in [0, 1], higher being better.
    Only for arrays."""


class OnnxSpec(Spec):
    """An existing ONNX file. It can be measured, compressed further and gated, but not trained."""

    onnx: str
    """The file, or its folder, such as one that Olive or Optimum wrote."""
    states: dict[str, str] = {}
    """Input → output that is fed back into it at the next inference."""
    constants: dict[str, int | float | bool | list[int] | list[float]] = {}
    """Input → its constant value, such as a sample rate. It is built into the file."""
    names: dict[str, str] = {}
    """Name of an input or output here → its name in the file, if they differ: `{logits: scores}`."""
    labels: tuple[str, ...] = ()
    """Classes in the order of the file's scores. By default from a configuration next to the file."""
    processor: str | None = None
    """Where to find its tokenizer or preprocessor: a folder, hub id or `pkg://package/path`. By default next to the
    file."""
    metric: str = "accuracy"
    """For arrays: accuracy, r2, or `module:function` of (predictions, references) with a result in [0, 1]."""


ModelSpec = str | FactorySpec | OnnxSpec
"""A name, a function that makes the model, or an existing ONNX file."""
