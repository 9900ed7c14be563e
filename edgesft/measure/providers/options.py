"""Whether a provider's options are right: ONNX Runtime ignores many a wrong one, and the model runs elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from edgesft.errors import Problem
from edgesft.measure.agent import captures
from edgesft.measure.providers.known import PROVIDERS, SESSION
from edgesft.measure.providers.provider import Values
from edgesft.spec.problems import nearest
from edgesft.spec.profile import ProviderSpec, SessionSpec


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
    return _wrong("option", given.options, provider.options, given.name, provider.note)


def wrong_session(given: SessionSpec) -> list[Problem]:
    """What is wrong with the entries of a session's configuration: the runtime ignores those that it does not know."""
    return _wrong("session entry", given.entries, SESSION, "a session", "")


def _wrong(kind: str, given: Mapping[str, str], known: Mapping[str, Values], owner: str, note: str) -> list[Problem]:
    problems = []
    for name, value in given.items():
        if name not in known:
            message = f"{kind} '{name}' must be one of {owner}, got one that ONNX Runtime may ignore"
            problems.append(Problem(message, nearest(name, known)))
            continue
        allowed = known[name]
        if allowed is not None and value not in allowed:
            message = f"{kind} '{name}' of {owner} must be {' or '.join(allowed)}, got {value!r}"
            problems.append(Problem(message, note or None))
    return problems
