"""A model of one's own, as a recipe names it."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from edgesft.spec.base import Spec

NAME = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class FactorySpec(Spec):
    """A Python function that makes the model, and what it is trained for. For arrays, pictures and sounds."""

    factory: str = Field(pattern=NAME)
    """`module:function`; the function returns an `nn.Module` that takes the inputs by name and returns scores."""
    arguments: dict[str, Any] = {}
    """Keyword arguments of the function. One called `layers`, the length of an `nn.ModuleList`, lets `distill` keep
    some of them."""
    weights: str | None = None
    """Its weights, a safetensors file; left out, those that the function gives it are trained from."""
    path: str | None = None
    """Folder that the module is imported from; by default the recipe's."""
    inputs: tuple[str, ...] = Field(("x",), min_length=1)
    """Names of the inputs, which are columns of the rows of arrays; of a picture or a sound there is one."""
    states: dict[str, tuple[int, ...]] = {}
    """Of a model that takes one frame after another: name of each state → its shape without the rows' axis."""
    loss: str = "auto"
    """cross_entropy, mse, l1, huber, or `module:function` of (scores, labels); `auto` is cross_entropy for classes, mse
    for numbers. Of arrays alone, as is the metric."""
    metric: str = "accuracy"
    """accuracy, r2, or `module:function` of (predictions, references) with a result in [0, 1], higher being better."""


class OnnxSpec(Spec):
    """A model that others made, as an ONNX file: measured, compressed further and gated, but not trained."""

    onnx: str
    """The file, or the folder that has it, such as what Olive or Optimum wrote."""
    states: dict[str, str] = {}
    """Input → output that becomes its value at the next inference."""
    constants: dict[str, int | float | bool | list[int] | list[float]] = {}
    """Input → what it always is, such as a rate; it is built into the file."""
    names: dict[str, str] = {}
    """What an input or an output is called here → in the file, where that is not the same: `{logits: scores}`."""
    labels: tuple[str, ...] = ()
    """Classes in the order of the file's scores; by default those that a configuration beside the file names."""
    processor: str | None = None
    """Where its tokenizer or its like is: a folder, hub id or `pkg://package/path`; by default around the file."""
    metric: str = "accuracy"
    """Of arrays: accuracy, r2, or `module:function` of (predictions, references) with a result in [0, 1]."""


ModelSpec = str | FactorySpec | OnnxSpec
"""A name, a function that makes the model, or a file of others."""
