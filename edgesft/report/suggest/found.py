"""A run's results as suggestions read them: which lines fell short by how much, and what each stage did."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from edgesft.budget.metric import scale
from edgesft.report.stages import final, metric_of, original

Stage = Mapping[str, Any]

UPPER = ("latency_ms", "latency_ratio", "size_mb", "size_ratio", "peak_memory_mb", "load_ms", "parameters")
"""Lines that less of something meets, and that each stage's row has a figure for."""

MARGIN = 0.97
"""What is aimed at lies so far below a limit: the bound must hold, not the figure alone."""


def lost(metric: str, drop: float) -> str:
    """`1.2 points lost`, `0.3 dB gained`: how far a metric fell, in the unit of its scale."""
    of = scale(metric)
    return (
        f"{of.number(abs(drop))} {of.difference} {'gained' if of.number(drop).startswith('-') and drop < 0 else 'lost'}"
    )


@dataclass(frozen=True)
class Suggestion:
    """One change of the recipe.

    Attributes:
        change: What to do, a sentence without its full stop.
        settings: The recipe's values for `edgesft run recipe.yaml …`; empty where it is no value.
        evidence: What was measured that speaks for it.
        values: Line → the value that is to be expected there; an estimate, from measured figures.
        drop: How far the deciding metric is then below the fine-tuned original, where that was measured; else None.
    """

    change: str
    evidence: str
    settings: tuple[str, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    drop: float | None = None


@dataclass(frozen=True)
class Found:
    """What a run found, read for what could be changed."""

    results: Mapping[str, Any]

    @cached_property
    def lines(self) -> dict[str, Mapping[str, Any]]:
        """The budget's lines by name."""
        return {line["name"]: line for line in self.results["budget"]}

    @cached_property
    def missed(self) -> dict[str, Mapping[str, Any]]:
        """Those that failed, of the kinds that less of something meets."""
        return {name: line for name, line in self.lines.items()
                if line["verdict"] == "fail" and name.split(".")[0] in UPPER and line["value"]}  # fmt: skip

    @cached_property
    def metric(self) -> str:
        """The metric that decides."""
        return metric_of(self.results)

    @cached_property
    def last(self) -> Stage:
        """The stage that gave what ships."""
        return final(self.results)

    @cached_property
    def first(self) -> Stage:
        """The fine-tuned original."""
        return original(self.results)

    @property
    def stages(self) -> Sequence[Stage]:
        """All of them, kept or not."""
        stages: Sequence[Stage] = self.results["stages"]
        return stages

    @property
    def kept(self) -> list[Stage]:
        """Those that what ships went through."""
        return [stage for stage in self.stages if stage["kept"]]

    @cached_property
    def allowance(self) -> float:
        """How far the metric may fall, where the budget says so; else nothing is in the way."""
        line = self.lines.get(f"max_drop.{self.metric}")
        return float(line["limit"]) if line else math.inf

    def before(self, stage: Stage) -> Stage | None:
        """The last stage before one that was kept: what it started from."""
        place = self.stages.index(stage)
        return next((each for each in reversed(self.stages[:place]) if each["kept"]), None)

    def value(self, line: str, stage: Stage) -> float | None:
        """What a line's value is for the model of a stage, as it was measured."""
        kind, _, p = line.partition(".")
        timed = (stage.get("latency_ns") or {}).get(p)
        whole = (self.first.get("latency_ns") or {}).get(p)
        measured = stage.get("measurement") or {}
        values = {
            "latency_ms": timed and timed / 1e6,
            "latency_ratio": timed / whole if timed and whole else None,
            "size_mb": stage["size_bytes"] / 1e6,
            "size_ratio": stage["size_bytes"] / self.first["size_bytes"],
            "peak_memory_mb": (measured.get("peak_memory_bytes") or 0) / 1e6 or None,
            "load_ms": (measured.get("load_ns") or 0) / 1e6 or None,
            "parameters": stage.get("parameters"),
        }
        found: float | None = values.get(kind)
        return found

    def share(self, line: str, stage: Stage) -> float | None:
        """What a stage left of a line's value."""
        base = self.before(stage)
        before, after = (base and self.value(line, base)), self.value(line, stage)
        return after / before if before and after else None

    def drop(self, stage: Stage) -> float:
        """How far the metric fell below the original's, on the split of the report."""
        return float((stage["drops"].get(self.metric) or {}).get("value") or 0.0)

    def cost(self, stage: Stage) -> float:
        """How much of that fell in this stage."""
        base = self.before(stage)
        return self.drop(stage) - (self.drop(base) if base else 0.0)

    @property
    def specs(self) -> Sequence[Mapping[str, Any]]:
        """The stages as the recipe has them; none where old results lack it."""
        found: Sequence[Mapping[str, Any]] = (self.results.get("recipe") or {}).get("stages") or ()
        return found

    def setting(self, stage: Stage, name: str, value: object) -> str:
        """`stages.prune.latency=0.4`, the stage by its index where others are of its kind."""
        specs = self.specs
        names = [str(spec.get("name") or spec["stage"]) for spec in specs]
        word = str(stage["name"])
        if names.count(word) != 1:
            # The planner numbers kinds that repeat: the second `prune` is `prune-2`.
            same = [
                index for index, spec in enumerate(specs) if not spec.get("name") and spec["stage"] == stage["stage"]
            ]
            number = word.removeprefix(f"{stage['stage']}-")
            word = str(same[int(number) - 1 if number.isdecimal() else 0])
        return f"stages.{word}.{name}={value}"

    def spec(self, kind: str) -> Mapping[str, Any] | None:
        """What the recipe says of a kind of stage."""
        return next((spec for spec in self.specs if spec["stage"] == kind), None)

    def lost(self, drop: float) -> str:
        """`1.2 points lost`, `0.3 dB gained`."""
        return lost(self.metric, drop)

    def allowing(self, drop: float) -> tuple[str, ...]:
        """The setting that allows such a drop, where the budget does not."""
        if drop <= self.allowance:
            return ()
        # Rounded up in the last digit that a report shows, so that what was measured is within it.
        step = 10.0 ** -scale(self.metric).digits / scale(self.metric).times
        return (f"budget.max_drop.{self.metric}={math.ceil(drop / step - 1e-9) * step:g}",)
