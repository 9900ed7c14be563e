import itertools
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from edgesft.errors import InputError
from edgesft.spec.stages import PruneSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.prune import auto, stage
from edgesft.stages.prune.aim import Aim
from edgesft.stages.prune.round import PLAN
from edgesft.store.store import remember
from edgesft.tasks.text_classification import TextClassification
from edgesft.train import checkpoint
from tests.stages.prune.models import by_size

TASK = TextClassification()

pytestmark = pytest.mark.usefixtures("few_rungs", "weights_for_exports")


def test_it_goes_as_far_as_the_metric_holds(source, context, tmp_path, monkeypatch):
    # All at random: what is cut costs nothing, until the allowance says that it does.
    context = replace(context, latency=by_size([]), allowance=1.0)
    spec = PruneSpec(stage="prune", latency="auto", channel_multiple=4)
    far = stage.run(spec, source, tmp_path / "far", replace(context, work=tmp_path / "far-work")).details
    ratios = [each["latency"]["ratio"] for each in far["rounds"]]
    assert len(ratios) > 1 and ratios == sorted(ratios, reverse=True) and all(each["holds"] for each in far["rounds"])
    monkeypatch.setattr(auto, "HOPELESS", -4.0)  # what falls too far is trained again
    none = stage.run(spec, source, tmp_path / "none", replace(context, allowance=-1.0, work=tmp_path / "none-work"))
    assert all(each["longer"]["steps"] == 2 * each["training"]["steps"] for each in none.details["rounds"])
    assert none.summary.startswith("nothing cut: ") and [each["holds"] for each in none.details["rounds"]] == [
        False,
        False,
    ]
    assert Artefact("torch", tmp_path / "none", "1").parameters == source.parameters
    assert Artefact("torch", tmp_path / "far", "1").parameters == far["plan"]["parameters_after"] < source.parameters


@pytest.mark.parametrize(("before", "further"), [(0.0, True), (2.0, False)])
def test_what_views_bear_must_hold_on_the_rows_too(before, further, source, context, tmp_path, monkeypatch):
    # Students that learned from changed rows are good at those; the stage is kept by the rows as they are.
    monkeypatch.setattr(auto.invariance, "views", lambda given: given)
    monkeypatch.setattr(auto, "score", lambda *_: 0.5)
    monkeypatch.setattr(auto, "_before", lambda *_: {auto.ROWS: before, auto.VIEWS: 0.5})
    spec = PruneSpec(stage="prune", latency="auto", channel_multiple=4)
    context = replace(context, latency=by_size([]), allowance=0.5)
    rounds = stage.run(spec, source, tmp_path / "out", context).details["rounds"]
    assert {each["holds"] for each in rounds} == {further}
    assert all(each["drops"][auto.VIEWS] == 0 for each in rounds)


@pytest.mark.parametrize(
    ("falls", "tried"),
    [([0.004, 0.008], True), ([0.008], False), ([0.008, 0.004, 0.008], True)],
    ids=["a bonus costs too much", "it cannot pay", "it can once that is won back"],
)
def test_beyond_the_budget_a_cut_may_cost_less(falls, tried, source, context, tmp_path, monkeypatch):
    came = iter([*falls, *itertools.repeat(falls[-1], 100)])
    original = tmp_path / "model.onnx"
    checkpoint.write_weights(checkpoint.load(source.path, TASK), original)
    monkeypatch.setattr(auto.invariance, "views", lambda given: given)
    monkeypatch.setattr(auto, "_before", lambda *_: {auto.ROWS: 0.0, auto.VIEWS: 0.0})
    monkeypatch.setattr(auto, "_drops", lambda *_: {auto.ROWS: next(came), auto.VIEWS: 0.0})
    reference = Artefact("onnx", tmp_path, "0", source)
    context = replace(context, latency=by_size([]), reference=reference, latency_limit=lambda original: 0.8 * original)
    spec = PruneSpec(stage="prune", latency="auto", channel_multiple=4)
    details = stage.run(spec, source, tmp_path / "out", context).details
    first, *further = details.get("rounds", [details])
    assert 0.7 < first["latency"]["ratio"] <= 0.8 * 0.95 and first["holds"]
    assert bool(further) == tried and not any(each["holds"] for each in further)


def test_a_fall_of_just_the_allowance_is_within_it():
    assert auto._within({auto.ROWS: 0.883 - 0.873}, {auto.ROWS: 0.01}) and 0 < 0.883 - 0.873 - 0.01


@pytest.mark.parametrize(("before", "after"), [(0.5, math.nan), (math.nan, 0.5), (math.nan, math.nan)])
def test_what_is_no_number_does_not_hold(before, after, context, monkeypatch):
    monkeypatch.setattr(auto, "score", lambda *_: after)
    training = {"history": [{"metrics": {TASK.metrics[0]: 0.9}}]}
    drops = auto._drops(context, None, training, context, {auto.ROWS: 0.9, auto.VIEWS: before})
    assert drops == {auto.ROWS: 0.0, auto.VIEWS: math.inf}
    assert not auto._within({auto.ROWS: 0.0, auto.VIEWS: math.nan}, {auto.ROWS: 1.0, auto.VIEWS: 1.0})


def test_a_teacher_that_does_not_fit_is_said_where_it_goes_on_as_well(source, context, tmp_path):
    wrong = replace(context, latency=by_size([]), teacher=replace(source, form="onnx"))
    spec = PruneSpec(stage="prune", latency="auto", channel_multiple=4)
    with pytest.raises(InputError, match=r"prune.teacher: must be a torch model"):
        stage.run(spec, source, tmp_path / "wrong", wrong)


def test_what_came_of_a_cut_is_said_in_the_metrics_own_terms():
    found = {"latency": {"ratio": 0.5}}
    assert auto._came(found, {auto.ROWS: 0.012}, "accuracy").endswith("accuracy -1.2 points on rows")
    assert auto._came(found, {auto.ROWS: 0.3}, "si_sdr").endswith("si_sdr -0.30 dB on rows")


class Killed(Exception):
    """As by the system."""


@pytest.fixture
def search(context, monkeypatch):
    """Goes through a search whose models are nothing but shares of a latency; returns what was aimed at and trained."""

    def search(*, least=0.0, holds=lambda _: True, asked=lambda: 0.0, worst=0.0, kill=None):
        aims, trained = [], []

        def plan(target):
            if target < least:
                raise InputError("so small a model cannot be had")
            return {"latency": {"ratio": target}}

        def choose(bench, model, own, target):
            aims.append(round(target, 3))
            return remember(own.work / PLAN, lambda: plan(target))

        def cut(bench, model, own, chosen):
            if len(aims) == kill:
                raise Killed
            trained.append(round(chosen["latency"]["ratio"], 3))
            return {**chosen, "training": {}}

        drops = {True: {auto.ROWS: 0.0}, False: {auto.ROWS: 1.0}}
        stand_ins = {"choose": choose, "cut": cut, "_asked": lambda _: asked(), "_before": lambda *_: {}}
        stand_ins["_drops"] = lambda *_: drops[holds(trained[-1])]
        stand_ins["_worst"] = lambda *_: worst
        for name, stand_in in stand_ins.items():
            monkeypatch.setattr(auto, name, stand_in)
        try:
            auto.as_far_as_it_holds(SimpleNamespace(context=context, model=None), None)
        except Killed:
            trained.append("killed")
        return aims, trained

    return search


def test_a_try_that_failed_leaves_nothing_to_the_next(search, tmp_path):
    # The second is trained when the process is killed; the first had no model.
    aims, trained = search(least=0.75, kill=2)
    assert aims == [0.7, 0.837] and trained == ["killed"]
    assert search(least=0.75) == ([0.7, 0.837, 0.7], [0.837])


@pytest.mark.parametrize("least", [0.3, 0.8], ids=["the first try has a model", "it has none"])
@pytest.mark.parametrize("disturbed", [0.2, 1.2])
def test_one_disturbed_measurement_is_outvoted(disturbed, least, search, monkeypatch):
    answers, seen, target = itertools.chain([disturbed], itertools.repeat(0.5)), [], Aim.target
    monkeypatch.setattr(Aim, "target", lambda aim, asked: seen.append(asked) or target(aim, asked))
    aims, _ = search(least=least, asked=lambda: next(answers))
    assert len(aims) > 2 and set(seen) == {0.5}


def test_what_the_budget_asks_for_is_measured_for_each_try(search):
    measured = itertools.count()
    aims, _ = search(least=0.5, asked=lambda: 0.0 * next(measured))
    assert next(measured) == auto.VOTES + len(aims), "three times at first"


def test_what_the_budget_asks_for_is_measured_only_where_it_does(context):
    reference = Artefact("onnx", context.work, "0")
    silent = SimpleNamespace(context=replace(context, reference=reference))
    assert auto._asked(silent) == 0.0
    limited = replace(context, reference=reference, latency_limit=lambda original: original / 2)
    bench = SimpleNamespace(context=limited, beside=lambda _: [2_000_000, 1_600_000])
    assert auto._asked(bench) == pytest.approx(1 / 1.6 * 0.95)


@pytest.mark.parametrize(("asked", "tried"), [(0.88, [0.88]), (0.75, [0.75, 0.866]), (0.0, [0.7, 0.837])])
def test_what_went_too_far_is_not_trained_again(asked, tried, search):
    assert search(asked=lambda: asked, holds=lambda _: False) == (tried, tried)


@pytest.mark.parametrize(
    ("asked", "needed", "beyond"),
    [(1.0, 0, 4), (0.75, 1, 4), (0.5, 2, 4), (0.2, 5, 5)],
    ids=["met at once", "by one cut", "by two", "by five"],
)
def test_what_is_not_asked_for_is_trained_as_often_as_what_is(asked, needed, beyond, search):
    _, trained = search(asked=lambda: asked)
    assert len(trained) == needed + beyond
    assert all(ratio < asked * 0.9 for ratio in trained[needed:])


def test_where_nothing_is_asked_for_it_goes_on(search):
    aims, trained = search(least=0.01)
    assert aims[-1] <= 0.01 <= trained[-1] < 0.02


def test_a_longer_training_counts_as_more():
    assert auto._trained([{"training": {}}, {"training": {}, "longer": {}}]) == 2 + auto.LONGER


@pytest.mark.parametrize("worst", [0.02, None], ids=["it may have fallen too far", "there are too few rows to tell"])
@pytest.mark.parametrize(("asked", "kept"), [(0.75, [0.75]), (0.5, [0.707, 0.5]), (0.0, [0.7, 0.49])])
def test_beyond_the_budget_rows_must_tell(worst, asked, kept, search, context, monkeypatch):
    held, came = [], Aim.held
    monkeypatch.setattr(Aim, "held", lambda aim, ratio: held.append(round(ratio, 3)) or came(aim, ratio))
    search(asked=lambda: asked, worst=worst, least=0.4)
    assert held[: len(kept)] == kept
    assert (len(held) == len(kept)) == bool(asked)


def test_the_worst_is_a_bound_on_what_rows_tell(source, context, tmp_path):
    model, rows = checkpoint.load(source.path, TASK), context.validation
    assert len(rows) >= 5
    same = auto._worst(replace(context, work=tmp_path), model, model)
    assert 0 <= same <= 3 / len(rows)
    (tmp_path / "few").mkdir()
    few = replace(context, validation=rows[:4], work=tmp_path / "few")
    assert auto._worst(few, model, model) is None
    assert auto._worst(few, None, None) is None, "as it was stored"


def test_the_worst_is_said():
    found = {"latency": {"ratio": 0.5}, "worst": 0.013}
    assert auto._came(found, {auto.ROWS: 0.002}, "accuracy").endswith("-0.2 points on rows, at worst -1.3 points")
