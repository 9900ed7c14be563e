"""The variants of a model for a provider, each made once: kept in the store by what it was made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.errors import EdgesftError, StageError
from edgesft.measure.bench.order import Variant
from edgesft.measure.bench.prepared import Prepared
from edgesft.measure.fingerprint import machine
from edgesft.measure.model.facts import read_facts
from edgesft.measure.providers import PROVIDERS, Provider, takes_fixed
from edgesft.measure.saturation import saturates
from edgesft.spec.profile import ProviderSpec
from edgesft.stages.export.shapes import fix_shapes, sizes_of
from edgesft.stages.quantize import ort
from edgesft.stages.quantize.whole import WHOLE
from edgesft.stages.writing import write_model
from edgesft.store.keys import key, versions
from edgesft.store.store import Store

PRECISIONS = ("fp32", "fp16", "int8", "int4")
"""What may be asked for; of models that are in floats."""

VERSION = 1
"""Raised when the same model would give other variants."""

CALIBRATED = 128
"""Requests that set the ranges of 8-bit activations."""

MODEL = "model.onnx"

OPSET = 13
"""The first in which QuantizeLinear has a scale a channel."""

CONVOLUTIONS = ("Conv", "ConvTranspose")

NEUTRAL = Provider("other", "")
"""What is known of a provider that nothing is known of."""

Requests = Sequence[Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Recipe:
    """How a variant is made.

    Attributes:
        precision: Of `PRECISIONS`; empty for that of the model.
        form: What 8 bits look like, as the provider takes them; empty where it is no int8.
        sizes: Free axis → the size that it gets; empty where shapes stay.
    """

    precision: str
    form: str
    sizes: Mapping[str, int]

    @property
    def told(self) -> str:
        """In words."""
        words = [f"fixed at {', '.join(f'{name} {size}' for name, size in self.sizes.items())}"] if self.sizes else []
        words += [f"int8 {self.form}" if self.form else self.precision] if self.precision not in ("", "fp32") else []
        return ", ".join(words)


class Variants:
    """Makes what providers are given: called with a prepared model and a provider."""

    def __init__(
        self, store: Store, precisions: Sequence[str] = (), *, calibration: Requests = (), say: Callable[[str], None]
    ) -> None:
        """Nothing is made yet.

        Args:
            store: Where variants are kept.
            precisions: Of `PRECISIONS`; empty takes models as they are.
            calibration: Requests that set ranges; by default those that are measured.
            say: Tells the person what goes on.
        """
        self._store, self._precisions, self._calibration, self._say = store, precisions, calibration, say

    def __call__(self, prepared: Prepared, spec: ProviderSpec) -> list[Variant]:
        """The variants of a model for a provider, one a precision; one that cannot be made has its reason."""
        if prepared.file.form != "onnx":
            return [Variant("", prepared.file.path)]
        return [self._variant(prepared, spec, each) for each in self._precisions or ("",)]

    def _variant(self, prepared: Prepared, spec: ProviderSpec, precision: str) -> Variant:
        provider = PROVIDERS.get(spec.name, NEUTRAL)
        own = prepared.file.precision or ""
        if precision and own not in ("fp32", precision):
            return Variant(precision, None, f"a model in fp32 is needed to make one in {precision}, got {own}")
        try:
            sizes = sizes_of(prepared.file.path, prepared.requests.feeds) if takes_fixed(spec) else {}
            recipe = self._recipe(prepared, provider, "" if precision == own else precision, sizes)
            if not recipe.told:
                return Variant(precision, prepared.file.path)
            return Variant(precision, self._made(prepared, recipe), recipe.told)
        except (OSError, MemoryError):
            raise  # A full disk says nothing about the model.
        except Exception as error:  # whatever others' tools raise: the other variants are measured all the same
            why = str(error) if isinstance(error, EdgesftError) else f"{type(error).__name__}: {error}"
            return Variant(precision, None, f"{precision or 'the variant'} for {provider.short}: {why}")

    def _recipe(self, prepared: Prepared, provider: Provider, precision: str, sizes: Mapping[str, int]) -> Recipe:
        able = {"fp16": provider.fp16, "int4": provider.int4, "int8": bool(provider.int8)}
        if not able.get(precision, True):
            raise StageError(
                f"{provider.name} must support {precision}. Got one that takes {', '.join(provider.takes)}"
            )
        form = ""
        if precision == "int8":
            # Sums of transformers want ranges as they come, or more bits; convolutions do with few, and are faster so.
            convolutions = any(read_facts(prepared.file.path).operators.get(op) for op in CONVOLUTIONS)
            form = provider.int8[-1 if convolutions else 0]
        return Recipe(precision, form, sizes)

    def _made(self, prepared: Prepared, recipe: Recipe) -> Path:
        file = prepared.file
        calibration = self._calibration or prepared.requests.feeds
        facts: dict[str, Any] = {
            "kind": "variant",
            "version": VERSION,
            "model": file.sha256,
            "recipe": {"precision": recipe.precision, "form": recipe.form, "sizes": dict(recipe.sizes)},
            "calibration": _digest(calibration) if recipe.form not in ("", "dynamic") else None,
            "saturates": self._reduced if recipe.precision == "int8" else None,
            "versions": versions(),
        }

        def build(out: Path, work: Path) -> None:
            self._say(f"making {file.path.name} {recipe.told}")
            source = file.path
            if recipe.sizes:
                source = work / "fixed.onnx"
                fix_shapes(file.path, source, recipe.sizes, prepared.requests.feeds)
            if recipe.precision not in ("", "fp32"):
                source = _ready(source, work / "ready.onnx")
            self._convert(recipe, source, out / MODEL, calibration)

        return self._store.make(key(facts), build) / MODEL

    def _convert(self, recipe: Recipe, source: Path, target: Path, calibration: Requests) -> None:
        """Writes the model in its precision."""
        import onnx

        if recipe.precision == "fp16":
            ort.fp16(source, target)
        elif recipe.precision == "int4":
            ort.int4(source, target)
        elif recipe.form == "dynamic":
            ort.dynamic(source, target, reduced=self._reduced)
        elif recipe.form:
            spread = np.unique(
                np.linspace(0, len(calibration) - 1, min(CALIBRATED, len(calibration))).round().astype(int)
            )
            rows = [dict(calibration[place]) for place in spread]
            form: Any = recipe.form
            ort.static(source, target, rows, form=form, reduced=self._reduced and form not in WHOLE)
        else:
            write_model(onnx.load(str(source)), target)

    @cached_property
    def _reduced(self) -> bool:
        return saturates(machine())


def _ready(source: Path, target: Path) -> Path:
    """The model as quantizers take it: every node has a name, and a scale a channel is known (opset 13)."""
    import onnx
    from onnx import helper, version_converter

    model = onnx.load(str(source))
    named = [node.name for node in model.graph.node]
    old = next((each.version for each in model.opset_import if each.domain in ("", "ai.onnx")), OPSET) < OPSET
    if all(named) and not old:
        return source
    if old:
        model = version_converter.convert_version(model, OPSET)
        model.ir_version = max(model.ir_version, helper.find_min_ir_version_for(model.opset_import))
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    write_model(model, target)
    return target


def _digest(requests: Requests) -> str:
    import hashlib

    digest = hashlib.sha256()
    for feeds in requests:
        for name in sorted(feeds):
            array = np.ascontiguousarray(feeds[name])
            digest.update(f"{name} {array.dtype} {array.shape}".encode() + array.tobytes())
    return digest.hexdigest()
