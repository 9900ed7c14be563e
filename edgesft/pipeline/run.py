"""Runs a recipe on one profile: make, measure, keep what pays, judge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgesft.budget import lines as budget_lines
from edgesft.budget.lines import Facts
from edgesft.budget.metric import fall
from edgesft.budget.percentile import CONFIDENCE
from edgesft.budget.ratio import ratio
from edgesft.budget.verdict import worst
from edgesft.errors import StageError
from edgesft.measure.bench.bench import facts
from edgesft.measure.driver import MeasureError
from edgesft.measure.model.file import inspect
from edgesft.pipeline import keep
from edgesft.pipeline.job import Job
from edgesft.pipeline.keep import Decision
from edgesft.pipeline.models import Maker
from edgesft.pipeline.outcome import Outcome, Row
from edgesft.pipeline.plan import START, Step, bargains, plan
from edgesft.pipeline.rows import Measurer, required
from edgesft.stages.artefact import Artefact
from edgesft.stages.context import StageReport


def run(job: Job, warnings: Sequence[str] = ()) -> Outcome:
    """Everything from the pretrained model to the verdict; what the store already has is not done again."""
    return _Run(job).outcome(warnings)


class _Run:
    """A run under way: where it stands and what it has made."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._measurer = Measurer(job)
        self._maker = Maker(job)
        self._current = self._maker.start()
        self._rows: list[Row] = []
        self._reference: Row | None = None
        """The fine-tuned original."""
        self._standing: Row | None = None
        """The last row that was kept."""

    def outcome(self, warnings: Sequence[str]) -> Outcome:
        steps = plan(self._job.recipe)
        if not any(step.role == "origin" for step in steps):
            # Nothing fine-tunes: the model as given is the original that everything is held against.
            row = self._row(START, START, self._current, StageReport("as given"))
            row.decision = Decision(True, "the original")
            self._reference = self._standing = row
        for group in bargains(steps):
            self._bargain(group)
        return self._finish(warnings)

    def _bargain(self, group: Sequence[Step]) -> None:
        """Makes the stages of a group and keeps them, or those that pay, or none."""
        before, kept = self._current, list[Row]()
        for step in group:
            if step.role == "measure":
                continue
            reference = self._reference.onnx if self._reference else None
            artefact, report = self._maker.make(step, self._current, reference)
            if step.inserted:
                self._current = artefact
                continue
            row = self._row(step.spec.stage, step.name, artefact, report)
            row.decision = self._judge_alone(step, row, kept[-1] if kept else self._standing)
            if row.decision is None or row.decision.kept:
                kept.append(row)
                self._current = artefact
        if not kept:
            return
        if group[0].role == "origin":
            self._reference = kept[-1]
        elif group[0].role == "speed":
            decision = self._judge_speed(group, kept[-1])
            for row in kept:
                if row.decision is None or not decision.kept:
                    row.decision = decision
            if not decision.kept:
                self._current = before
                return
        self._standing = kept[-1]

    def _row(self, stage: str, name: str, artefact: Artefact, report: StageReport) -> Row:
        onnx = self._maker.onnx(artefact)
        row = Row(stage, name, onnx, report, {"validation": self._measurer.evaluation(onnx, "validation")})
        self._rows.append(row)
        return row

    def _judge_alone(self, step: Step, row: Row, base: Row | None) -> Decision | None:
        """The decision on a stage that can be judged by itself; None where its group is judged."""
        if step.role == "origin":
            return Decision(True, "the fine-tuned original")
        if step.role == "convert":
            return Decision(True, "only changes the format")
        if _always(step):
            return Decision(True, "keep: always")
        if step.role == "recovery" and (problem := row.evaluations["validation"].problem):
            return Decision(False, problem)
        if step.role == "recovery" and base is not None:
            before, after = (each[self._job.metric] for each in self._validated((base, row), row))
            return keep.recovery(metric=self._job.metric, before=before, after=after)
        return None

    def _judge_speed(self, group: Sequence[Step], row: Row) -> Decision:
        """The decision on a speed stage with its recoveries, of which `row` is the last that gained something."""
        if any(_always(step) for step in group) or self._standing is None or self._reference is None:
            return Decision(True, "keep: always")
        if problem := row.evaluations["validation"].problem:
            return Decision(False, problem)
        before = self._standing.onnx
        original = self._reference.evaluations["validation"].metrics
        (after,) = self._validated((row,), row)
        allowances = self._job.allowances
        # The metric that is furthest beyond, or nearest to, what it may lose.
        metric = max(allowances, key=lambda name: fall(original[name], after[name]) - allowances[name])
        size, drop = row.onnx.size_bytes / before.size_bytes, fall(original[metric], after[metric])
        if self._job.untimed:
            return keep.untimed(size=size, metric=metric, drop=drop, allowance=allowances[metric])
        both = self._measurer.latencies({"before": before, "after": row.onnx}, self._job.quick)
        if isinstance(found := both["after"], MeasureError):
            return Decision(False, f"could not be measured: {found}")
        latency = ratio(found.rounds, required(both["before"]).rounds, 50)
        return keep.speed(latency=latency, size=size, metric=metric, drop=drop, allowance=allowances[metric])

    def _validated(self, rows: Sequence[Row], trained: Row) -> list[Mapping[str, float]]:
        """What rows score on validation: in 8 bits where the last of their trainings was for 8 bits, as that is how
        they are meant to run.
        """
        scheme = trained.report.details.get("quantization", "none")
        if scheme != "none":
            try:
                found = [self._maker.rounded(row.onnx, scheme) for row in rows]
                return [self._measurer.evaluation(each, "validation").metrics for each in found]
            except StageError as error:
                self._job.progress.say(f"{trained.name} is judged in float: {error}")
        return [row.evaluations["validation"].metrics for row in rows]

    def _finish(self, warnings: Sequence[str]) -> Outcome:
        """Measures all rows in one interleaved run and judges the budget."""
        job, rows = self._job, self._rows
        final, original = self._standing or rows[-1], self._reference or rows[0]
        # The test rows, where there are some, are read here and nowhere else.
        split = "test" if job.has_test else "validation"
        confidence = job.recipe.budget.confidence or CONFIDENCE
        measured = self._measurer.latencies({row.name: row.onnx for row in rows}, job.full)
        self._time_openings(rows)
        for row in rows:
            if isinstance(found := measured[row.name], MeasureError):
                row.problem = str(found)
            else:
                row.measurement = found
            row.evaluations[split] = self._measurer.evaluation(row.onnx, split, whole=True)
            row.levels, row.drops = self._measurer.intervals(row.onnx, original.onnx, split, confidence)
        final.calibration = self._measurer.calibration(final.onnx)
        agreement = None
        if job.recipe.budget.agreement is not None:
            agreement = self._measurer.agreement(final.onnx, original.onnx, split)
        lines = tuple(budget_lines.judge(job.recipe.budget, self._facts(final, original, agreement)))
        return Outcome(
            profile=job.profile,
            verdict=worst(line.verdict for line in lines),
            lines=lines,
            metric=job.metric,
            split=split,
            rows=tuple(rows),
            final=final.onnx,
            calibration=final.calibration,
            evaluation=self._measurer.assessment(final.onnx, split),
            recipe=job.resolved,
            environment={
                **job.measuring,
                "device": job.device.label,
                "versions": job.facts["versions"],
                "differences": job.differences,
            },
            warnings=tuple(warnings),
            lineage={
                "model_sha256": job.facts["model"],
                "data_sha256": job.facts["data"],
                "data_with_test_sha256": job.data_digest,
            },
        )

    def _time_openings(self, rows: Sequence[Row]) -> None:
        """Times what begins an answer, where it takes many inferences."""
        job = self._job
        if not job.task.autoregressive:
            return
        found = self._measurer.latencies({row.name: row.onnx for row in rows}, job.quick, opening=True)
        for row in rows:
            each = found[row.name]
            row.opening = None if isinstance(each, MeasureError) else each

    def _facts(self, final: Row, original: Row, agreement: float | None) -> Facts:
        """What the budget is judged by."""
        base = original.measurement
        peaks = [each.peak_memory_bytes for each in (final.measurement, final.opening) if each]
        return replace(
            facts(self._job.profile, inspect(final.onnx.model), final.measurement),
            size_bytes=final.size_bytes,
            original_size_bytes=original.size_bytes,
            original_rounds=base.rounds if base else (),
            peak_memory_bytes=max((peak for peak in peaks if peak is not None), default=None),
            metrics=final.levels,
            drops=final.drops,
            agreement=agreement,
            period_ns=self._job.task.period_ns(self._job.contract, final.evaluations["validation"].predictions),
            inferences=self._job.task.inferences(self._job.contract),
            opening_rounds=final.opening.judged if final.opening else () if self._job.task.autoregressive else None,
            differences=self._job.differences,
        )


def _always(step: Step) -> bool:
    return getattr(step.spec, "keep", "auto") == "always"
