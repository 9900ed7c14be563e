"""Makes the artefacts of a run, each once: the pretrained start, the stages, their exports."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from edgesft import processes
from edgesft.budget.lines import latency_limit, size_limit
from edgesft.data.rows import numbers
from edgesft.measure.fingerprint import differences
from edgesft.measure.saturation import saturates
from edgesft.pipeline import costs
from edgesft.pipeline.job import Job
from edgesft.pipeline.plan import Step, export_settings
from edgesft.pipeline.shortage import diagnosed
from edgesft.spec.auto import AUTO
from edgesft.spec.stages import PruneSpec, QuantizeSpec
from edgesft.spec.training import UNKEYED, ResolvedTraining
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.registry import KINDS
from edgesft.store.keys import key
from edgesft.tasks.base import Example
from edgesft.tasks.models.onnx_file import OnnxFile
from edgesft.tasks.models.source import Source
from edgesft.tasks.models.source import digest as source_digest

REPORT = "report.json"
MODEL = "model"
"""An object in the store holds the artefact's folder under this name, beside its report."""

ORIGINAL = "finetune"
"""A teacher of this name is the fine-tuned original, whatever its stage is called; without one, the model as given."""

START_VERSION = 1
"""Raised when the same pretrained source would make another start."""

SIZES = ("size_mb", "size_ratio")
"""Lines of the budget that the files must keep."""

T = TypeVar("T")


def resolve_teacher(name: str, made: Mapping[str, T], original: T) -> T | None:
    """The teacher that a stage names: the fine-tuned original, or a stage's model; None where it is another model."""
    return original if name == ORIGINAL else made.get(name)


class Maker:
    """Makes artefacts for one job, or finds them in the store."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._made: dict[str, Artefact] = {}
        """Stage name → what it made, for teachers."""

    def start(self) -> Artefact:
        """The pretrained model with the task's head, in our form."""
        return self._start(self._job.model, self.start_key())

    def start_key(self, **changes: str) -> str:
        """The content key of the pretrained start."""
        return key({**self._job.facts, "kind": "start", "version": START_VERSION, **changes})

    def export_key(self, source: str) -> str:
        """The content key of an export, from that of the torch artefact."""
        return self.step_key(self._export(), source, None, None)

    def _export(self) -> Step:
        return Step("export", export_settings(self._job.recipe), inserted=True)

    def _start(self, model: Source, digest: str) -> Artefact:
        job = self._job

        if isinstance(model, OnnxFile):
            return self._onnx(model, digest)

        def build(out: Path, work: Path) -> None:
            import torch

            from edgesft.train import checkpoint

            with torch.random.fork_rng():
                torch.manual_seed(job.recipe.seed)  # The new head is random.
                module = job.task.load_model(model, job.contract, trust_remote_code=job.recipe.trust_remote_code)
            checkpoint.save(module, out / MODEL, job.processor, job.contract)

        return Artefact("torch", job.store.make(digest, build) / MODEL, digest)

    def _onnx(self, model: OnnxFile, digest: str) -> Artefact:
        """A file of others, in our form."""
        job = self._job

        def build(out: Path, work: Path) -> None:
            from edgesft.stages.export import save_companions
            from edgesft.stages.export.installed import install

            (out / MODEL).mkdir()
            save_companions(job.processor, job.contract, out / MODEL)
            install(model, job.task, job.processor, job.contract, job.validation, out / MODEL / "model.onnx")

        return Artefact("onnx", job.store.make(digest, build) / MODEL, digest)

    def step_key(self, step: Step, source: str, teacher: str | None, reference: str | None) -> str:
        """The content key of what a step makes, from the keys of what it starts from."""
        job, kind = self._job, KINDS[step.spec.stage]
        facts: dict[str, Any] = {
            "kind": step.spec.stage,
            "version": kind.version,
            "spec": step.spec.model_dump(
                mode="json", exclude={"name", "keep", "teacher"} | set(ResolvedTraining.model_fields)
            ),
            "training": step.training.model_dump(exclude=set(UNKEYED)) if step.training else None,
            "input": source,
            "teacher": teacher,
            "profile": job.target.model_dump(mode="json", include=set(kind.profile)),
            **job.facts,
        }
        if step.training:
            # The number format follows the instruction set, and the order of a sum the number of threads.
            facts["arithmetic"] = {name: job.machine[name] for name in ("architecture", "instructions", "cores")}
            if processes.count() > 1:
                facts["arithmetic"]["processes"] = processes.count()
            if step.training.quantization != "none":
                facts["saturates"] = saturates(job.measuring)  # Then it learns with weights of 7 bits.
        if step.spec.stage == "quantize":
            facts |= {"saturates": saturates(job.measuring), "untimed": job.untimed}
            if step.measured:
                facts["size_limit"] = job.recipe.budget.model_dump(include={*SIZES})
        if isinstance(step.spec, PruneSpec) and step.spec.latency == AUTO:
            facts["latency_limit"] = job.recipe.budget.model_dump(include={"latency_ms", "latency_ratio"})
        if step.measured:
            # What is fastest here says nothing about another machine.
            facts |= {"runtime": job.runtime, "measure": job.quick.model_dump(), "allowance": job.allowance}
            facts |= {"opset": job.target.opset, "precisions": job.target.precisions}
            facts["reference"] = reference
        return key(facts)

    def make(self, step: Step, source: Artefact, reference: Artefact | None) -> tuple[Artefact, StageReport]:
        """What the step makes of the artefact.

        Args:
            step: What to do.
            source: What to start from, in a form that the stage takes.
            reference: The fine-tuned original as ONNX once there is one.
        """
        teacher = self._teacher(step, source, reference)
        digest = self.step_key(step, source.key, teacher.key if teacher else None, reference.key if reference else None)
        kind = KINDS[step.spec.stage]

        def build(out: Path, work: Path) -> None:
            self._job.progress.say(f"{step.name} …")
            (out / MODEL).mkdir()
            with costs.taken(self._job, step.spec.stage, costs.amount(self._job, step), out, work):
                context = self.context(step, source, work, teacher, reference)
                report = kind.runner()(step.spec, source, out / MODEL, context)
            (out / REPORT).write_text(json.dumps(dataclasses.asdict(report), indent=1), "utf-8")

        folder = self._job.store.make(digest, build)
        origin = (source.origin or source) if kind.gives == "onnx" else None
        artefact = Artefact(kind.gives or source.form, folder / MODEL, digest, origin)
        self._made[step.name] = artefact
        report = StageReport(**json.loads((folder / REPORT).read_text("utf-8")))
        return artefact, diagnosed(report, self._job.allowance)

    def onnx(self, artefact: Artefact) -> Artefact:
        """The artefact's ONNX export, or itself where it is one."""
        if artefact.form == "onnx":
            return artefact
        return self.make(self._export(), artefact, None)[0]

    def rounded(self, onnx: Artefact, scheme: Literal["int8-dynamic", "int8-static"]) -> Artefact:
        """An export in 8 bits, as a model that was trained for them is meant to run.

        Raises:
            StageError: It cannot be quantized that way.
        """
        spec = QuantizeSpec(stage="quantize", scheme=scheme)
        return self.make(Step("rounding", spec, inserted=True), onnx, None)[0]

    def _teacher(self, step: Step, source: Artefact, reference: Artefact | None) -> Artefact | None:
        name = getattr(step.spec, "teacher", None)
        if name is None:
            return None
        original = reference.origin if reference and reference.origin else source
        return resolve_teacher(name, self._made, original) or self._start(
            self._job.source(name), self.teacher_key(name)
        )

    def teacher_key(self, name: str) -> str:
        """The content key of a teacher that is a model of its own."""
        return self.start_key(model=source_digest(self._job.source(name)))

    def context(
        self, step: Step, source: Artefact, work: Path, teacher: Artefact | None, reference: Artefact | None
    ) -> StageContext:
        """A step's surroundings.

        Args:
            step: What is to be done.
            source: What it starts from.
            work: Folder for what must not be done twice.
            teacher: For the stages that learn from one.
            reference: The fine-tuned original as ONNX once there is one.
        """
        job = self._job.reading(source)
        from edgesft.pipeline.rows import Measurer  # Whoever only plans need not load what measures.

        measurer = Measurer(job)

        def encoded_by(processor: Any) -> Sequence[Example]:
            return job.task.encode(job.task.merge_references(job.splits.validation), processor, job.contract)

        def record(facts: Mapping[str, Any], measure: Callable[[], Any]) -> Any:
            surroundings = {
                "data": job.facts["data"],
                "versions": job.facts["versions"],
                **job.recipe.data.options(),
                **job.runtime,
            }
            return job.store.record(key({**facts, **surroundings, "measure": job.quick.model_dump()}), measure)

        return StageContext(
            task=job.task,
            processor=job.processor,
            contract=job.contract,
            train=job.train,
            validation=job.validation,
            profile=job.target,
            training=_on(job.measuring, step.training or ResolvedTraining()),
            seed=job.recipe.seed,
            work=work,
            teacher=teacher,
            reference=reference,
            allowance=job.allowance,
            size_limit=size_limit(job.recipe.budget, reference.size_bytes if reference else None),
            latency_limit=partial(_limit, job),
            latency=measurer.medians,
            untimed=job.untimed,
            machine=job.measuring,
            record=record,
            evaluate=measurer.scores,
            encoded_by=encoded_by,
            progress=job.progress,
            numbers={name: numbers(each) for name, each in job.splits.rows().items()},
        )


def _limit(job: Job, original_ns: float) -> float | None:
    """Most nanoseconds that the budget allows; milliseconds count on the profile's own machine alone."""
    here = not differences(job.target.machine, job.measuring)
    return latency_limit(job.recipe.budget, original_ns, here=here)


def _on(machine: Mapping[str, Any], settings: ResolvedTraining) -> ResolvedTraining:
    """Settings of a training for what a machine makes of int8."""
    reduced = settings.quantization != "none" and saturates(machine)
    return settings.model_copy(update={"reduced": reduced})
