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
    "torch-pruning",
    "neural-compressor",
    "torchao",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "numpy",
)
"""Libraries whose version can change what a stage makes."""


def key(facts: Mapping[str, Any]) -> str:
    """32 hexadecimal digits that stand for JSON facts, whatever their order."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def versions() -> dict[str, str]:
    """Installed versions of `VERSIONED` and of edgesft, read without importing them."""
    found = {}
    for name in ("edgesft", *VERSIONED):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
