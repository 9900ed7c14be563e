"""A model of a bundle, what it is for, and which one a device takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from edgesft.ship.finding import Finding, RefusedError
from edgesft.ship.shape import NATURAL, POSITIVE, Each, wrong

Form = Literal["onnx", "ort", "context"]
"""An ONNX file; ORT's own format, which reduced builds read; ONNX around what a provider compiled before."""

ANY = "*"
"""Stands for every provider."""

VERSION = re.compile(r"\d+(\.\d+){1,3}")

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Of a bundle, and of a variant."""

AXES = Each(Each(str, re.compile(r"\d{1,2}")))

SHAPE = {
    "name": NAME,
    "file": str,
    "files": [str],
    "form": set(get_args(Form)),
    "precision": str,
    "golden": str,
    "providers": [str],
    "runtime": VERSION,
    "architectures": [str],
    "memory_bytes": NATURAL,
    "static": bool,
    "fixed": ({}, {"sizes": Each(POSITIVE), "inputs": AXES, "outputs": AXES}),
}


@dataclass(frozen=True)
class Device:
    """What a selector must know of a device.

    Attributes:
        providers: Execution providers, as ONNX Runtime spells them, the best first.
        runtime: Version of its ONNX Runtime.
        architecture: As its system names it: `x86_64`, `aarch64`, …
        memory_bytes: What the application may use.
        forms: What its ONNX Runtime reads: a reduced build reads `ort` alone.
        static: Providers that need models without free axes.
    """

    providers: Sequence[str]
    runtime: str
    architecture: str = ""
    memory_bytes: int | None = None
    forms: Sequence[str] = ("onnx", "ort")
    static: Sequence[str] = ()


@dataclass(frozen=True)
class Variant:
    """A model of a bundle.

    Attributes:
        name: Of the variant.
        file: What a runtime loads.
        files: All that it loads with it, `file` first.
        form: How it is written.
        precision: What its numbers are, as `results.json` says it.
        golden: Which outputs of the golden rows are its own.
        providers: Execution providers that it is for, or `*`.
        runtime: Least version of ONNX Runtime.
        architectures: Of the processors that it is for; empty for all.
        memory_bytes: Least memory that the application may use, as measured; 0 where it was not.
        static: Whether no axis is free.
        fixed: Axes that were free, as `edgesft.fixed` in the file's metadata has them; empty where none was.
    """

    name: str
    file: str
    files: tuple[str, ...]
    form: Form
    precision: str
    golden: str
    providers: tuple[str, ...]
    runtime: str
    architectures: tuple[str, ...] = ()
    memory_bytes: int = 0
    static: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `from_json`."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}

    @classmethod
    def from_json(cls, said: Any) -> Variant:
        """Inverse of `to_json`; nothing in it is trusted.

        Raises:
            RefusedError: A key is missing, unknown or of another type.
        """
        if found := list(wrong(said, SHAPE, "variants")):
            raise RefusedError([_finding(each) for each in found])
        if said["files"][:1] != [said["file"]]:
            raise RefusedError(_finding(f"variants.files must begin with '{said['file']}', got {said['files']}"))
        axes = {
            name
            for places in ("inputs", "outputs")
            for each in said["fixed"].get(places, {}).values()
            for name in each.values()
        }
        if not axes <= set(said["fixed"].get("sizes", {})) or (said["fixed"] and not said["static"]):
            message = f"variants.fixed must have a size for each axis, of a static variant, got {said['fixed']}"
            raise RefusedError(_finding(message))
        read: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
        return cls(**read)

    def fits(self, device: Device, provider: str) -> bool:
        """Whether a device can run it on one of its providers."""
        return (
            (provider in self.providers or ANY in self.providers)
            and self.form.replace("context", "onnx") in device.forms
            and version(device.runtime) >= version(self.runtime)
            and (not self.architectures or device.architecture in self.architectures)
            and (device.memory_bytes is None or device.memory_bytes >= self.memory_bytes)
            and (self.static or provider not in device.static)
        )


def select(variants: Sequence[Variant], device: Device) -> tuple[Variant, str] | None:
    """The model that a device takes, and the provider that runs it; None where there is none.

    The device's providers are gone through in its order, and for each the variants in the bundle's; the first that
    fits is taken. A variant for every provider (`*`) counts only where none is for a provider of the device.
    """
    for wanted in (True, False) if variants else ():
        for provider in device.providers:
            for variant in variants:
                if (provider in variant.providers) == wanted and variant.fits(device, provider):
                    return variant, provider
    return None


def version(text: str) -> tuple[int, ...]:
    """A version as numbers that compare; what follows them (`rc1`, `+cpu`) does not count."""
    return tuple(int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3])


def _finding(message: str) -> Finding:
    return Finding(message, "pack the run again", "manifest.json", "manifest")
