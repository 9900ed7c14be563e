"""Whether a provider's options are right: ONNX Runtime ignores many a wrong one, and the model runs elsewhere."""

from __future__ import annotations

from edgesft.errors import Problem
from edgesft.measure.agent import captures
from edgesft.measure.providers.known import PROVIDERS
from edgesft.spec.problems import nearest
from edgesft.spec.profile import ProviderSpec


def with_defaults(given: ProviderSpec) -> ProviderSpec:
    """A provider with the options that are taken where the person gives none of that name."""
    provider = PROVIDERS.get(given.name)
    return given.model_copy(update={"options": {**provider.defaults, **given.options}}) if provider else given


def takes_fixed(given: ProviderSpec) -> bool:
    """Whether a provider takes no free axes: it never does, or is asked to capture its work as a graph."""
    provider = PROVIDERS.get(given.name)
    return bool((provider and provider.static_shapes) or captures(given.model_dump()))


def wrong_options(given: ProviderSpec) -> list[Problem]:
    """What is wrong with a provider's options, as far as they are known."""
    provider = PROVIDERS.get(given.name)
    if provider is None or provider.options is None:
        return []
    problems = []
    for name, value in given.options.items():
        if name not in provider.options:
            message = f"option '{name}' must be one of {given.name}, got one that ONNX Runtime may ignore"
            problems.append(Problem(message, nearest(name, provider.options)))
            continue
        allowed = provider.options[name]
        if allowed is not None and value not in allowed:
            message = f"option '{name}' of {given.name} must be {' or '.join(allowed)}, got {value!r}"
            problems.append(Problem(message, provider.note or None))
    return problems
