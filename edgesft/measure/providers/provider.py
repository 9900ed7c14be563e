"""What is known of an execution provider without asking a runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

SUFFIX = "ExecutionProvider"

Int8 = Literal["dynamic", "u8s8", "s8s8", "u16u8", "u8u8"]
"""What a provider's 8-bit kernels take: weights with activations that are quantized as they come; QDQ with unsigned
activations and signed weights; with both signed and symmetric; or every operator quantized, with unsigned weights and
activations of 16 or 8 bits."""

Values = tuple[str, ...] | None
"""Values that an option takes; None for any."""


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    Attributes:
        name: As ONNX Runtime spells it.
        install: Where it comes from.
        systems: Operating systems that it exists for, as Python's `platform.system` names them.
        static_shapes: It takes no nodes with free axes (ONNX Runtime's documentation, "Generator dynamic input shapes
            fixed", and that of QNN).
        int8: What its 8-bit kernels take, the best for transformers first, and for convolutions last; empty where 8
            bits gain nothing on it.
        fp16: Whether it computes in 16-bit floats.
        halves: Whether it computes models of 32-bit floats in 16 bits, too.
        int4: Whether it computes with weights of 4 bits (MatMulNBits).
        context: Whether it can be given what was compiled before (EPContext).
        chip: Option that names the chip that it compiles for; empty where none is known here.
        options: Option → values it takes. None where not all of them are known, and no option is checked.
        defaults: Options that are taken where the person gives none of that name.
        note: What else a person must know.
    """

    name: str
    install: str
    systems: tuple[str, ...] = ("Linux", "Windows", "Darwin")
    static_shapes: bool = False
    int8: tuple[Int8, ...] = ()
    fp16: bool = False
    halves: bool = False
    int4: bool = False
    context: bool = False
    chip: str = ""
    options: Mapping[str, Values] | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def short(self) -> str:
        """Its name on the command line, such as `cpu`."""
        return self.name.removesuffix(SUFFIX).lower()

    @property
    def takes(self) -> tuple[str, ...]:
        """What it is good for, in words."""
        words = ["fixed shapes"] if self.static_shapes else []
        words += [f"int8 {form}" for form in self.int8]
        words += ["fp16"] if self.fp16 else []
        words += ["4-bit weights"] if self.int4 else []
        return (*words, *(["compiled ahead of time"] if self.context else []))
