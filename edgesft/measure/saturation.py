"""Where products of 8-bit numbers saturate, and what is done about it.

ONNX Runtime multiplies unsigned activations with signed weights. On x86 without VNNI the instruction for that,
VPMADDUBSW, adds two products in 16 bits, which 255 · 127 · 2 is too much for: sums are cut off and answers are wrong,
silently. With weights of 7 bits they fit; two signed bytes fit as well, but have no fast kernel there (ONNX Runtime's
documentation, "Quantize ONNX models", on S8S8, U8U8 and reduce_range).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

X86 = ("x86_64", "AMD64")

WIDE = ("avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8")
"""Instructions that sum products of bytes in 32 bits."""


def saturates(machine: Mapping[str, Any]) -> bool:
    """Whether products of bytes may saturate on a machine.

    Args:
        machine: Its fingerprint: `architecture` and `instructions`.
    """
    return machine["architecture"] in X86 and not set(WIDE).intersection(machine["instructions"])


def proof(machine: Mapping[str, Any]) -> str:
    """The instructions that int8 answers were computed with, for the receipt."""
    wide = [name for name in WIDE if name in machine["instructions"]]
    return ", ".join(wide) if wide else "none that sums bytes in 32 bits"
