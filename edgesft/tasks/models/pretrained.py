"""Loading from checkpoint folders with transformers: quietly, and with errors that a person can act on."""

from __future__ import annotations

import inspect
import logging
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgesft.errors import InputError, Problem
from edgesft.progress import verbose
from edgesft.tasks.models import checkpoint

if TYPE_CHECKING:
    from torch import nn

SHOWN = 3
"""Names listed in a message before it says how many more there are."""


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings, load reports or progress bars from the libraries, unless they are asked for; errors still raise."""
    if verbose():
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        from transformers.utils import logging as chatter

        bars = chatter.is_progress_bar_enabled()
        chatter.disable_progress_bar()
        try:
            yield
        finally:
            if bars:
                chatter.enable_progress_bar()
    finally:
        logging.disable(before)


@contextmanager
def readable_errors(folder: Path) -> Iterator[None]:
    """Turns what transformers, torch and safetensors raise on a bad checkpoint into an InputError."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise InputError(f"model: the weights in {str(folder)!r} are damaged: {error}", checkpoint.AGAIN) from error
    except pickle.UnpicklingError as error:
        raise InputError(
            f"model: the weights in {str(folder)!r} are a pickle that holds more than tensors, or is damaged; "
            "it is not opened, since opening it would run its code",
            "convert it to safetensors where you trust it",
        ) from error
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
        first = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise InputError(f"model: {str(folder)!r} does not load: {first}", checkpoint.AGAIN) from error


def load(auto: Any, folder: Path, labels: Sequence[str], *, trust_remote_code: bool) -> nn.Module:
    """A model with a head for `labels`; parts that the checkpoint lacks are initialised from torch's global seed.

    A head that the checkpoint already has is kept where it has as many outputs; where its labels are ours in another
    order, its rows are put into ours.

    Args:
        auto: One of transformers' Auto classes.
        folder: The checkpoint.
        labels: Class names in the order of the outputs.
        trust_remote_code: Whether the user trusts Python that comes with the checkpoint; it never runs, see
            `checkpoint.remote_code_problem`.

    Raises:
        InputError: The checkpoint is missing, damaged, needs code of its own, or does not fit its configuration.
    """
    import torch

    config = checkpoint.read_config(folder)
    if isinstance(config, Problem):
        raise InputError(config)
    problems = [checkpoint.remote_code_problem(config, trusted=trust_remote_code), *checkpoint.weight_problems(folder)]
    if found := [problem for problem in problems if problem]:
        raise InputError(found)
    with quiet(), readable_errors(folder):
        model, info = auto.from_pretrained(
            folder,
            **label_settings(labels),
            attn_implementation="eager",
            dtype=torch.float32,
            trust_remote_code=False,
            local_files_only=True,
            weights_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    _require_body(model, info, folder)
    _order_head(model, config, labels)
    _plain(model)
    for parameter in model.parameters():
        # Not where the file's header leaves them in a mapped file: which kernel multiplies depends on the address.
        parameter.data = parameter.data.clone()
    return model


def build(auto: Any, config: Mapping[str, Any], labels: Sequence[str]) -> nn.Module:
    """The architecture of a transformers configuration with a head for `labels`, weights uninitialised.

    Args:
        auto: One of transformers' Auto classes.
        config: What `config.json` holds.
        labels: Class names in the order of the outputs; empty where the head does not name its outputs.
    """
    import torch

    with quiet():
        from transformers import AutoConfig
        from transformers.initialization import no_init_weights

        settings = {**config, **label_settings(labels)}
        known = AutoConfig.for_model(settings.pop("model_type"), **settings)
        with no_init_weights():
            model: Any = auto.from_config(known, attn_implementation="eager", dtype=torch.float32)
        model.tie_weights()  # Is left out with the initialisation.
    _plain(model)
    built: nn.Module = model
    return built


def _plain(model: nn.Module) -> None:
    """Weights that are computed from others, as weight normalisation has them, become weights of their own: it is these
    that are shortened, rounded and shipped.
    """
    from torch.nn.utils import parametrize

    for module in list(model.modules()):
        for name in list(getattr(module, "parametrizations", ())):
            parametrize.remove_parametrizations(module, name)  # type: ignore[arg-type]


def auto_class(task: str) -> Any:
    """Transformers' Auto class for a task, by optimum's table of tasks."""
    with quiet():
        from optimum.exporters.tasks import TasksManager

        return TasksManager.get_model_class_for_task(task, framework="pt")


def label_settings(labels: Sequence[str]) -> dict[str, Any]:
    """The entries of a transformers configuration that name the classes; none where there are no names."""
    if not labels:
        return {}
    return {"id2label": dict(enumerate(labels)), "label2id": {label: index for index, label in enumerate(labels)}}


def accepted_inputs(folder: Path, heads: Mapping[str, Any]) -> set[str] | None:
    """Names that the model's forward takes, or None where the folder does not say which model it is.

    Args:
        folder: The checkpoint.
        heads: transformers' mapping of model type to class name.
    """
    import transformers

    config = checkpoint.read_config(folder)
    name = None if isinstance(config, Problem) else heads.get(config.get("model_type", ""))
    return set(inspect.signature(getattr(transformers, name).forward).parameters) if isinstance(name, str) else None


def _require_body(model: Any, info: Mapping[str, Any], folder: Path) -> None:
    """The checkpoint must hold everything but the head; a pooler is part of the head's training in many models."""
    body = "" if model.base_model is model else f"{model.base_model_prefix}."
    missing = sorted(key for key in info["missing_keys"] if key.startswith(body) and "pooler." not in key)
    shapes = sorted(key for key, _, _ in info["mismatched_keys"] if key.startswith(body))
    problems = [
        Problem(
            f"model: {str(folder)!r} {what}: {', '.join(keys[:SHOWN])}"
            + (f" and {len(keys) - SHOWN} more" if len(keys) > SHOWN else ""),
            "the weights and config.json must come from the same model",
        )
        for what, keys in (("lacks weights", missing), ("has weights of other shapes than config.json says", shapes))
        if keys
    ]
    if problems:
        raise InputError(problems)


def _order_head(model: Any, config: Mapping[str, Any], labels: Sequence[str]) -> None:
    """Puts the rows of a head whose labels are ours in another order into our order."""
    import torch

    stored = {str(label): int(index) for index, label in (config.get("id2label") or {}).items()}
    order = [stored[label] for label in labels if label in stored]
    if len(order) != len(labels) or len(stored) != len(labels) or order == list(range(len(labels))):
        return
    body = f"{model.base_model_prefix}."
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith(body) and parameter.shape[0] == len(labels):
                parameter.copy_(parameter[order].clone())
