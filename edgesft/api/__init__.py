"""What `import edgesft` offers: the whole job, its parts, and what came of them."""

from edgesft.api.documents import Document
from edgesft.api.parts import bench, check, compare, draft, plan, push
from edgesft.api.whole import LOG, ProfileResult, Result, draw, generate, pack, run, speak, verify, write

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
