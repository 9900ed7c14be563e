"""From what a person writes to a provider, and whether a device has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgesft.errors import InputError, UnavailableError
from edgesft.measure.devices import HERE, Device
from edgesft.measure.driver import Agent
from edgesft.measure.providers.known import NO_PROVIDER, PROVIDERS
from edgesft.measure.providers.options import wrong_options, wrong_session
from edgesft.measure.providers.provider import SUFFIX
from edgesft.spec.problems import nearest
from edgesft.spec.profile import ProfileSpec

ALL = "all"
"""On the command line: every provider there is."""


def resolve(name: str) -> str:
    """A provider's name as ONNX Runtime spells it, from that or a short form in any case: `cpu`, `Tensorrt`, `dml`.

    Raises:
        InputError: There is no such provider; near ones are named.
    """
    shorts = {provider.short: provider.name for provider in PROVIDERS.values()}
    found = shorts.get(name.lower().removesuffix(SUFFIX.lower()))
    if name.lower() in NO_PROVIDER:
        raise InputError(f"provider must be one that ONNX Runtime has, got {name!r}", NO_PROVIDER[name.lower()])
    if found is None:
        raise InputError(f"provider must be one that ONNX Runtime knows, got {name!r}", nearest(name.lower(), shorts))
    return found


def available(device: Device = HERE) -> tuple[str, ...]:
    """Providers that the onnxruntime of a device can be asked for; being listed is not yet starting.

    Raises:
        MeasureError: The device cannot be reached, or has no onnxruntime.
    """
    with Agent(device=device) as agent:
        return tuple(agent.info()["providers"])


def lacking(name: str, info: Mapping[str, Any]) -> str | None:
    """Why a device cannot be asked for a provider; None where it can.

    Args:
        name: The provider, as ONNX Runtime spells it.
        info: What the device's agent tells.
    """
    if name in info["providers"]:
        return None
    if broken := info.get("broken", {}).get(name):
        return str(broken)
    known = PROVIDERS.get(name)
    system = info["machine"].get("system") if "machine" in info else None
    why = f"provider {name} must be one of this onnxruntime {info['runtime']}, which has {', '.join(info['providers'])}"
    if known and system and system not in known.systems:
        return f"{why}; it exists for {', '.join(known.systems)} and not for {system}"
    return f"{why}; to get it: {known.install}" if known else why


def require(profile: ProfileSpec, device: Device = HERE) -> None:
    """Checks that the profile's first provider, the one that is measured, can be asked for, and so are its options.

    Raises:
        InputError: An option is wrong.
        UnavailableError: It cannot; says what to install.
        MeasureError: The device cannot be reached, or has no onnxruntime.
    """
    if problems := [*wrong_options(profile.providers[0]), *wrong_session(profile.session)]:
        raise InputError(problems)
    asked = profile.providers[0].name
    found = available(device)
    if asked not in found:
        known = PROVIDERS.get(asked)
        raise UnavailableError(
            f"profile '{profile.name}' must be measured on {asked}, and onnxruntime here has only {', '.join(found)}",
            known.install if known else f"an onnxruntime build that has {asked}, spelled as ONNX Runtime spells it",
        )
