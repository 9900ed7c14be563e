"""What a comparison says, of measurements that nobody took, and what it refuses before it takes some."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgesft
from edgesft.budget import paired
from edgesft.errors import InputError
from edgesft.gate import compare as gate
from edgesft.gate.compare import Asked, compare, document
from edgesft.gate.document import GateDocument
from edgesft.measure.bench.comparison import FIGURES, Comparison, Question
from edgesft.measure.bench.order import Order
from edgesft.measure.devices import HERE, Interpreter
from edgesft.measure.measurement import Measurement
from edgesft.measure.model.file import inspect
from edgesft.progress import Progress
from edgesft.report.gate import render
from edgesft.spec.profile import MeasureSpec
from tests import tiny
from tests.gate.test_artefact import save_moods
from tests.measure import models
from tests.report.measured import measurement

PROFILE = models.profile()
QUIET = Progress(quiet=True)


def side(factor: float) -> Measurement:
    taken = tuple(tuple(int(1e6 * factor) + place for place in range(10)) for _ in range(4))
    return measurement(rounds=taken, loads_ns=(int(5e6 * factor),))


def found(tmp_path: Path, effects: dict[str, list[float]], question: Question, **changes: Any) -> Comparison:
    """A comparison of two files whose blocks have these log ratios."""
    files = tuple(
        inspect(models.save_product(tmp_path / name, width=width)) for name, width in (("new.onnx", 6), ("old.onnx", 5))
    )
    look = paired.look(effects, question.gating, paired.limit(question.min_effect), 1)
    blocks = tuple((side(1.1), side(1.0)) for _ in range(4))
    told = {"floor": 0.02, "refused": False, "seconds": 4.0, **changes}
    return Comparison(question, files, blocks, look, **told)  # type: ignore[arg-type]


def lines(said: GateDocument) -> dict[str, dict[str, Any]]:
    return {each.line.name: each.to_json() for each in said.lines}


@pytest.mark.parametrize(
    ("effect", "verdict", "change"),
    [(0.1, "fail", "slower"), (0.0, "pass", "same"), (-0.1, "pass", "faster")],
)
def test_a_verdict_with_an_interval_for_each_figure(tmp_path: Path, effect: float, verdict: str, change: str) -> None:
    near = [effect - 0.002, effect, effect + 0.002, effect]
    said = document(found(tmp_path, {"p50": near, "load": near}, Question()), PROFILE, None)
    line = lines(said)["latency.p50"]
    assert said.verdict == verdict and line["verdict"] == verdict and line["change"] == change
    assert line["lower"] < line["value"] < line["upper"] and line["value"] == pytest.approx(np.exp(effect))
    shown = lines(said)["load"]
    assert not shown["gates"] and shown["change"] == change, "others are shown, and decide nothing"


def test_size_gates_where_it_is_asked_for(tmp_path: Path) -> None:
    same = {"p50": [0.0, 0.001, -0.001, 0.0]}
    comparison = found(tmp_path, same, Question())
    shown, gating = (document(comparison, PROFILE, None, sized=sized) for sized in (False, True))
    assert (shown.verdict, gating.verdict) == ("pass", "fail")
    assert lines(gating)["size"]["change"] == "larger" and lines(gating)["size"]["value"] > 1


def test_without_a_figure_that_is_timed_there_is_no_noise_floor(tmp_path: Path) -> None:
    comparison = found(tmp_path, {"p50": [0.0, 0.001, -0.001, 0.0]}, Question(gating=()), floor=None)
    said = document(comparison, PROFILE, None, sized=True)
    data = json.loads(render(said.to_json(), "json"))
    assert data["noise_floor"] is None and not any("noise floor" in note for note in data["notes"])


def test_an_effect_below_the_noise_floor_is_refused_with_the_number(tmp_path: Path) -> None:
    loud = {"p50": [0.3, -0.3, 0.2, -0.2]}
    said = document(found(tmp_path, loud, Question(), refused=True, floor=0.1234), PROFILE, None)
    assert said.verdict == "inconclusive"
    reason = lines(said)["latency.p50"]["reason"]
    assert "min effect of 5.00%" in reason and "12.34%" in reason and "--min-effect 0.124" in reason


@pytest.mark.parametrize(
    ("effects", "words"),
    [
        ({"p50": [0.03, 0.02, 0.03, 0.01]}, "lies between the bounds"),
        ({"p50": [0.0]}, "after 4 blocks"),
        ({}, "too few"),
    ],
)
def test_what_is_left_open_says_why(tmp_path: Path, effects: dict[str, list[float]], words: str) -> None:
    said = document(found(tmp_path, effects, Question()), PROFILE, None)
    assert said.verdict == "inconclusive" and words in lines(said)["latency.p50"]["reason"]


def test_what_is_only_shown_is_not_said_to_lack_time(tmp_path: Path) -> None:
    effects = {"p50": [-0.2, -0.21, -0.2, -0.19], "p95": [0.03, 0.02, 0.03, 0.01]}
    said = document(found(tmp_path, effects, Question()), PROFILE, None)
    reason = lines(said)["latency.p95"]["reason"]
    assert said.verdict == "pass" and "--figure p95" in reason and "time was up" not in reason


def test_rows_without_an_answer_are_told(tmp_path: Path) -> None:
    comparison = found(tmp_path, {"p50": [0.1, 0.1, 0.1, 0.101]}, Question())
    blocks = tuple((replace(ours, lost=(1, 0, 2, 0)), theirs) for ours, theirs in comparison.blocks)
    said = document(replace(comparison, blocks=blocks), PROFILE, None)
    assert said.notes[0].startswith("12 rows of the candidate and 0 of the baseline got no answer")
    assert said.to_json()["blocks"][0]["candidate"]["lost"] == [1, 0, 2, 0]
    assert not any("no answer" in note for note in document(comparison, PROFILE, None).notes)


def test_json_has_all_that_was_timed(tmp_path: Path) -> None:
    said = document(found(tmp_path, {"p50": [0.0, 0.0, 0.0, 0.001]}, Question()), PROFILE, None, notes=["well"])
    data = json.loads(json.dumps(said.to_json()))
    assert data["schema"] == "edgesft/compare" and data["notes"][-1] == "well"
    assert len(data["blocks"]) == 4 and data["blocks"][0]["candidate"]["rounds_ns"][0][0] == 1_100_000
    assert data["baseline"]["name"] == "old.onnx" and data["bar"] == pytest.approx(1.05**0.5)


def test_settings_without_effect_are_refused_for_code_as_well(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        edgesft.compare(tmp_path / "a", tmp_path / "b", settings=["threads=1", "budget.size_mb=1", "measure.rounds=9"])
    assert [problem.message.rpartition(", ")[2] for problem in caught.value.problems] == [
        "got budget.size_mb=1",
        "got measure.rounds=9",
    ]


@pytest.mark.parametrize("setting", ["measure={warmup_seconds: 1, samples: 90}", "budget={size_mb: 1}"])
def test_a_whole_mapping_is_looked_into(setting: str) -> None:
    with pytest.raises(InputError, match="must be left out: a comparison .*, got"):
        gate.check_settings([setting])


@pytest.mark.parametrize("setting", ["measure={warmup_seconds: 1}", "measure={}", "measure={", "threads=1"])
def test_other_settings_are_let_through(setting: str) -> None:
    gate.check_settings([setting])


class TestRows:
    """Accuracy, row by row."""

    @pytest.fixture(autouse=True)
    def measured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing is measured here: equal models, as it were."""

        def stand_in(order: Order, question: Question, progress: Progress) -> Comparison:
            files = tuple(inspect(path) for path in order.models)
            look = paired.look({"p50": [0.0, 0.001, -0.001, 0.0]}, ["p50"], paired.limit(0.05), 1)
            blocks = ((side(1), side(1)),)
            return Comparison(question, files, blocks, look, 0.01, False, 1.0)  # type: ignore[arg-type]

        monkeypatch.setattr(gate.comparison, "compare", stand_in)

    @pytest.fixture
    def asked(self, tmp_path: Path) -> Callable[..., Asked]:
        tiny.write_rows(tmp_path / "test.jsonl", tiny.rows(60))
        whole, forgetful = save_moods(tmp_path / "whole"), save_moods(tmp_path / "forgetful", forget=tiny.GOOD)
        return lambda **changes: Asked(**{"candidate": forgetful, "baseline": whole, **changes})

    def order(self) -> Order:
        return Order([], PROFILE, PROFILE.providers[:1])

    def test_a_candidate_that_lost_rows_fails(self, asked: Callable[..., Asked], tmp_path: Path) -> None:
        said = compare(asked(rows=tmp_path / "test.jsonl"), self.order(), QUIET)
        line = lines(said)["max_drop.accuracy"]
        assert said.verdict == "fail" and line["verdict"] == "fail" and line["kind"] == "metric"
        assert line["lower"] > 0.01 and "lost" in line["reason"]

    def test_the_same_rows_right_pass(self, asked: Callable[..., Asked], tmp_path: Path) -> None:
        same = asked(candidate=tmp_path / "whole", rows=tmp_path / "test.jsonl")
        said = compare(same, self.order(), QUIET)
        assert said.verdict == "pass" and lines(said)["max_drop.accuracy"]["value"] == 0

    def test_without_rows_it_says_so(self, asked: Callable[..., Asked]) -> None:
        said = compare(asked(), self.order(), QUIET)
        assert "max_drop.accuracy" not in lines(said) and "--rows" in said.notes[-1]

    def test_rows_of_a_run_that_lie_elsewhere_are_told(self, asked: Callable[..., Asked], tmp_path: Path) -> None:
        recipe = "data: {train: gone.jsonl, test: gone.jsonl}\n"
        (tmp_path / "whole" / "recipe.yaml").write_text(recipe)
        said = compare(asked(), self.order(), QUIET)
        assert "accuracy was not compared" in said.notes[-1] and "gone.jsonl" in said.notes[-1]

    def test_rows_of_a_run_are_taken(self, asked: Callable[..., Asked], tmp_path: Path) -> None:
        rows = json.dumps(str(tmp_path / "test.jsonl"))
        (tmp_path / "whole" / "recipe.yaml").write_text(f"data: {{train: {rows}, test: {rows}}}\n")
        assert lines(compare(asked(), self.order(), QUIET))["max_drop.accuracy"]["verdict"] == "fail"

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"profile": models.profile(measure=MeasureSpec(scenario="cold"))}, "can be taken by turns, got cold"),
            ({"devices": [HERE, Interpreter(Path("other"))]}, "device must be one"),
        ],
    )
    def test_no_row_is_answered_for_what_cannot_be_compared(
        self,
        asked: Callable[..., Asked],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        changes: dict[str, Any],
        words: str,
    ) -> None:
        monkeypatch.setattr(gate, "evaluate_both", None)
        with pytest.raises(InputError, match=words):
            compare(asked(rows=tmp_path / "test.jsonl"), replace(self.order(), **changes), QUIET)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"max_drop": 1.5}, "max drop must be from 0 to 1"),
            ({"min_effect": 0.0}, "min effect must be above 0"),
            ({"figures": ("p51",)}, "figure must be one of"),
            ({"rows": Path("gone.jsonl")}, "gone.jsonl"),
            ({"candidate": Path("gone.onnx")}, "gone.onnx"),
        ],
    )
    def test_what_makes_no_sense(self, asked: Callable[..., Asked], changes: dict[str, Any], words: str) -> None:
        with pytest.raises(InputError) as caught:
            compare(asked(**changes), self.order(), QUIET)
        assert words in str(caught.value)


def test_the_command_line_knows_all_figures() -> None:
    from edgesft.cli.compare import FIGURES as OFFERED

    assert (*FIGURES, gate.SIZE) == OFFERED
