from __future__ import annotations

import json
from typing import Any

import pytest

from edgesft.report.html.render import render
from tests.report.html import made
from tests.report.html.reading import Page, read

EVIL = "</title></style><script>alert('x')</script>\"'><img src=x onerror=alert(1)>$x_{"


def page(found: dict[str, Any], name: str = "demo") -> Page:
    return read(render(found, name))


def test_it_opens_with_the_verdict_and_the_budget() -> None:
    text = page(made.results()).text
    order = [
        "demo",
        "✗ Fail",
        "1 of 4 lines fails: size_mb",
        "is inconclusive: latency_ms.p95",
        "p95 latency",
        "3 rows are also in train",
        "prune: 1.22 ms",
    ]
    places = [text.index(each) for each in order]
    assert places == sorted(places)


def test_it_tells_everything() -> None:
    text = page(made.results()).text
    for words in (
        "5.58 × as fast as the original's 2.48 ms",
        "+0.6 points against the original",
        "21 % of 91.6 MB",
        "3 rows are also in train",
        "prune: 1.22 ms, -51 %",
        "distill: 68.1, -0.5 points, rolled back",
        "quantize ★",
        "Round by round",
        "3 of 3 nodes in 1 partition",
        "the step whose weights are kept",
        "ROC",
        "Confusion",
        "Calibration",
        "all-MiniLM-L6-v2",
        "finetune → prune → quantize",
        "ab" * 32,
        "Licences",
        "cores: the profile needs at least 8",
    ):
        assert words in text, words


def test_results_of_the_first_versions_are_told_as_far_as_they_go() -> None:
    text = page(made.old()).text
    assert "have no samples" in text and "All stages as a table" in text and "accuracy against latency" in text
    assert "Learning" not in text and "Answers of the final model" not in text


def test_the_same_results_give_the_same_page() -> None:
    assert render(made.results(), "demo") == render(made.results(), "demo")


def test_it_is_small() -> None:
    assert len(render(made.results(), "demo").encode()) < 200_000


def test_labels_of_users_are_text() -> None:
    found = made.results(profile=EVIL, warnings=[EVIL], evaluation=made.evaluation((EVIL, "b", EVIL)))
    for place, stage in enumerate(found["stages"]):
        stage.update(name=f"{EVIL}{place}", reason=EVIL, precision=EVIL, problem=EVIL if place == 1 else "")
        stage["measurement"].update(inputs=EVIL, unsteady=[EVIL])
        if training := stage["details"].get("training"):
            training["history"] = [{**each, "metrics": {**each["metrics"], EVIL: 0.5}} for each in training["history"]]
            stage["details"]["diagnosis"] = [{"name": EVIL, "message": EVIL, "hint": EVIL, "rows": [[EVIL, 1]]}]
    found["recipe"].update(model=EVIL, task=EVIL, data={"train": [EVIL]})
    found["environment"].update(model=EVIL, versions={EVIL: EVIL})
    found["budget"].append({**found["budget"][0], "name": f"max_drop.{EVIL}", "reason": EVIL})
    found["licences"] = [dict.fromkeys(("of", "name", "licence", "found"), EVIL)]
    text = render(found, EVIL)
    shown = read(text)
    assert "<script" not in text and not shown.all("img")
    assert EVIL in shown.text


@pytest.mark.parametrize("metric", ["accuracy", EVIL])
def test_a_metric_may_have_any_name(metric: str) -> None:
    text = json.dumps(made.results(evaluation={}))
    page(json.loads(text.replace('"accuracy"', json.dumps(metric))))


def test_one_stage_without_measurement_budget_or_answers() -> None:
    stage = made.stage(0) | {"latency_ns": None, "provider": None, "problem": "it crashed"}
    del stage["measurement"], stage["latency_bounds_ns"]
    text = page(made.results(stages=[stage], budget=[], evaluation={}, warnings=[], verdict="pass")).text
    assert "No limit was set." in text and "it crashed" in text and "Latency and placement" not in text


def test_tuning_is_told() -> None:
    trials = [
        {"settings": {"learning_rate": 1e-4 * each}, "value": 0.6, "seconds": 60.0, "problem": ""} for each in (1, 2)
    ]
    found = {
        "metric": "accuracy",
        "space": {"learning_rate": {}},
        "trials": trials,
        "chosen": 1,
        "reason": "better for sure",
    }
    text = page(made.results(tuning=found)).text
    assert "better for sure" in text and "0.0002" in text


def test_values_are_in_the_metric_s_own_unit() -> None:
    text = page(made.decibels()).text
    assert "si_sdr dB" in text and "12.34" in text and "si_sdr %" not in text and "1234.0" not in text


def test_licences_are_told_where_the_results_have_them() -> None:
    known = {"of": "model", "name": "all-MiniLM-L6-v2", "licence": "Apache-2.0", "found": "README.md"}
    unknown = {"of": "data.train", "name": "train.jsonl", "licence": None, "found": None}
    text = page(made.results(licences=[known, unknown])).text
    assert "Apache-2.0README.md" in text and "train.jsonlunknown: check the source" in text
    assert "Not recorded in these results" in page(made.results()).text


def test_drift_is_seen() -> None:
    found = made.results(stages=[made.stage(0, drift=0.2)])
    assert "drifted by +1" in page(found).text


@pytest.mark.parametrize("count", [2, 13, 60])
def test_confusion_of_few_and_many_classes(count: int) -> None:
    text = render(made.results(evaluation=made.evaluation(tuple(f"class {each}" for each in range(count)))), "demo")
    assert ("The 24 of 60 classes" in read(text).text) == (count == 60)
    assert len(text) < 400_000


def test_many_stages_are_drawn_as_far_as_colours_go() -> None:
    stages = [made.stage(place % 4) | {"name": f"stage {place}"} for place in range(14)]
    assert "8 of 14 are drawn" in page(made.results(stages=stages)).text


def test_figures_that_are_all_alike() -> None:
    flat = made.results()
    for stage in flat["stages"]:
        stage["measurement"]["sketch"] = {"version": 1, "rounds_p50_ns": [5, 5], "quantiles_ns": [5] * 101}
        stage["levels"]["accuracy"] = {"value": 1.0, "lower": 1.0, "upper": 1.0}
    page(flat)


def test_a_sketch_of_a_later_version_is_left_alone() -> None:
    found = made.results()
    for stage in found["stages"]:
        stage["measurement"]["sketch"] = {"version": 2, "else": True}
    assert "have no samples" in page(found).text


def test_answers_of_tasks_without_a_matrix() -> None:
    pairs = [{"true": EVIL, "predicted": "B-per", "rows": 7}]
    classes = [{"name": "loc", "precision": 0.5, "recall": 0.5, "f1": 0.5, "rows": 9}]
    found = {"rows": 9, "by": "entities", "averages": {"f1_micro": 0.5}, "classes": classes, "confused": pairs}
    text = page(made.results(evaluation=found)).text
    assert "Confused classes" in text and "entities, worst first" in text and EVIL in text
    spans = {
        "rows": 9,
        "by": "words",
        "averages": {},
        "classes": [{"name": "1", "f1": 0.5, "exact_match": 0.4, "rows": 9}],
    }
    assert "words, worst first" in page(made.results(evaluation=spans)).text


def test_answers_of_several_heads_and_of_unknown_inputs() -> None:
    heads = {"mood": made.evaluation(("bad", "good")), EVIL: made.evaluation()}
    world = {"rows": 5, "auroc": 0.9, "fpr95": 0.2, "threshold": 0.5, "accepted_known": 0.95, "accepted_unknown": 0.2}
    found = {"rows": 9, "by": "heads", "averages": {}, "classes": [], "heads": heads, "open_world": world}
    text = page(made.results(evaluation=found)).text
    for words in ("Confusion of mood", "ROC of mood, 'good'", f"Confusion of {EVIL}", "AUROC 0.900"):
        assert words in text, words
