"""The candidates of quantization that a profile allows, each made and verified in its own folder."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.errors import StageError
from edgesft.measure.agent import CPU
from edgesft.measure.model.facts import read_facts
from edgesft.measure.providers import PROVIDERS, Provider
from edgesft.measure.saturation import proof, saturates
from edgesft.spec.profile import ProfileSpec
from edgesft.spec.stages import QuantizeSpec
from edgesft.stages.artefact import RANGES, Artefact
from edgesft.stages.context import StageContext
from edgesft.stages.export.checks import late_run, spread
from edgesft.stages.quantize import neural, ort
from edgesft.stages.quantize.ort import Algorithm, Form
from edgesft.stages.quantize.plan import UNCHANGED, Backend, Bits, QuantizePlan, Scheme, by_graph, make_plan
from edgesft.stages.quantize.smooth import smooth
from edgesft.stages.quantize.untie import untied
from edgesft.stages.quantize.verify import verify
from edgesft.stages.quantize.whole import WHOLE
from edgesft.tasks.base import Batch, Example

VERIFY_ROWS = 16
"""Validation rows that a quantized file is run on before it is evaluated."""

PRECISION: dict[Scheme, str] = {
    "int8-dynamic": "int8",
    "int8-static": "int8",
    "int8-weights": "fp32",
    "int4": "int4",
    "fp16": "fp16",
}
"""Scheme → the precision that a profile must list for it: what is computed in."""


@dataclass(frozen=True)
class Candidate:
    """One way to quantize.

    Attributes:
        scheme: What is done.
        backend: Who does it.
        form: What 8 bits look like, where the scheme is `int8-static`.
        table_bits: Of embedding tables, where the scheme is `int8-dynamic`.
        algorithm: How `int4` rounds.
        smooth: How much moves from activations into weights first.
        kept: Nodes that stay in float, besides those that the spec excludes.
    """

    scheme: Scheme
    backend: Backend = "onnxruntime"
    form: Form = "u8s8"
    table_bits: Bits = 8
    algorithm: Algorithm = "rtn"
    smooth: float = 0.0
    kept: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """For the table and for folders."""
        parts: list[str] = [self.scheme]
        parts += [self.backend] if self.backend != "onnxruntime" else []
        parts += [self.form] if self.form != "u8s8" else []
        parts += [self.algorithm] if self.algorithm != "rtn" else []
        parts += ["4-bit-tables"] if self.table_bits == 4 else []
        parts += ["smooth"] if self.smooth else []
        parts += [f"{len(self.kept)}-float"] if self.kept else []
        return "-".join(parts)

    @property
    def precisions(self) -> set[str]:
        """What a profile must list for it."""
        return {PRECISION[self.scheme]} | ({"int4"} if self.table_bits == 4 else set())


CANDIDATES = (
    Candidate("int8-dynamic"),
    Candidate("int8-dynamic", table_bits=4),
    Candidate("int8-static"),
    Candidate("int8-static", "neural-compressor"),
    Candidate("int8-static", form="s8s8"),
    Candidate("int8-static", form="u8u8"),
    Candidate("int8-static", form="u16u8"),
    Candidate("int8-weights"),
    Candidate("int4"),
    Candidate("int4", algorithm="hqq"),
    Candidate("fp16"),
)
"""What `scheme: auto` tries, in the order in which ties are broken."""


def wanted(spec: QuantizeSpec, profile: ProfileSpec) -> tuple[Candidate, ...]:
    """The candidates that a spec asks for; `auto` asks for all that the profile's precisions and provider allow."""
    provider = PROVIDERS.get(profile.providers[0].name)
    if spec.scheme == "auto":
        allowed = [candidate for candidate in CANDIDATES if candidate.precisions <= set(profile.precisions)]
        return tuple(candidate for candidate in allowed if provider is None or _suits(candidate, provider))
    form: Form = "u8s8"
    if spec.types != "auto":
        form = spec.types
    elif spec.scheme == "int8-static" and spec.backend == "onnxruntime" and provider:
        forms = [each for each in provider.int8 if each != "dynamic"]
        form = forms[-1] if forms else form
    return (Candidate(spec.scheme, spec.backend, form, spec.table_bits, spec.algorithm, spec.smooth),)


def _suits(candidate: Candidate, provider: Provider) -> bool:
    """Whether a provider has kernels for what a candidate makes."""
    if candidate.scheme == "fp16":
        # On the CPU it saves bytes; what computes 32-bit floats in 16 bits anyway saves them, too.
        return provider.fp16 or provider.name == CPU
    if candidate.scheme == "int8-weights":
        return True
    if candidate.scheme == "int4":
        return provider.int4
    return ("dynamic" if candidate.scheme == "int8-dynamic" else candidate.form) in provider.int8


def build(
    candidate: Candidate, spec: QuantizeSpec, artefact: Artefact, target: Path, context: StageContext
) -> dict[str, Any]:
    """Makes one candidate's files, a graph each, and verifies them.

    Args:
        candidate: The way.
        spec: The stage.
        artefact: The float model.
        target: File of `model` to write; graphs beside it go beside it.
        context: Has the rows.

    Returns:
        JSON facts: the plan and what was verified; of graphs beside `model` the same, and bytes of all.

    Raises:
        InputError: An exclude pattern matches no node.
        StageError: It could not be made, or is not what it should be.
        UnavailableError: Its backend is not installed.
    """
    sources, targets = (context.task.files(file) for file in (artefact.model, target))
    excluded = by_graph((*spec.exclude, *map(glob.escape, candidate.kept)), sources)
    work = {
        graph: _Work(candidate, spec, artefact, context, graph, file, targets[graph], excluded[graph])
        for graph, file in sources.items()
    }
    facts = {graph: _built(each) for graph, each in work.items()}
    proven = {"instructions": proof(context.machine)} if PRECISION[candidate.scheme] == "int8" else {}
    found = {**facts.pop("model"), **proven}
    if not facts:
        return found
    size = found["size_bytes"] + sum(each["size_bytes"] for each in facts.values())
    return {**found, "beside": facts, "size_bytes": size, "size_ratio": round(size / weight(sources.values()), 4)}


@dataclass(frozen=True)
class _Work:
    """What is to be done to one graph: `source` becomes `target`, but for the nodes that are excluded."""

    candidate: Candidate
    spec: QuantizeSpec
    artefact: Artefact
    context: StageContext
    graph: str
    source: Path
    target: Path
    exclude: tuple[str, ...]

    @property
    def calibration(self) -> list[Batch]:
        """Requests made of training rows."""
        return calibration_requests(self.spec, self.artefact.model, self.context, self.graph)


def _built(work: _Work) -> dict[str, Any]:
    context, target = work.context, work.target
    whole = work.source
    if work.candidate.scheme not in UNCHANGED:
        whole = untied(whole, target.with_name(f"untied-{target.name}"))
    source = _smoothed(work, whole) if work.candidate.smooth else whole
    plan = _quantize(work, source)
    rows = requests_of(work.graph, spread(context.validation, VERIFY_ROWS), context)
    return {"plan": plan.to_json(), **verify(target, whole, plan, rows)}


def requests_of(graph: str, rows: Sequence[Example], context: StageContext) -> list[Batch]:
    """What the device sends to a graph, made of rows."""
    if graph == "model":
        return context.task.requests(rows, context.processor)
    return context.task.prefill_requests(rows, context.processor)[graph]


def weight(files: Iterable[Path]) -> int:
    """Bytes of files together."""
    return sum(file.stat().st_size for file in files)


def _smoothed(work: _Work, source: Path) -> Path:
    """A float file that is easier to quantize."""
    place = work.target.with_name(f"smooth-{work.target.name}")
    place.parent.mkdir(parents=True, exist_ok=True)
    nodes = make_plan(source, work.candidate.scheme, exclude=work.exclude).quantized
    if not smooth(source, place, work.calibration, nodes, strength=work.candidate.smooth):
        raise StageError("'smooth' must find activations whose scales can move into weights. Got none")
    return place


def _quantize(work: _Work, source: Path) -> QuantizePlan:
    candidate, spec, artefact, context = work.candidate, work.spec, work.artefact, work.context
    target, exclude = work.target, work.exclude
    per_channel, reduced = spec.per_channel, saturates(context.machine)
    if candidate.scheme == "int8-dynamic":
        bits = candidate.table_bits
        return ort.dynamic(source, target, per_channel=per_channel, table_bits=bits, reduced=reduced, exclude=exclude)
    if candidate.scheme == "fp16":
        return ort.fp16(source, target, exclude=exclude)
    if candidate.scheme == "int8-weights":
        return ort.weights(source, target, per_channel=per_channel, exclude=exclude)
    if candidate.scheme == "int4":
        return ort.int4(source, target, algorithm=candidate.algorithm, exclude=exclude)
    requests = work.calibration
    if candidate.backend == "onnxruntime":
        calibration = spec.calibration
        return ort.static(
            source,
            target,
            requests,
            form=candidate.form,
            calibration=calibration,
            ranges={} if candidate.smooth else _learned(artefact),
            per_channel=per_channel,
            reduced=reduced and candidate.form not in WHOLE,
            exclude=exclude,
        )
    if artefact.origin is None:
        raise StageError("neural-compressor must start from the torch model. Got an ONNX file without it")
    if reduced:
        raise StageError(
            "neural-compressor must run on a CPU whose int8 products do not saturate. This machine lacks VNNI"
        )
    from edgesft.train.checkpoint import load

    model = load(artefact.origin.path, context.task)
    graphs = context.task.graphs(model, context.processor, spread(context.validation, 4)[1:-1])
    if len(graphs) != 1:
        raise StageError(f"neural-compressor must quantize one graph. Got {[graph.name for graph in graphs]}")
    opset = read_facts(source).opset
    return neural.neural_static(
        graphs[0], source, target, requests, opset=opset, per_channel=per_channel, exclude=exclude
    )


def _learned(artefact: Artefact) -> dict[str, list[float]]:
    """What layers of the torch model learned to read, if they did."""
    place = artefact.origin.path / RANGES if artefact.origin else None
    return json.loads(place.read_text("utf-8")) if place and place.is_file() else {}


def shrunk(facts: Mapping[str, Any], files: Iterable[Path]) -> str:
    """Sizes before, of the files, and after, in words."""
    return f"{weight(files) / 1e6:.1f} → {facts['size_bytes'] / 1e6:.1f} MB"


def calibration_requests(spec: QuantizeSpec, source: Path, context: StageContext, graph: str) -> list[Batch]:
    """Requests made of training rows drawn by the seed: what the device sends, so nothing is padded.

    Args:
        spec: Says how many.
        source: The float model, whose states they have.
        context: Has the rows.
        graph: That they are for.
    """
    count = min(spec.calibration_rows, len(context.train))
    drawn = np.random.default_rng(context.seed).choice(len(context.train), count, replace=False)
    rows = [context.train[index] for index in sorted(drawn)]
    if graph != "model":
        return requests_of(graph, rows, context)
    return context.task.stateful_requests(rows, context.processor, late_run(context.task.files(source)))
