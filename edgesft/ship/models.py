"""Makes the models of a bundle: the run's own, and what devices need that cannot take it as it is."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgesft.errors import EdgesftError, StageError
from edgesft.measure.model.file import ModelFile, inspect
from edgesft.measure.providers import PROVIDERS, Provider
from edgesft.ship import graph, operators, ortfile
from edgesft.ship.variant import ANY, Form, Variant
from edgesft.spec.profile import ProfileSpec
from edgesft.tasks.base import Batch

KINDS = ("model", "static", "ort", "context", "fp32")
"""The run's model; the same without free axes; in ORT's format; compiled ahead by the profile's provider; and the
float model that it was made of."""

USUAL = ("model", "static", "ort", "context")

MODELS = "models"
"""Folder of the models in a bundle."""

MODEL, ORT_MODEL = "model.onnx", "model.ort"

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
    """

    variants: list[Variant] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    operators: str = ""


@dataclass(frozen=True)
class Wanted:
    """What is asked for.

    Attributes:
        kinds: Of `KINDS`.
        model: The run's.
        precision: What the run says of its numbers.
        profile: That the run was for.
        requests: Real ones.
        longest: Longest input in tokens, or None where rows have one shape.
        reference: The float model; None where it is not to be had.
        runtime: Least version of ONNX Runtime.
        memory_bytes: What the run's model took beyond the runtime, as measured; 0 where it was not.
    """

    kinds: Sequence[str]
    model: Path
    precision: str
    profile: ProfileSpec
    requests: Sequence[Batch]
    longest: int | None = None
    reference: Path | None = None
    runtime: str = LEAST_RUNTIME
    memory_bytes: int = 0


def make(wanted: Wanted, out: Path, work: Path, say: Callable[[str], None]) -> Models:
    """Fills `models/` of a bundle.

    Args:
        wanted: What is asked for.
        out: The bundle's folder.
        work: An empty folder.
        say: Tells the person what goes on.
    """
    found, file = Models(), inspect(wanted.model)
    takers = _takers(wanted.precision, static=False)
    _add(found, wanted, out, wanted.precision, file, "onnx", takers, memory_bytes=wanted.memory_bytes)
    if "static" in wanted.kinds:
        _left(found, "static", lambda: _static(found, wanted, file, out, work, say))
    if "context" in wanted.kinds:
        _left(found, "context", lambda: _context(found, wanted, file, out, work, say))
    if "fp32" in wanted.kinds:
        _left(found, "fp32", lambda: _reference(found, wanted, out))
    say("making ORT formats and the list of operators")
    _ort(found, wanted, out, work)
    return found


def _left(found: Models, kind: str, make: Callable[[], None]) -> None:
    """Makes a variant, or notes why there is none."""
    try:
        make()
    except EdgesftError as error:
        found.left_out[kind] = str(error).partition("\n")[0]


def _add(
    found: Models,
    wanted: Wanted,
    out: Path,
    name: str,
    file: ModelFile,
    form: Form,
    providers: Sequence[str],
    *,
    precision: str | None = None,
    fixed: Mapping[str, Any] | None = None,
    architectures: Sequence[str] = (),
    memory_bytes: int = 0,
) -> None:
    """Copies a model into the bundle and lists it."""
    places = []
    for path in file.files:
        place = f"{MODELS}/{name}/{ORT_MODEL if form == 'ort' else MODEL if path == file.path else path.name}"
        (out / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, out / place)
        places.append(place)
    said = precision or wanted.precision
    variant = Variant(
        name=name,
        file=places[0],
        files=tuple(places),
        form=form,
        precision=said,
        golden=said,
        providers=tuple(providers),
        runtime=wanted.runtime,
        architectures=tuple(architectures),
        memory_bytes=memory_bytes,
        static=fixed is not None or not _free(out / places[0], form),
        fixed=fixed or {},
    )
    found.variants.append(variant)


def _free(path: Path, form: Form) -> bool:
    """Whether an input has a free axis."""
    told = (ortfile if form == "ort" else graph).read(memoryview(path.read_bytes()), path.name)
    return any(not isinstance(axis, int) for value in told.inputs for axis in value.shape)


def _static(found: Models, wanted: Wanted, file: ModelFile, out: Path, work: Path, say: Callable[[str], None]) -> None:
    """The model with a size for each free axis, for providers that take no other."""
    from edgesft.stages.export.shapes import fix_shapes, sizes_of

    if not file.free:
        raise StageError("the model has no free axis: it is static itself")
    sizes = sizes_of(wanted.model, wanted.requests)
    if wanted.longest:
        sizes |= {name: wanted.longest for name in sizes if any(word in name.lower() for word in SEQUENCE)}
    say(f"fixing shapes at {', '.join(f'{name} {size}' for name, size in sizes.items())}")
    done = fix_shapes(wanted.model, work / "static" / MODEL, sizes, wanted.requests)
    name, takers = f"{wanted.precision}-static", _takers(wanted.precision, static=True)
    _add(found, wanted, out, name, inspect(work / "static" / MODEL), "onnx", takers, fixed=done.to_json())


def _context(found: Models, wanted: Wanted, file: ModelFile, out: Path, work: Path, say: Callable[[str], None]) -> None:
    """What the profile's provider compiles of the model, inside one ONNX file (ONNX Runtime, "EP context design")."""
    from edgesft.measure import agent

    spec = wanted.profile.providers[0]
    known = PROVIDERS.get(spec.name)
    if known is None or not known.context:
        raise StageError(f"{spec.name} compiles nothing ahead")
    static = next((variant for variant in found.variants if variant.fixed), None)
    source = out / static.file if static and known.static_shapes else file.path
    target = work / "context" / MODEL
    target.parent.mkdir(parents=True)
    config = {"ep.context_enable": "1", "ep.context_file_path": str(target), "ep.context_embed_mode": "1"}
    say(f"compiling for {spec.name}")
    try:
        options = agent.session_options(str(source), wanted.profile.threads, config=config)
        agent.create_session(str(source), [spec.model_dump()], options)
    except Exception as error:  # Refusals, and ONNX Runtime's own unrelated types.
        raise StageError(f"{spec.name} could not compile it: {error}") from error
    if not target.is_file():
        raise StageError(f"{spec.name} wrote nothing that was compiled")
    architecture = wanted.profile.machine.architecture
    fixed = static.fixed if static and known.static_shapes else None
    _add(
        found,
        wanted,
        out,
        f"{wanted.precision}-{known.short}",
        inspect(target),
        "context",
        [spec.name],
        fixed=fixed,
        architectures=[architecture] if architecture else (),
    )
    found.variants.insert(0, found.variants.pop())


def _reference(found: Models, wanted: Wanted, out: Path) -> None:
    if wanted.precision == "fp32":
        raise StageError("the model is the float one itself")
    if wanted.reference is None:
        raise StageError("the store has the run's float model no more, or this run did not say where it was")
    _add(found, wanted, out, "fp32", inspect(wanted.reference), "onnx", _takers("fp32", static=False), precision="fp32")


def _ort(found: Models, wanted: Wanted, out: Path, work: Path) -> None:
    """The first model in ORT's format, and the operators of all models in both formats."""
    graphs = {variant.name: out / variant.file for variant in found.variants if variant.form == "onnx"}
    needed = operators.Operators()
    for path in graphs.values():
        needed.add_graph(path)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            made = operators.to_ort({name: path.parent for name, path in graphs.items()}, work / "ort", needed)
    except Exception as error:  # ONNX Runtime's tools raise many types.
        made = {}
        if "ort" in wanted.kinds:
            found.left_out["ort"] = f"ONNX Runtime's tool could not convert it: {error}"
    found.operators = needed.text(found.variants)
    if "ort" in wanted.kinds and wanted.precision in made:
        # A reduced build reads no ONNX; it may have any provider.
        takers = sorted({*_takers(wanted.precision, static=False), *_takers(wanted.precision, static=True)} - {ANY})
        _add(found, wanted, out, f"{wanted.precision}-ort", inspect(made[wanted.precision]), "ort", [*takers, ANY])


def _takers(precision: str, *, static: bool) -> list[str]:
    """Providers that gain from a precision, with free axes or without; and at last any other one."""
    return [
        *sorted(name for name, each in PROVIDERS.items() if each.static_shapes == static and _gains(each, precision)),
        ANY,
    ]


def _gains(provider: Provider, precision: str) -> bool:
    if precision == "int8-dynamic":
        return "dynamic" in provider.int8
    if precision == "int8-static":
        return bool({"u8s8", "s8s8"} & set(provider.int8))
    kind = precision.partition("-")[0]
    return {"fp16": provider.fp16, "int4": provider.int4}.get(kind, True)
