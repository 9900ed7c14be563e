"""Content keys: the same key means the same bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import metadata
from typing import Any

VERSIONED = (
    "torch",
    "transformers",
    "tokenizers",
    "accelerate",
    "peft",
    "torch-pruning",
    "neural-compressor",
    "torchao",
    "onnx",
    "onnxscript",
    "onnx-ir",
    "onnxruntime",
    "numpy",
)
"""Libraries whose version can change what a stage makes."""


RUNTIMES = (
    *("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino", "onnxruntime-webgpu"),
    *("onnxruntime-directml", "onnxruntime-qnn", "onnxruntime-silicon"),
)
"""Distributions that install the onnxruntime module, as the agent has them, which imports nothing from here."""


def key(facts: Mapping[str, Any]) -> str:
    """32 hexadecimal digits that stand for JSON facts, whatever their order."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def versions() -> dict[str, str]:
    """Installed versions of `VERSIONED` and of edgesft, read without importing them."""
    return {name: _version(name) for name in ("edgesft", *VERSIONED)}


def _version(name: str) -> str:
    for distribution in RUNTIMES if name == RUNTIMES[0] else (name,):
        try:
            found = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
        return found if distribution == name else f"{distribution} {found}"
    return "not installed"
