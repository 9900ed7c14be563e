"""Which model of a bundle a device takes (export/BUNDLE.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STATIC = ("QNNExecutionProvider", "NnapiExecutionProvider", "CoreMLExecutionProvider", "VitisAIExecutionProvider")
"""Providers that need models without free axes."""


CHIPS = {"QNNExecutionProvider": "soc_model"}
"""Providers that run what was compiled for one chip → their option that names it."""


@dataclass(frozen=True)
class Chip:
    """What a provider runs on.

    Attributes:
        name: As the provider's option spells it.
        sdk: Version of the vendor's libraries that the provider has; empty where nobody knows.
    """

    name: str
    sdk: str = ""


@dataclass(frozen=True)
class Device:
    """What a selector must know of a device.

    Attributes:
        providers: Execution providers, the best first.
        runtime: Version of its ONNX Runtime.
        architecture: Of its processor, as its system names it.
        memory_bytes: What the application may still take; None where nobody knows.
        forms: What its ONNX Runtime reads.
        chips: Provider → what it runs on, where it takes what was compiled before.
        options: Provider → its own options.
    """

    providers: Sequence[str]
    runtime: str
    architecture: str
    memory_bytes: int | None = None
    forms: Sequence[str] = ("onnx", "ort")
    chips: Mapping[str, Chip] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def fits(variant: Mapping[str, Any], device: Device, provider: str) -> bool:
    """Whether a device can run a variant on one of its providers."""
    return (
        (provider in variant["providers"] or "*" in variant["providers"])
        and variant["form"].replace("context", "onnx") in device.forms
        and version(device.runtime) >= version(variant["runtime"])
        and (not variant["architectures"] or device.architecture in variant["architectures"])
        and (device.memory_bytes is None or device.memory_bytes >= variant["memory_bytes"])
        and (variant["static"] or provider not in STATIC)
        and (variant["form"] != "context" or _compiled_for(variant["compiled"], device.chips.get(provider)))
    )


def _compiled_for(said: Mapping[str, str], chip: Chip | None) -> bool:
    """Whether a chip runs what was compiled: the same one, with libraries that are no older."""
    return chip is not None and chip.name == said["chip"] and version(chip.sdk) >= version(said["sdk"])


def select(variants: Sequence[Mapping[str, Any]], device: Device) -> tuple[Mapping[str, Any], str] | None:
    """The variant that a device takes, and the provider that runs it; None where there is none."""
    for named in (True, False):
        for provider in device.providers:
            for variant in variants:
                if (provider in variant["providers"]) == named and fits(variant, device, provider):
                    return variant, provider
    return None


def version(text: str) -> tuple[int, ...]:
    """A version as numbers that compare; what follows them (`rc1`, `+cpu`) does not count."""
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])
