"""Measures the metrics and latency of a run's models. Each figure is taken once and then stored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgesft.budget.drop import drops, levels
from edgesft.budget.percentile import Interval
from edgesft.errors import StageError
from edgesft.measure.agent import CPU
from edgesft.measure.devices import HERE
from edgesft.measure.driver import MeasureError
from edgesft.measure.inputs import Requests
from edgesft.measure.measurement import Measurement, in_turn
from edgesft.measure.protocol import measure
from edgesft.measure.runner import answering
from edgesft.measure.subject import Subject
from edgesft.pipeline import costs
from edgesft.pipeline.job import Job
from edgesft.pipeline.outcome import Evaluation
from edgesft.spec.profile import MeasureSpec, ProviderSpec, SessionSpec
from edgesft.stages.artefact import Artefact
from edgesft.store.keys import key
from edgesft.tasks.base import Example
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import unanswered

PREDICTIONS = "predictions.npy"
METRICS = "metrics.json"

ASSESSMENT_VERSION = 2
"""Raised when a task tells more, or other things, of the same answers."""

LOADS = 5
"""Fresh processes that load the model where the budget limits loading: the least that bound a median at 95 %."""


class _Incomplete(Exception):
    """Not every model could be measured."""

    def __init__(self, measured: dict[str, Measurement | MeasureError]) -> None:
        super().__init__()
        self.measured = measured


def required(measured: Measurement | MeasureError) -> Measurement:
    """What was measured.

    Raises:
        MeasureError: It could not be.
    """
    if isinstance(measured, MeasureError):
        raise measured
    return measured


def _called(name: str, graph: str) -> str:
    return name if graph == "model" else f"{name}, {graph}"


def _whole(parts: Sequence[Measurement | MeasureError]) -> Measurement | MeasureError:
    """What graphs take that run one behind the other, or why one of them could not be measured."""
    failed = [each for each in parts if isinstance(each, MeasureError)]
    return failed[0] if failed else in_turn([required(each) for each in parts])


class Measurer:
    """Measures on the job's profile; what the store has is replayed, so that a resumed run decides as before."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def evaluation(self, onnx: Artefact, split: str, *, whole: bool = False) -> Evaluation:
        """What an ONNX artefact scores on a split, row by row as on the device.

        Args:
            onnx: The artefact.
            split: Its name.
            whole: Whether that is to have the metrics that cost many inferences a row, too.
        """
        job = self._job
        whole = whole and bool(job.task.costly_metrics)
        facts = {
            "kind": "evaluation",
            "model": onnx.key,
            "split": split,
            "data": job.data_digest,
            **(self._scored if whole else {"metrics": job.task.metrics}),
            **job.runtime,
        }

        def build(out: Path, work: Path) -> None:
            examples = job.validation if split == "validation" else job.test
            with costs.taken(job, costs.EVALUATION, len(examples), out):
                measurer = Measurer(job.reading(onnx))
                predictions, metrics = measurer._predict(onnx.model, split, f"{split} rows", whole=whole)
            np.save(out / PREDICTIONS, predictions)
            (out / METRICS).write_text(json.dumps(metrics), "utf-8")

        folder = job.store.make(key(facts), build)
        return Evaluation(json.loads((folder / METRICS).read_text("utf-8")), np.load(folder / PREDICTIONS))

    def intervals(
        self, final: Artefact, original: Artefact, split: str, confidence: float
    ) -> tuple[dict[str, Interval], dict[str, Interval]]:
        """Metrics of the final model, and their drops below the original's, with one-sided bounds over the rows."""
        facts = {
            "kind": "intervals",
            "models": [final.key, original.key],
            "split": split,
            "data": self._job.data_digest,
            "confidence": confidence,
            **self._scored,
            **self._job.runtime,
        }

        def compute() -> list[dict[str, Interval]]:
            references = self._job.task.references(self._job.test if split == "test" else self._job.validation)
            ours, theirs = (self.evaluation(onnx, split, whole=True).predictions for onnx in (final, original))

            def scorer(predictions: np.ndarray, rows: np.ndarray) -> dict[str, float]:
                return self._job.task.score(predictions, references[rows], self._job.contract)

            reached = levels(scorer, ours, confidence)
            if final.key == original.key:
                return [reached, {name: Interval(0.0, 0.0, 0.0) for name in reached}]
            return [reached, drops(scorer, theirs, ours, confidence)]

        found = self._job.store.record(key(facts), compute)
        both = [{name: Interval(*interval) for name, interval in each.items()} for each in found]
        return both[0], both[1]

    def agreement(self, final: Artefact, original: Artefact, split: str) -> float | None:
        """Share of rows that the final model, on the profile's provider, answers as the original does in fp32 on a CPU.

        None where the task's answers do not name one of several things.
        """
        facts = {**self._of_answers("agreement", final, split), "original": original.key}

        def compute() -> float | None:
            job = self._job
            plain = {"providers": (ProviderSpec(name=CPU),), "session": SessionSpec()}
            on_cpu = job.profile.model_copy(update=plain)
            reference = replace(job, profile=on_cpu, device=HERE)
            theirs = Measurer(reference).evaluation(original, split).predictions
            same = job.task.agree(self.evaluation(final, split).predictions, theirs)
            return None if same is None else float(np.mean(same))

        found: float | None = self._job.store.record(key(facts), compute)
        return found

    def calibration(self, onnx: Artefact) -> dict[str, Any]:
        """What the answers of an ONNX artefact on the validation rows add to its contract (`Task.calibrate`)."""
        job = self._job

        def compute() -> dict[str, Any]:
            predictions = self.evaluation(onnx, "validation").predictions
            return job.task.calibrate(predictions, job.task.references(job.validation), job.contract)

        return job.store.record(key(self._of_answers("calibration", onnx, "validation")), compute)

    def assessment(self, onnx: Artefact, split: str) -> dict[str, Any]:
        """What else the answers of an ONNX artefact on a split tell (`Task.evaluate`), and on unknown inputs."""
        job = self._job
        facts = self._of_answers("assessment", onnx, split)
        if job.recipe.data.unknown is not None:
            facts["unknown"] = job.unknown_digest

        def compute() -> dict[str, Any]:
            references = job.task.references(job.test if split == "test" else job.validation)
            contract = job.contract.extended(self.calibration(onnx))
            predictions = self.evaluation(onnx, split, whole=True).predictions
            told = job.task.evaluate(predictions, references, contract)
            if job.unknown and (found := self._unknown(onnx, predictions, contract)):
                told["open_world"] = found
            return told

        return job.store.record(key(facts), compute)

    def _unknown(self, onnx: Artefact, predictions: np.ndarray, contract: Contract) -> dict[str, Any]:
        own = self._job.reading(onnx)
        others = Measurer(own)._answers(onnx.model, own.unknown, "unknown rows")
        return self._job.task.unknown(predictions, others, contract)

    def _of_answers(self, kind: str, onnx: Artefact, split: str) -> dict[str, Any]:
        """What a record of an artefact's answers on a split hangs on."""
        return {
            "kind": kind,
            "version": ASSESSMENT_VERSION,
            "model": onnx.key,
            "split": split,
            "data": self._job.data_digest,
            **self._scored,
            **self._job.runtime,
        }

    @property
    def _scored(self) -> dict[str, Any]:
        """What is told of reported models: the metrics, and what the costly ones are taken by."""
        task = self._job.task
        return {"metrics": task.metrics, "costly": dict(task.costly_metrics)}

    def scores(self, file: Path) -> dict[str, float]:
        """What a file that a stage is still working on scores on the validation rows.

        Raises:
            StageError: It answers with what is no number.
        """
        predictions, metrics = self._predict(file, "validation", "candidate")
        if got := unanswered.told(predictions):
            raise StageError(f"'{file.name}' must answer with numbers, got {got}")
        return metrics

    def latencies(
        self, models: Mapping[str, Artefact], settings: MeasureSpec, *, opening: bool = False
    ) -> dict[str, Measurement | MeasureError]:
        """Latency of several models against each other; what could not be measured has its error, and is not kept.

        Args:
            models: By name.
            settings: How it is taken.
            opening: Whether what is timed are the requests that begin an answer (`Task.prefill_requests`).
        """
        job = self._job
        facts = {
            "kind": "latency of openings" if opening else "latency",
            "models": {name: onnx.key for name, onnx in models.items()},
            "settings": settings.model_dump(),
            "data": job.facts["data"],
            **job.recipe.data.options(),
            **job.runtime,
        }
        budget = job.recipe.budget
        loads = LOADS if budget.load_ms or budget.first_inference_ms else 1

        def compute() -> dict[str, Any]:
            subjects = {
                (name, graph): subject
                for name, onnx in models.items()
                for graph, subject in Measurer(job.reading(onnx))._subjects(onnx.model, opening=opening).items()
            }
            with costs.taken(job, costs.LATENCY, len(subjects) * settings.seconds):
                named = {_called(*place): subject for place, subject in subjects.items()}
                each = measure(named, settings, progress=job.progress, loads=loads)
            measured = {
                name: _whole([each[_called(*place)] for place in subjects if place[0] == name]) for name in models
            }
            whole = {name: each.to_json() for name, each in measured.items() if isinstance(each, Measurement)}
            if len(whole) < len(measured):
                raise _Incomplete(measured)
            return whole

        try:
            found = job.store.record(key({**facts, "loads": loads}), compute)
        except _Incomplete as incomplete:
            return incomplete.measured
        return {name: Measurement.from_json(found[name]) for name in models}

    def medians(self, files: Sequence[Path]) -> list[int]:
        """p50 of files that a stage is still working on, in nanoseconds, taken against each other.

        Raises:
            MeasureError: One of them could not be measured.
        """
        if self._job.untimed:
            raise MeasureError(f"latency must be measured on the hardware itself: {self._job.untimed}")
        names = [str(index) for index in range(len(files))]
        subjects = {name: self._subject(file) for name, file in zip(names, files, strict=True)}
        measured = measure(subjects, self._job.quick, progress=self._job.progress, loads=1)
        return [int(np.median(required(measured[name]).samples)) for name in names]

    def _subjects(self, file: Path, *, opening: bool) -> dict[str, Subject]:
        """What is timed, by graph: each that an opening takes, else `model`."""
        if not opening:
            return {"model": self._subject(file)}
        files = self._job.task.files(file)
        return {graph: self._subject(files[graph], requests) for graph, requests in self._openings.items()}

    def _subject(self, file: Path, requests: Requests | None = None) -> Subject:
        job = self._job
        profile, states = job.profile, job.task.fed_back(job.contract)
        held, io = requests or self._requests, profile.measure.io
        return Subject(
            file,
            profile.providers,
            profile.threads,
            held,
            states,
            device=job.device,
            io=io,
            session=profile.session,
        )

    @cached_property
    def _openings(self) -> dict[str, Requests]:
        job = self._job
        found = job.task.prefill_requests(job.validation, job.processor)
        return {graph: Requests(tuple(requests), "real rows") for graph, requests in found.items()}

    @cached_property
    def _requests(self) -> Requests:
        job = self._job
        return Requests(tuple(job.task.requests(job.validation, job.processor)), "real rows")

    def _predict(
        self, file: Path, split: str, label: str, *, whole: bool = False
    ) -> tuple[np.ndarray, dict[str, float]]:
        job = self._job
        examples = job.validation if split == "validation" else job.test
        predictions = self._answers(file, examples, label, whole=whole)
        return predictions, job.task.score(predictions, job.task.references(examples), job.contract)

    def _answers(self, file: Path, examples: Sequence[Example], label: str, *, whole: bool = False) -> np.ndarray:
        job = self._job
        ask = job.task.examine if whole else job.task.predict
        files = job.task.files(file)
        first = next(iter(files))
        # A row of what streams is as many requests as it has frames.
        total = None if whole or job.task.fed_back(job.contract) else len(examples)
        with (
            answering(files, job.profile, job.device) as answer,
            job.progress.bar(label, total) as advance,
        ):

            def run(feeds: Mapping[str, np.ndarray], graph: str = "model") -> dict[str, np.ndarray]:
                if graph == first:
                    advance()
                return answer(feeds, graph)

            # Row by row: the ranges of dynamic quantization depend on what else is in the batch.
            return ask(run, examples, job.processor)
