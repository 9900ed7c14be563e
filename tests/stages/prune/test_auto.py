from dataclasses import replace

import pytest

from edgesft.errors import InputError
from edgesft.spec.stages import PruneSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.prune import auto, stage
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
    ("ratio", "step", "asked", "next_one"),
    [
        (1.0, 0.7, 0.0, 0.7),
        (1.0, 0.7, 0.3, 0.7),
        (0.8, 0.7, 0.45, 0.6),
        (1.0, 0.7, 0.7, 0.7),
        (0.6, 0.7, 0.56, 0.56),
        (0.6, 0.7, 0.58, 0.42),
    ],
    ids=["no budget", "far from it", "within two steps", "within one step", "nearly there", "there"],
)
def test_what_the_budget_asks_for_is_aimed_at_first(ratio, step, asked, next_one):
    assert auto._next(ratio, step, asked) == pytest.approx(next_one)


def test_beyond_the_budget_a_cut_may_cost_less(source, context, tmp_path, monkeypatch):
    original = tmp_path / "model.onnx"
    checkpoint.write_weights(checkpoint.load(source.path, TASK), original)
    monkeypatch.setattr(auto.invariance, "views", lambda given: given)
    monkeypatch.setattr(auto, "_before", lambda *_: {auto.ROWS: 0.0, auto.VIEWS: 0.0})
    monkeypatch.setattr(auto, "_drops", lambda *_: {auto.ROWS: 0.008, auto.VIEWS: 0.0})
    reference = Artefact("onnx", tmp_path, "0", source)
    context = replace(context, latency=by_size([]), reference=reference, latency_limit=lambda original: 0.8 * original)
    spec = PruneSpec(stage="prune", latency="auto", channel_multiple=4)
    first, *further = stage.run(spec, source, tmp_path / "out", context).details["rounds"]
    assert 0.7 < first["latency"]["ratio"] <= 0.8 * 0.95 and first["holds"]
    assert further and not any(each["holds"] for each in further)


def test_a_fall_of_just_the_allowance_is_within_it():
    assert auto._over({auto.ROWS: 0.883 - 0.873}, {auto.ROWS: 0.01}) <= 0 < 0.883 - 0.873 - 0.01


def test_a_teacher_that_does_not_fit_is_said_where_it_goes_on_as_well(source, context, tmp_path):
    wrong = replace(context, latency=by_size([]), teacher=replace(source, form="onnx"))
    spec = PruneSpec(stage="prune", latency="auto", channel_multiple=4)
    with pytest.raises(InputError, match=r"prune.teacher: must be a torch model"):
        stage.run(spec, source, tmp_path / "wrong", wrong)


def test_what_came_of_a_cut_is_said_in_the_metrics_own_terms():
    found = {"latency": {"ratio": 0.5}}
    assert auto._came(found, {auto.ROWS: 0.012}, "accuracy").endswith("accuracy -1.2 points on rows")
    assert auto._came(found, {auto.ROWS: 0.3}, "si_sdr").endswith("si_sdr -0.30 dB on rows")


def test_what_the_budget_asks_is_measured_for_each_round(source, context, tmp_path, monkeypatch):
    answers, aims = iter((0.2, 0.8, 0.7, 0.7, 0.7)), []
    monkeypatch.setattr(auto, "_asked", lambda _: next(answers))
    monkeypatch.setattr(auto, "_next", lambda ratio, step, asked: aims.append(asked) or ratio * step)
    context = replace(context, latency=by_size([]), allowance=1.0)
    stage.run(PruneSpec(stage="prune", latency="auto", channel_multiple=4), source, tmp_path / "out", context)
    assert aims[:2] == [0.2, 0.5] and set(aims[2:]) <= {0.7}, "one disturbed measurement is outvoted"
