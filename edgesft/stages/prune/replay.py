"""Passes through a model that differ only from some module on: what ran before gives again what it gave."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

PLAIN = (torch.Tensor, int, float, str, type(None))
"""What an answer may be made of that is given again."""


@dataclass
class _Call:
    """When a module ran in a pass.

    Attributes:
        began: Calls and returns before it first began.
        ended: The same at its last return.
        again: Whether its answer may be given again without running it: it ran once, said plain values, and left what
            it read as it was.
    """

    began: int
    ended: int = -1
    again: bool = True


class Replay:
    """When the modules of a model run."""

    def __init__(self, model: nn.Module, inputs: Mapping[str, Any]) -> None:
        """Runs the model once.

        Args:
            model: In evaluation mode.
            inputs: A batch of its inputs by name.
        """
        self.model, self._calls = model, dict[str, _Call]()
        names, clock = {module: name for name, module in model.named_modules()}, iter(range(10**9))
        read = dict[str, list[tuple[torch.Tensor, float]]]()

        def begins(module: nn.Module, args: Any, kwargs: Any) -> None:
            name, tick = names[module], next(clock)
            known = self._calls.setdefault(name, _Call(tick))
            known.again &= known.began == tick
            read[name] = [(each, _version(each)) for each in tree_leaves((args, kwargs)) if torch.is_tensor(each)]

        def ends(module: nn.Module, args: Any, kwargs: Any, answer: Any) -> None:
            call, said = self._calls[names[module]], tree_leaves(answer)
            call.ended = next(clock)
            call.again &= all(_version(each) == version for each, version in read.pop(names[module], ()))
            call.again &= all(isinstance(each, PLAIN) for each in said)

        hooks = [module.register_forward_pre_hook(begins, with_kwargs=True) for module in names]
        hooks += [module.register_forward_hook(ends, with_kwargs=True) for module in names]
        _run(model, inputs, hooks)

    def before(self, modules: Collection[str]) -> list[str]:
        """The largest modules that returned before any of these began, and may give their answers again; in no model
        where one of these did not run.
        """
        if not modules or not all(name in self._calls for name in modules):
            return []
        first = min(self._calls[name].began for name in modules)
        found, ended = list[str](), -1
        for name, call in sorted(self._calls.items(), key=lambda item: item[1].began):
            if call.again and ended < call.began and call.ended < first:
                found.append(name)
                ended = call.ended
        return found

    def answers(self, modules: Collection[str], inputs: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """A batch's answer of the model, and those of some modules, as they were when each returned."""
        found = dict[str, Any]()

        def keeping(name: str) -> Any:
            def hook(module: nn.Module, args: Any, answer: Any) -> None:
                found[name] = _copied(answer)

            return hook

        hooks = [self.model.get_submodule(name).register_forward_hook(keeping(name)) for name in modules]
        return _run(self.model, inputs, hooks), found

    @contextmanager
    def given(self, answers: Mapping[str, Any]) -> Iterator[None]:
        """While open, modules give these answers, whatever they read."""
        places = [(self.model.get_submodule(name), answer) for name, answer in answers.items()]
        own = [module.__dict__.get("forward") for module, _ in places]
        try:
            for module, answer in places:
                module.forward = _again(answer)
            yield
        finally:
            for (module, _), forward in zip(places, own, strict=True):
                if forward is None:
                    module.__dict__.pop("forward", None)
                else:
                    module.forward = forward


def _version(tensor: torch.Tensor) -> float:
    """How often it was written to; where torch does not count that, no number, which equals nothing."""
    return math.nan if tensor.is_inference() else tensor._version


def _again(answer: Any) -> Any:
    # Copied each time, for what reads it may write to it.
    return lambda *_, **__: _copied(answer)


def _copied(answer: Any) -> Any:
    return tree_map(lambda each: each.clone() if torch.is_tensor(each) else each, answer)


def _run(model: nn.Module, inputs: Mapping[str, Any], hooks: Sequence[Any]) -> Any:
    try:
        with torch.no_grad():
            return model(**inputs)
    finally:
        for hook in hooks:
            hook.remove()
