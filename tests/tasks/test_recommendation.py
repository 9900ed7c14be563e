"""Recommendation, on people who walk along a ring of places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgesft.data.histories import gather
from edgesft.errors import InputError
from edgesft.spec.interactions import InteractionsSpec
from edgesft.spec.model import FactorySpec
from edgesft.spec.training import ResolvedTraining
from edgesft.stages.export import export_onnx, file_of
from edgesft.stages.export.checks import file_run
from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.quantize import ort
from edgesft.stages.quantize.untie import untied
from edgesft.stages.quantize.verify import verify
from edgesft.tasks.contract import Contract
from edgesft.tasks.metrics import ranking
from edgesft.tasks.models import factory
from edgesft.tasks.recommendation import IGNORED, READY, TWO_TOWERS, Recommendation
from edgesft.tasks.recommender.catalogue import NEVER, pieces, sampled
from edgesft.tasks.sasrec import sasrec
from edgesft.train import checkpoint
from edgesft.train.layers import chosen_layers, keep_layers, layer_count
from edgesft.train.predictor import runner
from tests import tiny

TASK = Recommendation()
ROWS = list(gather(tiny.visited(60), InteractionsSpec(), "rows").rows())
LENGTH = 6


def made(name: str = READY, **arguments: Any) -> factory.Factory:
    return factory.resolve(FactorySpec(factory=name, arguments={"width": 16, "dropout": 0.0, **arguments}), Path())


NETS = {
    "table": made(),
    "hashed": made(buckets=5),
    "towers": made(TWO_TOWERS),
    "hashed towers": made(TWO_TOWERS, buckets=5),
}


def contract_of(**said: Any) -> Any:
    return TASK.contract(ROWS, {"max_length": LENGTH, "interactions": said})


@pytest.fixture(scope="module")
def contract() -> Any:
    return contract_of()


@pytest.fixture(scope="module")
def processor(contract: Any) -> Any:
    return TASK.load_processor(made(), contract)


@pytest.fixture(scope="module")
def examples(processor: Any, contract: Any) -> Any:
    return TASK.encode(ROWS, processor, contract)


@pytest.fixture(scope="module", params=NETS)
def model(request: pytest.FixtureRequest, contract: Any) -> Any:
    import torch

    torch.manual_seed(0)
    found = TASK.load_model(NETS[request.param], contract).eval()
    for parameter in found.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return found


def answered(model: Any, **inputs: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(**{name: torch.as_tensor(values) for name, values in inputs.items()})["logits"].numpy()


def test_the_contract_has_the_catalogue_and_what_is_answered(contract: Any) -> None:
    assert len(contract.labels) == 24 and contract.labels[0].startswith("place ")
    assert dict(contract.options) == {"max_length": 6, "repeats": "excluded", "history": 1000, "answers": 10}


def test_rows_become_ids_and_strangers_are_passed_over(processor: Any, contract: Any) -> None:
    names = contract.labels
    one, other, third, asked = TASK.encode(
        [
            {"items": [names[4], "nowhere", names[2]], "next": names[0]},
            {"items": [names[4]], "next": "nowhere"},
            {"items": ["nowhere"], "next": names[0]},
            {"items": ["nowhere", names[1]]},
        ],
        processor,
        contract,
    )
    assert (one["items"].tolist(), one["labels"].tolist()) == ([5, 3], [3, 1])
    assert (other["items"].tolist(), other["labels"].tolist()) == ([5], [0])
    assert (third["items"].tolist(), third["labels"].tolist()) == ([0], [1])
    assert list(asked) == ["items"] and asked["items"].tolist() == [2]
    assert TASK.requests([asked], processor)[0]["items"].tolist() == [[0, 0, 0, 0, 0, 2]]


def test_a_request_has_the_latest_items_and_all_that_are_excluded(processor: Any) -> None:
    (request,) = TASK.requests([{"items": np.arange(1, 10)}], processor)
    assert request["items"].tolist() == [[4, 5, 6, 7, 8, 9]]
    assert request["excluded"].tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 9]]
    (empty,) = TASK.requests([{"items": np.zeros(0, np.int64)}], processor)
    assert empty["items"].tolist() == [[0] * 6] and empty["excluded"].tolist() == [[0]]
    short = TASK.load_processor(made(), contract_of(history=2))
    assert TASK.requests([{"items": np.arange(1, 10)}], short)[0]["excluded"].tolist() == [[8, 9]]
    kept = TASK.load_processor(made(), contract_of(repeats="kept"))
    assert list(TASK.requests([{"items": np.arange(1, 10)}], kept)[0]) == ["items"]


def test_what_is_excluded_is_not_answered(model: Any) -> None:
    items, excluded = np.array([[0, 0, 0, 1, 2, 3]]), np.array([[1, 2, 3, 0]])
    found = answered(model, items=items, excluded=excluded)
    assert found.shape == (1, 24) and np.isneginf(found[0, :3]).all() and np.isfinite(found[0, 3:]).all()
    assert (found[0, 3:] == answered(model, items=items)[0, 3:]).all()


def test_what_stands_before_a_short_history_changes_nothing(model: Any) -> None:
    short = answered(model, items=np.array([[4, 2]]))
    assert np.allclose(short, answered(model, items=np.array([[0, 0, 0, 0, 4, 2]])), atol=1e-5)
    assert np.isfinite(answered(model, items=np.zeros((1, 6), np.int64))).all()


def test_candidates_score_as_the_whole_catalogue_does(model: Any) -> None:
    items = np.array([[3, 9, 1], [0, 7, 2]])
    every = answered(model, items=items, candidates=np.zeros((2, 0), np.int64))
    assert every.shape == (2, 3, 25)
    some = np.array([[5, 1], [2, 24]])
    found = answered(model, items=items, candidates=some)
    expected = np.stack([every[row][:, some[row]] for row in range(2)])
    assert np.allclose(found, expected, atol=1e-5)
    assert np.allclose(answered(model, items=items), every[:, -1, 1:], atol=1e-5)
    moved = answered(model, items=items, candidates=some, offsets=np.full((2, 2), 1.0, np.float32))
    assert np.allclose(moved, expected + 1, atol=1e-5)


def test_no_position_sees_what_comes_later(model: Any) -> None:
    one, other = (
        answered(model, items=np.array([[3, 9, last]]), candidates=np.zeros((1, 0), np.int64)) for last in (1, 8)
    )
    assert np.allclose(one[:, :2], other[:, :2], atol=1e-6) and not np.allclose(one[:, 2], other[:, 2])


def test_pieces_hold_each_value_once() -> None:
    for length in (1, 6, 7, 40):
        found = pieces(length, 6, np.random.default_rng(length))
        assert [place for start, end in found for place in range(start, end)] == list(range(length))
        assert all(0 < end - start <= 6 for start, end in found)


def test_training_reads_all_of_a_history(examples: Any, processor: Any) -> None:
    found = TASK.disturb(examples, processor, ResolvedTraining(), np.random.default_rng(0))
    assert sum(len(each["items"]) for each in found) == sum(len(each["items"]) for each in examples)
    batch = TASK.collate(found, processor)
    assert batch["items"].shape == batch["labels"].shape == (len(found), LENGTH)
    assert ((batch["labels"] == IGNORED) == (batch["items"] == 0)).all() and batch["candidates"].shape[1] == 0


def test_sampled_candidates_stand_for_all() -> None:
    labels = np.array([[IGNORED, 7, 3, 7]])
    drawn = [np.array([3, 5, 9])]
    places, told = sampled(labels, drawn, IGNORED, items=20)
    assert places.tolist() == [[IGNORED, 1, 2, 1]]
    assert told["candidates"].tolist() == [[0, 7, 3, 7, 3, 5, 9]]
    # Two are wanted; of the other 18 two were drawn, each of which stands for 9.
    nine = np.float32(np.log(9))
    assert told["offsets"].tolist() == [[NEVER, 0, 0, NEVER, NEVER, nine, nine]]


def test_the_sampled_loss_is_that_of_the_whole_catalogue_on_average(examples: Any, processor: Any, model: Any) -> None:
    import torch

    def loss(negatives: int, seed: int) -> float:
        settings, rng = ResolvedTraining(negatives=negatives), np.random.default_rng(seed)
        drawn = TASK.disturb(examples[:8], processor, settings, rng)
        batch = {name: torch.as_tensor(values) for name, values in TASK.collate(drawn, processor).items()}
        labels = batch.pop("labels")
        with torch.no_grad():
            return float(TASK.loss(model(**batch), labels))

    # Cut at the same places, for that is drawn first.
    whole = [loss(0, seed) for seed in range(20)]
    assert np.mean([loss(16, seed) for seed in range(20)]) == pytest.approx(np.mean(whole), rel=0.05)
    assert loss(23, 3) != whole[3] and loss(24, 3) == whole[3], "as many as there are is all of them"


def test_standings() -> None:
    scores = np.array([[3.0, 1.0, 3.0, -np.inf, 2.0]] * 4, np.float32)
    found = ranking.standings(scores, np.array([4, 2, 3, -1]))
    assert found.tolist() == [[2, 0, 0, 1, 0], [0, 1, 0, 2, 0], [4, 0, 0, 0, 0], [4, 0, 0, 0, 0]]
    assert ranking.areas(found).tolist() == pytest.approx([1 / 3, 2.5 / 3, 0, 0])
    assert ranking.gains(found).tolist() == pytest.approx([0.5, 1 / np.log2(3), 1 / np.log2(6), 1 / np.log2(6)])
    (unanswered,) = ranking.standings(np.array([[np.nan, 1.0, np.nan]]), np.array([1]))
    assert unanswered.tolist() == [3, 0, 0, 0, 0], "what is no number is behind all"
    far = np.array([[10, 0, 0, 5, 0], [9, 0, 0, 5, 0], [5, 5, 0, 0, 0]])
    assert ranking.hits(far).tolist() == [0, 1, 0] and ranking.gains(far)[1] == pytest.approx(1 / np.log2(11))


def test_the_metrics_are_those_of_a_plain_sort(examples: Any, processor: Any, contract: Any, model: Any) -> None:
    found = TASK.predict(runner(model), examples, processor, batch_size=7)
    assert np.array_equal(found, TASK.predict(runner(model), examples, processor))
    gains, areas = [], []
    for example in examples:
        scores = answered(model, items=processor.fed([example])["items"])[0].astype(float)
        rest = [place for place in range(24) if place + 1 not in example["items"]]
        order = sorted(rest, key=lambda place: -scores[place])
        place = order.index(example["labels"][-1] - 1)
        gains.append(1 / np.log2(place + 2) if place < 10 else 0)
        areas.append(1 - place / (len(rest) - 1))
    told = TASK.score(found, TASK.references(examples), contract)
    assert (told["ndcg10"], told["auroc"]) == (pytest.approx(np.mean(gains)), pytest.approx(np.mean(areas)))


def test_an_item_that_nobody_knows_is_missed(processor: Any, contract: Any, model: Any) -> None:
    (row,) = TASK.encode([{"items": [contract.labels[0]], "next": "nowhere"}], processor, contract)
    found = TASK.predict(runner(model), [row], processor)
    assert TASK.score(found, TASK.references([row]), contract) == {"ndcg10": 0, "hr10": 0, "auroc": 0}
    assert TASK.evaluate(found, TASK.references([row]), contract)["averages"]["unknown"] == 1


def test_rows_that_are_too_few() -> None:
    assert [each.message for each in TASK.check({"train": [], "validation": ROWS})] == [
        "data.train: must have a user with as many interactions as the splits take, got none"
    ]
    (few,) = TASK.check({"train": ROWS, "validation": ROWS}, {"interactions": {"answers": 24}})
    assert few.message == "data.train: must have more items than are answered, 24, got 24"
    strange = [{"user": "x", "items": ["place 1"], "next": "nowhere"}]
    assert TASK.warnings({"train": ROWS, "test": strange}) == [
        "data.test: the next item in 1 of 1 rows is not in train; it counts as missed"
    ]


def test_models_that_cannot_recommend(contract: Any, bert: Path) -> None:
    assert "must be {factory: module:function}" in TASK.check_model(bert, contract)[0].message
    assert "must leave out items" in TASK.check_model(made(items=3), contract)[0].message
    assert TASK.check_model(made(), contract) == []
    with pytest.raises(InputError, match="heads must divide the width"):
        TASK.load_model(made(heads=3), contract)


@pytest.mark.parametrize(("scheme", "share"), [("int8-dynamic", 0.55), ("4-bit-tables", 0.45)])
def test_the_catalogue_shrinks_and_still_ranks(scheme: str, share: float, tmp_path: Path) -> None:
    contract = Contract(TASK.name, tuple(map(str, range(2000))), {**contract_of(repeats="kept").options})
    source = made(width=64, layers=1)
    processor, rng = TASK.load_processor(source, contract), np.random.default_rng(0)
    examples = [{"items": rng.choice(2000, count) + 1, "labels": rng.choice(2000, count) + 1} for count in range(1, 17)]
    torch.manual_seed(0)
    (graph,) = export_onnx(
        TASK.load_model(source, contract), TASK, processor, examples, contract, tmp_path / "onnx", opset=20
    )
    float_file, small = file_of(graph, tmp_path / "onnx"), tmp_path / "small.onnx"
    whole = untied(float_file, tmp_path / "untied.onnx")
    # Without 7 bits, products of bytes saturate on a CPU that lacks VNNI.
    plan = ort.dynamic(whole, small, table_bits=8 if scheme == "int8-dynamic" else 4, reduced=True)
    verify(small, whole, plan, TASK.requests(examples, processor))
    assert small.stat().st_size < share * float_file.stat().st_size
    asked = TASK.requests(examples, processor)
    theirs, ours = ([file_run({"model": file})(each) for each in asked] for file in (float_file, small))
    assert list(graph.inputs) == ["items"] and list(ours[0]) == ["chosen", "scores", "logits"]
    alike = [len({*one["chosen"][0]} & {*other["chosen"][0]}) for one, other in zip(theirs, ours, strict=True)]
    assert np.mean(alike) > 7
    for each in ours:
        assert np.array_equal(each["scores"][0], each["logits"][0][each["chosen"][0]])
        assert np.array_equal(each["chosen"][0], np.argsort(-each["logits"][0], kind="stable")[:10])


def test_layers_can_be_dropped(contract: Any, processor: Any, tmp_path: Path) -> None:
    model = TASK.load_model(made(layers=3), contract)
    keep_layers(model, chosen_layers((0, 2), layer_count(model)))
    checkpoint.save(model, tmp_path, processor, contract)
    again = checkpoint.load(tmp_path, TASK)
    items = np.array([[3, 9, 1]])
    assert len(again.model.layers) == 2
    assert np.array_equal(answered(again, items=items), answered(model.eval(), items=items))
    with pytest.raises(InputError, match="needs a model whose configuration has num_hidden_layers"):
        layer_count(TASK.load_model(made(), contract))


def test_a_hashed_table_is_smaller(contract: Any) -> None:
    sizes = [
        sum(parameter.numel() for parameter in TASK.load_model(made(buckets=buckets), contract).parameters())
        for buckets in (None, 5)
    ]
    assert sizes[0] - sizes[1] == (25 - 5 - 5) * 16


def test_pruning_finds_heads_and_what_is_between_linears() -> None:
    model = sasrec(12, 8, width=16, layers=2, heads=4).eval()
    inputs = {"items": torch.randint(1, 13, (2, 8))}
    widths = find_widths(model, trace(model, inputs, lambda scores: scores)).widths
    kinds = [(width.kind, width.size, width.channels) for width in widths]
    assert kinds.count(("heads", 4, 4)) == kinds.count(("ffn", 32, 1)) == 2


def test_a_factory_that_knows_no_ratings() -> None:
    with pytest.raises(InputError, match=f"'{READY}' must take ratings, which the rows set"):
        TASK.load_model(made(), contract_of(scale=[0, 5]))
