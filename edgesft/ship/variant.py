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

MODEL = "model"
"""The graph that gives the answer; where a model has several, those beside it have names of their own."""

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
    "graphs?": Each(str, NAME),
    "compiled?": {"chip": NAME, "sdk": str, "package": str, "runtime": VERSION},
}


@dataclass(frozen=True)
class Chip:
    """What a provider of a device runs on.

    Attributes:
        name: As the provider's own option spells it, such as `57` of QNN's `soc_model`.
        sdk: Version of the vendor's libraries that the provider has; empty where nobody knows.
    """

    name: str
    sdk: str = ""


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
        chips: Provider → what it runs on, for those that take what was compiled before.
    """

    providers: Sequence[str]
    runtime: str
    architecture: str = ""
    memory_bytes: int | None = None
    forms: Sequence[str] = ("onnx", "ort")
    static: Sequence[str] = ()
    chips: Mapping[str, Chip] = field(default_factory=dict)


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
        graphs: Of a model of several graphs, those beside `model` → what a runtime loads of them, of `files`.
        compiled: Of the form `context`: for which `chip`, by which version of the vendor's `sdk`, by which `package`
            and ONNX `runtime` it was compiled; else empty.
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
    graphs: Mapping[str, str] = field(default_factory=dict)
    compiled: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, str]:
        """Every graph → what a runtime loads of it; `model` is the last."""
        return {**self.graphs, MODEL: self.file}

    def to_json(self) -> dict[str, Any]:
        """JSON form, read back by `from_json`."""
        said = {key: list(value) if isinstance(value, tuple) else value for key, value in vars(self).items()}
        return {key: value for key, value in said.items() if key not in ("graphs", "compiled") or value}

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
        own = [said["file"], *said.get("graphs", {}).values()]
        if MODEL in said.get("graphs", {}) or len(set(own)) != len(own) or not set(own) <= set(said["files"]):
            message = (
                f"variants.graphs must name a file of the variant for each graph but {MODEL}, got {said['graphs']}"
            )
            raise RefusedError(_finding(message))
        axes = {
            name
            for places in ("inputs", "outputs")
            for each in said["fixed"].get(places, {}).values()
            for name in each.values()
        }
        if not axes <= set(said["fixed"].get("sizes", {})) or (said["fixed"] and not said["static"]):
            message = f"variants.fixed must have a size for each axis, of a static variant, got {said['fixed']}"
            raise RefusedError(_finding(message))
        if (said["form"] == "context") != ("compiled" in said):
            message = f"variants.compiled must be there for the form context alone, got the form {said['form']}"
            raise RefusedError(_finding(message))
        if said["form"] == "context" and (len(said["providers"]) != 1 or ANY in said["providers"]):
            message = f"variants.providers must be the one that compiled it, got {said['providers']}"
            raise RefusedError(_finding(message))
        read: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in said.items()}
        return cls(**read)

    def fits(self, device: Device, provider: str) -> bool:
        """Whether a device can run it on one of its providers."""
        return self.misfit(device, provider) is None

    def misfit(self, device: Device, provider: str) -> str | None:
        """Why a device cannot run it on one of its providers; None where it can."""
        if provider not in self.providers and ANY not in self.providers:
            return f"it is for {', '.join(self.providers)}"
        if self.form.replace("context", "onnx") not in device.forms:
            return f"the runtime there reads {', '.join(device.forms)}"
        if version(device.runtime) < version(self.runtime):
            return f"it needs onnxruntime {self.runtime} or newer, got {device.runtime}"
        if self.architectures and device.architecture not in self.architectures:
            return f"it is for {', '.join(self.architectures)}, got {device.architecture or 'none'}"
        if device.memory_bytes is not None and device.memory_bytes < self.memory_bytes:
            return f"it needs {self.memory_bytes} bytes, got {device.memory_bytes}"
        if not self.static and provider in device.static:
            return f"it has free axes, which {provider} does not take"
        return self._other_chip(device.chips.get(provider))

    def _other_chip(self, chip: Chip | None) -> str | None:
        """Why what was compiled is not for a chip; None where it is, or nothing was."""
        if not self.compiled:
            return None
        wanted = f"it was compiled for chip {self.compiled['chip']}"
        if chip is None or chip.name != self.compiled["chip"]:
            return f"{wanted}, got {f'chip {chip.name}' if chip else 'none that was named'}"
        if version(chip.sdk) < version(self.compiled["sdk"]):
            return f"{wanted} by version {self.compiled['sdk']} of its libraries, got {chip.sdk or 'one not known'}"
        return None


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
