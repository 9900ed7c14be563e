"""`scheme: auto`: makes, scores and times every candidate that the profile allows, and keeps the best."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from edgesft.budget.metric import fall
from edgesft.errors import StageError
from edgesft.measure.driver import MeasureError
from edgesft.spec.stages import QuantizeSpec
from edgesft.stages.artefact import Artefact, refill
from edgesft.stages.context import StageContext, StageReport
from edgesft.stages.quantize.candidates import PRECISION, Candidate, build, shrunk, wanted, weight
from edgesft.stages.quantize.choose import ROUNDING, Choice, Figures, choose
from edgesft.stages.quantize.plan import by_graph
from edgesft.store.store import Store

RESCUED = 0.95
"""What takes more than this share of the time of what can be kept is not worth several tries."""

SMOOTH = 0.5
"""The strength that Xiao et al. 2022 (arXiv 2211.10438, section 5.1) found a good balance for most models."""

SOURCE = "source"
"""The float model among those that are timed."""


@dataclass
class Trials:
    """The candidates of a stage, and what was found of each.

    Attributes:
        spec: The stage.
        artefact: The float model.
        context: Measures, scores, and keeps in its work folder what was found.
        rows: Candidate → its facts, with `metrics` once it was scored; under `error` why there is none.
    """

    spec: QuantizeSpec
    artefact: Artefact
    context: StageContext
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self, out: Path) -> StageReport:
        """Fills the folder with the best candidate, or with the float model where none can be made.

        Raises:
            InputError: An exclude pattern matches no node.
            StageError: The profile allows no candidate.
        """
        candidates = {candidate.name: candidate for candidate in self._wanted()}
        with self.context.progress.bar("quantize", len(candidates)) as advance:
            for candidate in candidates.values():
                self._try(candidate)
                advance(1)
        if not self._made:
            return self._nothing(out)
        timed = self._latency("latency")
        reference = self._reference()
        figures = self._figures(timed, reference)
        if self._rescued([candidates[each.name] for each in self._too_far(figures, timed[SOURCE])], reference):
            timed = self._latency("latency-rescued")
            figures = self._figures(timed, reference)
        choice = choose(figures, self.context.allowance, timed[SOURCE], self._room())
        refill(out, self.context.task.files(self._place(choice.name)).values(), self.artefact)
        return self._report(figures, choice, timed[SOURCE], reference)

    def _wanted(self) -> Sequence[Candidate]:
        by_graph(self.spec.exclude, self._files)  # What matches nothing is the user's error, not a candidate's.
        profile = self.context.profile
        candidates = wanted(self.spec, profile)
        if not candidates:
            raise StageError(
                f"'scheme: auto' must find something to try among the precisions of profile '{profile.name}'. "
                f"Got {list(profile.precisions)} on {profile.providers[0].name}"
            )
        return candidates

    def _try(self, candidate: Candidate) -> None:
        """Makes and scores a candidate."""
        name, records = candidate.name, Store(self.context.work)
        make = partial(build, candidate, self.spec, self.artefact, self._place(name), self.context)
        row = self.rows[name] = records.record(f"built-{name}", partial(_attempt, make))
        if "error" not in row:
            evaluate = partial(self.context.evaluate, self._place(name))
            answer = records.record(f"metrics-{name}", partial(_attempt, evaluate))
            row.update(answer if "error" in answer else {"metrics": answer})

    def _too_far(self, figures: Sequence[Figures], source_p50_ns: int) -> list[Figures]:
        """The fastest int8 candidate, alone, where it is faster than what can be kept and drops too much."""
        choice = choose(figures, self.context.allowance, source_p50_ns, self._room())
        bar = next(each.p50_ns for each in figures if each.name == choice.name) if choice.qualified else source_p50_ns
        int8 = [each for each in figures if PRECISION[self.rows[each.name]["plan"]["scheme"]] == "int8"]
        far = [each for each in int8 if each.p50_ns < bar * RESCUED and each.drop > self.context.allowance + ROUNDING]
        return sorted(far, key=lambda each: each.p50_ns)[:1]

    def _rescued(self, candidates: Sequence[Candidate], reference: Mapping[str, float]) -> bool:
        """Tries what brings a candidate within the allowance: smoothing, which takes no time of the model's, then nodes
        that stay in float. Whether one does.
        """
        if not candidates:
            return False
        (candidate,) = candidates
        if candidate.backend == "onnxruntime":
            plain, smoothed = candidate, replace(candidate, smooth=SMOOTH)
            drops = {each: self._tried(each, reference) for each in (plain, smoothed)}
            if drops[smoothed] <= self.context.allowance + ROUNDING:
                return True
            candidate = min(drops, key=lambda each: drops[each])
        return self._mixed(candidate, reference)

    def _tried(self, candidate: Candidate, reference: Mapping[str, float]) -> float:
        """What a candidate drops by; without bound where it cannot be made."""
        self._try(candidate)
        row = self.rows[candidate.name]
        return math.inf if "error" in row else self._drop(row, reference)

    def _mixed(self, candidate: Candidate, reference: Mapping[str, float]) -> bool:
        """Leaves in float what a candidate bears least, until it is within the allowance; whether it comes to be."""
        if self.artefact.origin is None:
            return False
        from edgesft.stages.quantize import mixed
        from edgesft.train.checkpoint import load

        work, origin = Store(self.context.work), self.artefact.origin
        order = work.record("sensitivity", lambda: mixed.sensitive(load(origin.path, self.context.task), self.context))

        def attempt(kept: tuple[str, ...]) -> float:
            return self._tried(replace(candidate, kept=kept), reference)

        nodes = self.rows[candidate.name]["plan"]["quantized"]
        return mixed.rescued(nodes, order, attempt, self.context.allowance + ROUNDING) is not None

    def _room(self) -> float:
        """Bytes that the budget leaves the model beside what else ships."""
        if self.context.size_limit is None:
            return math.inf
        return self.context.size_limit - (self.artefact.size_bytes - weight(self._files.values()))

    @property
    def _files(self) -> dict[str, Path]:
        return self.context.task.files(self.artefact.model)

    @property
    def _made(self) -> list[str]:
        return [name for name, row in self.rows.items() if "error" not in row]

    def _latency(self, record: str) -> dict[str, int]:
        """Medians of the source and of what was made, interleaved."""
        names = self._made

        def measure() -> dict[str, int]:
            places = [self.artefact.model, *map(self._place, names)]
            if self.context.untimed:
                return self._moved(places, names)
            return dict(zip((SOURCE, *names), self.context.latency(places), strict=True))

        self.context.progress.say(f"quantize: timing {', '.join(names)}")
        found: dict[str, int] = Store(self.context.work).record(record, measure)
        return found

    def _moved(self, places: Sequence[Path], names: Sequence[str]) -> dict[str, int]:
        """Bytes, which stand for times where nothing can be timed: fewer are moved. What computes as the source does
        moves as many.
        """
        sizes = dict(zip((SOURCE, *names), [place.stat().st_size for place in places], strict=True))
        as_before = [name for name in names if self.rows[name]["plan"]["scheme"] == "int8-weights"]
        return {**sizes, **dict.fromkeys(as_before, sizes[SOURCE])}

    def _reference(self) -> dict[str, float]:
        original = self.context.reference or self.artefact
        work = Store(self.context.work)
        found: dict[str, float] = work.record("metrics-reference", lambda: self.context.evaluate(original.model))
        return found

    def _drop(self, row: Mapping[str, Any], reference: Mapping[str, float]) -> float:
        deciding = self.context.task.metrics[0]
        return fall(reference[deciding], row["metrics"][deciding])

    def _figures(self, timed: Mapping[str, int], reference: Mapping[str, float]) -> list[Figures]:
        rows = {name: self.rows[name] for name in self._made}
        return [
            Figures(name, row["size_bytes"], timed[name], row["metrics"], self._drop(row, reference))
            for name, row in rows.items()
        ]

    def _place(self, name: str) -> Path:
        return self.context.work / "candidates" / name / self.artefact.model.name

    def _nothing(self, out: Path) -> StageReport:
        reasons = "; ".join(f"{name}: {row['error']}" for name, row in self.rows.items())
        self.context.progress.say(f"quantize: no candidate works here: {reasons}")
        refill(out, (), self.artefact)  # a run that got so far is worth more than the bytes lost
        failed = [{"name": name, **row} for name, row in self.rows.items()]
        return StageReport(f"nothing: no candidate works here: {reasons}", {"chosen": None, "candidates": failed})

    def _report(
        self, figures: Sequence[Figures], choice: Choice, source_p50_ns: int, reference: Mapping[str, float]
    ) -> StageReport:
        by_name, allowance = {item.name: item for item in figures}, self.context.allowance
        details = []
        for name, row in self.rows.items():
            if name in by_name:
                told = by_name[name].to_json()
                told["p50_ns"] = None if self.context.untimed else told["p50_ns"]
                details.append({**row, **told, "verdict": choice.verdicts[name]})
            elif "error" in row:
                details.append({"name": name, "verdict": f"failed: {row['error']}"})
            else:
                verdict = f"drops {self._drop(row, reference):.4f}, allowance {allowance:.4f}"
                details.append({"name": name, **row, "verdict": f"{verdict}; not timed"})
        best = by_name[choice.name]
        pace = "not timed" if self.context.untimed else f"p50 × {best.p50_ns / source_p50_ns:.2f}"
        summary = (
            f"{best.name}: {shrunk(self.rows[best.name], self._files.values())}, {pace}, "
            f"{self.context.task.metrics[0]} {0.0 - best.drop:+.4f}"
        )
        if not choice.qualified:
            summary += f", beyond the allowance of {allowance:.4f}: no candidate is within it"
        return StageReport(
            summary,
            {
                "chosen": choice.name,
                "qualified": choice.qualified,
                "allowance": allowance,
                "reference": dict(reference),
                "source_p50_ns": None if self.context.untimed else source_p50_ns,
                "untimed": self.context.untimed,
                "candidates": details,
            },
        )


def _attempt(make: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What a call returns, or its failure as data: one candidate that does not work must not end the run."""
    try:
        return dict(make())
    except (OSError, MemoryError, MeasureError):
        raise  # A full disk or a killed process says nothing about the candidate.
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
