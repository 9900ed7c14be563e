"""edgesft: labelled data and a pretrained model in, a model that provably meets a real-time budget out.

import edgesft

result = edgesft.run("recipe.yaml")
print(result.verdict, result.table())
session = result.model()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgesft.api import ProfileResult, Result, generate, pack, run, verify
    from edgesft.errors import EdgesftError, InputError, UnavailableError

__all__ = [
    "EdgesftError",
    "InputError",
    "ProfileResult",
    "Result",
    "UnavailableError",
    "generate",
    "pack",
    "run",
    "verify",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports on first use, so that `import edgesft` costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module 'edgesft' has no attribute {name!r}")
    from edgesft import api, errors

    return getattr(errors if name.endswith("Error") else api, name)
