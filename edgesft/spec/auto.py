"""What `stages: auto` stands for: the chain that did best in the project's own measurements, for any task and model."""

from __future__ import annotations

from typing import Any, Final

AUTO: Final = "auto"


_PRUNE = {"latency": AUTO, "precision": AUTO, "optimized": True, "vocabulary": AUTO}
"""As far as it holds, and measured in the form that the model will have in the end."""


def stages() -> list[dict[str, Any]]:
    """Stages as a recipe would write them.

    Pruning comes first, for it alone takes out whole parts; then the teacher mends what is left, with all of its
    outputs; int8 comes last, where it costs accuracy that was spared for it, on a graph that says the same in fewer
    operators. `bench/RESULTS.md` has what each bought.
    """
    # What seems best on few rows is so by chance, and what follows is compared with it.
    open_ = {"epochs": AUTO, "learning_rate": AUTO, "selection": "last"}
    taught = {**open_, "token_substitution": AUTO, "flip": AUTO, "shift": AUTO, "mixup": AUTO}
    return [
        {"stage": "finetune", **open_},
        {"stage": "prune", **_PRUNE, "teacher": "finetune", **taught},
        {"stage": "distill", "quantization": AUTO, "mixed_epochs": 2.0, **taught},
        {"stage": "optimize", "precision": AUTO},
        {"stage": "quantize", "scheme": AUTO},
    ]
