"""Makes the models of a bundle: the run's own, and what devices need that cannot take it as it is."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from edgesft.errors import EdgesftError, StageError
from edgesft.measure.model.file import ModelFile, inspect
from edgesft.measure.parity import compare
from edgesft.measure.providers import PROVIDERS, Provider
from edgesft.ship import context, graph, operators, ortfile
from edgesft.ship.golden import tolerances
from edgesft.ship.session import Place, file_runner
from edgesft.ship.variant import ANY, MODEL, Form, Variant, version
from edgesft.ship.wiring import Outputs
from edgesft.store.store import Store
from edgesft.tasks.base import Batch

KINDS = ("model", "static", "ort", "context", "fp32")
"""The run's model; the same without free axes; in ORT's format; compiled ahead by the profile's provider for a chip;
and the float model that it was made of."""

EXPANDED = "int8-weights"
"""What the runtime makes floats of when it loads the file, or makes another file of it."""

USUAL = ("model", "static", "ort", "context")

MODELS = "models"
"""Folder of the models in a bundle."""

LEAST_RUNTIME = "1.23"
"""The oldest ONNX Runtime that edgesft supports (`pyproject.toml`)."""

SEQUENCE = ("sequence", "seq", "length", "tokens")
"""Parts of names of axes along which a text extends."""


@dataclass
class Models:
    """The models of a bundle.

    Attributes:
        variants: The best one first.
        left_out: Kind that was asked for → why there is none.
        operators: What a reduced build of ONNX Runtime must have (`required_operators.config`).
        answers: Variant that a CPU cannot run → what it answered to the requests where it was compiled.
        compiled: The same variants → of which one it was made, and how far it is off that one on the CPU provider.
    """

    variants: list[Variant] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    operators: str = ""
    answers: dict[str, list[Outputs]] = field(default_factory=dict)
    compiled: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        kinds: Of `KINDS`.
        files: The run's: graph → its file; `model` and those beside it.
        precision: What the run says of its numbers.
        targets: Chips to compile ahead for.
        store: Keeps what was compiled.
        requests: Real ones, each of one inference.
        said: Whether an answer takes an inference a token, with a cache that grows.
        longest: Longest input in tokens, or None where rows have one shape.
        reference: The float model's files; None where they are not to be had.
        runtime: Least version of ONNX Runtime.
        memory_bytes: Precision → what the run's model of it took beyond the runtime, where it was measured.
        judged: Whether the run evaluated the model on the provider of the targets, so that its metric, and not the
            distance from the CPU provider, says whether the answers are right there.
        further: Models that are in the bundle's folder already, whose operators a reduced build must have, too.
    """

    kinds: Sequence[str]
    files: Mapping[str, Path]
    precision: str
    targets: Sequence[context.Target]
    store: Store
    requests: Sequence[Batch]
    said: bool = False
    longest: int | None = None
    reference: Mapping[str, Path] | None = None
    runtime: str = LEAST_RUNTIME
    memory_bytes: Mapping[str, int] = field(default_factory=dict)
    judged: bool = False
    further: Sequence[str] = ()


def make(wanted: Wanted, out: Path, work: Path, say: Callable[[str], None]) -> Models:
    """Fills `models/` of a bundle.

    Args:
        wanted: What is asked for.
        out: The bundle's folder.
        work: An empty folder.
        say: Tells the person what goes on.
    """
    maker = _Maker(wanted, out, work, say)
    maker.model()
    if "static" in wanted.kinds:
        maker.attempt("static", maker.static)
    for place, target in enumerate(wanted.targets if "context" in wanted.kinds else (), 1):
        kind = "context" if len(wanted.targets) == 1 else f"context {place}"
        maker.attempt(kind, partial(maker.context, target))
    if "fp32" in wanted.kinds:
        maker.attempt("fp32", maker.reference)
    say("making ORT formats and the list of operators")
    maker.ort()
    return maker.found


class _Maker:
    """Makes one variant after another.

    Attributes:
        found: What was made so far.
    """

    def __init__(self, wanted: Wanted, out: Path, work: Path, say: Callable[[str], None]) -> None:
        self.found = Models()
        self._wanted, self._out, self._work, self._say = wanted, out, work, say
        self._files = _inspected(wanted.files)
        self._file = self._files[MODEL]

    def attempt(self, kind: str, make: Callable[[], None]) -> None:
        """Makes a variant, or notes why there is none."""
        try:
            make()
        except EdgesftError as error:
            self.found.left_out[kind] = str(error).partition("\n")[0]

    def model(self) -> None:
        """The run's own."""
        precision = self._wanted.precision
        self._add(precision, self._files, "onnx", _takers(precision, *_kinds(self._files)))

    def static(self) -> None:
        """The model with a size for each free axis, for providers that take no other."""
        self._require_one()
        if not self._file.free:
            raise StageError("the model has no free axis: it is static itself")
        precision = self._wanted.precision
        self._add(f"{precision}-static", {MODEL: inspect(self._fixed())}, "onnx", _takers(precision, True))

    def context(self, target: context.Target) -> None:
        """What a provider compiles of the model for a chip (ONNX Runtime, "EP context design"), with its answers."""
        wanted, chip, provider = self._wanted, target.chip, target.provider
        self._require_one()
        known = PROVIDERS[provider.name]
        source = self._fixed() if known.static_shapes and self._file.free else self._file.path
        self._say(f"compiling for {provider.name}, chip {chip}")
        made, said = context.make(source, target, wanted.requests, wanted.store)
        name = f"{wanted.precision}-{known.short}-{chip}"
        variant = self._add(name, {MODEL: inspect(made)}, "context", [provider.name], compiled=said)
        # It is the first that is taken where it fits.
        self.found.variants.insert(0, self.found.variants.pop())
        on_cpu = file_runner(source, source.name, variant.fixed)
        expected = [on_cpu(request) for request in wanted.requests]
        with Place(provider.name, provider.options, target.device).running(self._out, variant) as (run, simulated):
            answers: list[Outputs] = [run(request) for request in wanted.requests]
        off = compare(expected, answers, wanted.precision).worst
        limit = tolerances({name: wanted.precision})[name].get(provider.name, 0.0)
        if off.mismatch or (not wanted.judged and off.relative > limit):
            self.found.variants.remove(variant)
            shutil.rmtree((self._out / variant.file).parent)
            got = off.mismatch or f"off by {off.relative:.2g}"
            raise StageError(
                f"on chip {chip} '{off.name}' must be within {limit:g} of the CPU provider's, got {got}; "
                f"a run on a profile of {provider.name} has it evaluated there instead"
            )
        self.found.answers[name] = answers
        self.found.compiled[name] = {"off_cpu": off.relative, "simulated": simulated, **said}

    def reference(self) -> None:
        """The float model."""
        if self._wanted.precision == "fp32":
            raise StageError("the model is itself the float model")
        if self._wanted.reference is None:
            raise StageError("the run's float model is no longer in the store, or this run did not record where it was")
        files = _inspected(self._wanted.reference)
        self._add("fp32", files, "onnx", _takers("fp32", *_kinds(files)), precision="fp32")

    def ort(self) -> None:
        """The first model in ORT's format, and the operators of all models in both formats."""
        found, precision = self.found, self._wanted.precision
        needed = operators.Operators()
        own = [file for variant in found.variants for file in variant.parts.values()]
        for file in (files := [*own, *self._wanted.further]):
            needed.add_graph(self._out / file)
        folders = {each.name: (self._out / each.file).parent for each in found.variants if each.form == "onnx"}
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                made = operators.to_ort(folders, self._work / "ort", needed)
        except Exception as error:  # ONNX Runtime's tools raise many types.
            made = {}
            if "ort" in self._wanted.kinds:
                found.left_out["ort"] = f"ONNX Runtime's tool could not convert it: {error}"
        found.operators = needed.text(files)
        if "ort" in self._wanted.kinds and precision == EXPANDED:
            found.left_out["ort"] = "ORT format would hold the floats that are made of the 8-bit weights"
        elif "ort" in self._wanted.kinds and precision in made:
            # A reduced build reads no ONNX; it may have any provider.
            graphs = _inspected({graph: made[precision] / f"{graph}.ort" for graph in self._files})
            self._add(f"{precision}-ort", graphs, "ort", _takers(precision, True, False))

    def _require_one(self) -> None:
        """That shapes can be fixed.

        Raises:
            StageError: The model is of several graphs, or its cache grows.
        """
        if len(self._files) > 1:
            raise StageError(f"the model is of several graphs, {', '.join(self._files)}, whose axes stay free")
        if self._wanted.said:
            raise StageError("the cache grows with each token: its axis stays free")

    def _fixed(self) -> Path:
        """The model's file with a size for each free axis."""
        from edgesft.stages.export.shapes import fix_shapes, sizes_of

        wanted, path = self._wanted, self._work / "static" / f"{MODEL}.onnx"
        if not path.is_file():
            sizes = sizes_of(wanted.files[MODEL], wanted.requests)
            if wanted.longest:
                sizes |= {name: wanted.longest for name in sizes if any(word in name.lower() for word in SEQUENCE)}
            self._say(f"fixing shapes at {', '.join(f'{name} {size}' for name, size in sizes.items())}")
            fix_shapes(wanted.files[MODEL], path, sizes, wanted.requests)
        return path

    def _add(
        self,
        name: str,
        files: Mapping[str, ModelFile],
        form: Form,
        providers: Sequence[str],
        *,
        precision: str | None = None,
        compiled: Mapping[str, str] | None = None,
    ) -> Variant:
        """Copies a model into the bundle and lists it."""
        places, own, free = list[str](), dict[str, str](), False
        for part in dict.fromkeys((MODEL, *files)):
            file = files[part]
            names = [f"{part}.{'ort' if form == 'ort' else 'onnx'}", *(path.name for path in file.files[1:])]
            own[part] = f"{MODELS}/{name}/{names[0]}"
            for path, called in zip(file.files, names, strict=True):
                place = self._out / MODELS / name / called
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
                places.append(f"{MODELS}/{name}/{called}")
            told = (ortfile if form == "ort" else graph).read(memoryview(file.path.read_bytes()), file.path.name)
            free |= not all(isinstance(axis, int) for value in told.inputs for axis in value.shape)
        said, runtime = precision or self._wanted.precision, self._wanted.runtime
        fixed = graph.fixed(told) if len(files) == 1 else {}
        variant = Variant(
            name=name,
            file=own.pop(MODEL),
            files=tuple(places),
            form=form,
            precision=said,
            golden=name if compiled else said,
            providers=tuple(providers),
            runtime=max(runtime, compiled["runtime"], key=version) if compiled else runtime,
            # What a chip runs was not measured. Any other form of a model holds the same weights.
            memory_bytes=0 if compiled else self._wanted.memory_bytes.get(said, 0),
            static=not free,
            fixed=fixed,
            graphs=own,
            compiled=compiled or {},
        )
        self.found.variants.append(variant)
        return variant


def _inspected(files: Mapping[str, Path]) -> dict[str, ModelFile]:
    return {name: inspect(file) for name, file in files.items()}


def _kinds(files: Mapping[str, ModelFile]) -> tuple[bool, ...]:
    """Kinds of providers that take a model: all but those of fixed shapes, and these, too, where no axis is free."""
    return (False,) if any(file.free for file in files.values()) else (True, False)


def _takers(precision: str, *static: bool) -> list[str]:
    """Providers of some kinds, of fixed shapes or not, that gain from a precision; and at last any other one."""
    return [
        *sorted(name for name, each in PROVIDERS.items() if each.static_shapes in static and _gains(each, precision)),
        ANY,
    ]


def _gains(provider: Provider, precision: str) -> bool:
    if precision == "int8-dynamic":
        return "dynamic" in provider.int8
    if precision == "int8-static":
        return bool({"u8s8", "s8s8"} & set(provider.int8))
    kind = precision.partition("-")[0]
    return {"fp16": provider.fp16, "int4": provider.int4}.get(kind, True)
