"""What `import edgesft` offers: runs, the other commands as functions, and their results."""

from edgesft.api.bundles import pack, push, verify
from edgesft.api.documents import Document
from edgesft.api.generation import draw, generate, speak
from edgesft.api.measurements import bench, check, compare
from edgesft.api.recipes import LOG, draft, plan, run
from edgesft.api.results import ProfileResult, Result, write

__all__ = [
    "LOG",
    "Document",
    "ProfileResult",
    "Result",
    "bench",
    "check",
    "compare",
    "draft",
    "draw",
    "generate",
    "pack",
    "plan",
    "push",
    "run",
    "speak",
    "verify",
    "write",
]
