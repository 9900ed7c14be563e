"""edgesft: labelled data and a pretrained model in, a model that provably meets a real-time budget out.

import edgesft

result = edgesft.run("recipe.yaml")
print(result.verdict, result.table())
session = result.model()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesft.api import (
        Document,
        ProfileResult,
        Result,
        bench,
        check,
        compare,
        draft,
        draw,
        generate,
        pack,
        plan,
        push,
        run,
        speak,
        verify,
    )
    from edgesft.errors import EdgesftError, InputError, UnavailableError
    from edgesft.stages.functions import distill, export, prune, quantize

_PLACES = {
    "edgesft.api": ("Document", "ProfileResult", "Result", "bench", "check", "compare", "draft", "draw", "generate",
                    "pack", "plan", "push", "run", "speak", "verify"),
    "edgesft.errors": ("EdgesftError", "InputError", "UnavailableError"),
    "edgesft.stages.functions": ("distill", "export", "prune", "quantize"),
}  # fmt: skip

__all__ = [
    "Document",
    "EdgesftError",
    "InputError",
    "ProfileResult",
    "Result",
    "UnavailableError",
    "bench",
    "check",
    "compare",
    "distill",
    "draft",
    "draw",
    "export",
    "generate",
    "pack",
    "plan",
    "prune",
    "push",
    "quantize",
    "run",
    "speak",
    "verify",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports on first use, so that `import edgesft` costs nothing."""
    for place, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(place), name)
    raise AttributeError(f"module 'edgesft' has no attribute {name!r}")
