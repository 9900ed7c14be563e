from __future__ import annotations

from edgesft.report.recipes import differences


def test_only_what_differs_is_told() -> None:
    one = {"seed": 0, "data": {"train": "a", "test": "b"}, "stages": [{"stage": "prune", "latency": 0.5}]}
    other = {"seed": 0, "data": {"train": "c", "test": "b"}, "stages": [{"stage": "prune", "latency": 0.4}]}
    assert differences([one, other]) == {"data.train": ["a", "c"], "stages.prune.latency": [0.5, 0.4]}


def test_a_stage_more_moves_nothing() -> None:
    tune, prune = {"stage": "finetune", "epochs": 3}, {"stage": "prune", "latency": 0.5}
    assert differences([{"stages": [prune]}, {"stages": [tune, prune, prune]}]) == {
        "stages.finetune.stage": [None, "finetune"],
        "stages.finetune.epochs": [None, 3],
        "stages.prune-2.stage": [None, "prune"],
        "stages.prune-2.latency": [None, 0.5],
    }


def test_nothing_differs_and_nothing_is_there() -> None:
    assert differences([{"a": [1, 2]}, {"a": [1, 2]}]) == {} == differences([{}, {}])
    assert differences([{"a": {}}, {"a": {"b": 1}}]) == {"a": [{}, None], "a.b": [None, 1]}
