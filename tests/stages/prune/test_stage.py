import json
from dataclasses import replace

import onnx
import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from edgesft.errors import InputError
from edgesft.spec.stages import PruneSpec
from edgesft.stages.artefact import Artefact
from edgesft.stages.prune import stage
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.bench import Bench
from edgesft.stages.prune.layout import Layout
from edgesft.stages.prune.plan import PrunePlan
from edgesft.stages.prune.vocabulary import trim_vocabulary
from edgesft.tasks.models import vocabulary
from edgesft.tasks.text_classification import TextClassification
from edgesft.train import checkpoint
from edgesft.train.factors import ranks
from tests import tiny
from tests.stages.prune.models import by_size

TASK = TextClassification()

pytestmark = pytest.mark.usefixtures("few_rungs", "weights_for_exports")


@pytest.mark.parametrize("importance", ["taylor", "magnitude"])
def test_parameters_fall_and_the_result_loads(source, context, tmp_path, importance):
    spec = PruneSpec(stage="prune", parameters=0.6, targets=("heads", "ffn", "hidden"), importance=importance)
    report = stage.run(spec, source, tmp_path / "out", context)
    made = Artefact("torch", tmp_path / "out", "1")
    plan = PrunePlan.from_json(report.details["plan"])
    assert made.parameters == plan.parameters_after <= 0.6 * source.parameters
    assert plan.parameters_after > 0.4 * source.parameters
    assert report.details["training"]["steps"] == 6
    assert report.summary == plan.summary()
    json.dumps(report.details)
    batch = TASK.collate(context.validation[:3], context.processor)
    inputs = {name: torch.as_tensor(value) for name, value in batch.items() if name != "labels"}
    cut, recovered = checkpoint.load(source.path, TASK), checkpoint.load(made.path, TASK)
    apply_plan(cut, plan, inputs, TASK.logits)
    for (name, before), after in zip(cut.named_parameters(), recovered.parameters(), strict=True):
        assert before.shape == after.shape, name
    assert not torch.equal(cut.classifier.weight, recovered.classifier.weight)
    with torch.no_grad():
        assert recovered(**inputs).logits.isfinite().all()
    assert made.contract == source.contract


def test_a_teacher_changes_the_recovery_and_must_fit(source, context, tmp_path):
    spec = PruneSpec(stage="prune", parameters=0.8, hard_weight=0.0)
    stage.run(spec, source, tmp_path / "alone", context)
    taught = replace(context, teacher=source, work=tmp_path / "taught-work")
    stage.run(spec, source, tmp_path / "taught", taught)
    first, second = checkpoint.load(tmp_path / "alone", TASK), checkpoint.load(tmp_path / "taught", TASK)
    assert not torch.equal(first.classifier.weight, second.classifier.weight)
    with pytest.raises(InputError, match=r"prune.teacher: must be a torch model"):
        stage.run(spec, source, tmp_path / "wrong", replace(taught, teacher=replace(source, form="onnx")))


def test_recovery_learns_hidden_states_where_asked(source, context, tmp_path):
    taught = replace(context, teacher=source)
    weights = {}
    for weight in (0, 1):
        spec = PruneSpec(stage="prune", parameters=0.8, hidden_weight=weight)
        stage.run(spec, source, tmp_path / f"{weight}", replace(taught, work=tmp_path / f"work-{weight}"))
        weights[weight] = checkpoint.load(tmp_path / f"{weight}", TASK).state_dict()
    assert list(weights[0]) == list(weights[1]), "projections are not kept"
    assert not torch.equal(weights[0]["classifier.weight"], weights[1]["classifier.weight"])


def test_latency_is_reached_and_replayed_after_a_kill(source, context, tmp_path, monkeypatch):
    asked = []
    spec = PruneSpec(stage="prune", latency=0.7, targets=("heads", "ffn", "hidden"))

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("edgesft.stages.prune.round.train", killed)
        with pytest.raises(KeyboardInterrupt):
            alone = replace(context, latency=by_size(asked), record=lambda _, measure: measure())
            stage.run(spec, source, tmp_path / "out", alone)
    stored = json.loads((context.work / "plan.json").read_text())
    assert 4 < len(asked) <= 11, "a table of three kinds and of the least model, and candidates"
    report = stage.run(spec, source, tmp_path / "out", context)
    assert report.details["plan"] == stored["plan"]
    latency = report.details["latency"]
    assert len(latency["points"]) == len(asked) - 4
    assert latency["ratio"] <= 0.7
    assert f"latency {latency['ratio']:.2f} of its input's" in report.summary
    assert Artefact("torch", tmp_path / "out", "1").parameters < source.parameters


def test_milliseconds_are_a_share_of_what_the_input_takes(source, context, tmp_path):
    size = by_size([])

    def latency(files):
        return [5_000_000 * each // size(files[:1])[0] for each in size(files)]

    context = replace(context, latency=latency)
    spec = PruneSpec(stage="prune", latency_ms=4, channel_multiple=4)
    report = stage.run(spec, source, tmp_path / "out", context)
    assert 0.7 < report.details["latency"]["ratio"] <= 0.8
    with pytest.raises(InputError, match=r"latency_ms: must be below the input's latency, 5 ms. Got: 6"):
        spec = PruneSpec(stage="prune", latency_ms=6)
        stage.run(spec, source, tmp_path / "no", replace(context, work=tmp_path / "other"))


def test_rounds_go_down_step_by_step_and_share_the_epochs(source, context, tmp_path):
    spec = PruneSpec(stage="prune", latency=0.7, rounds=2, channel_multiple=4)
    report = stage.run(spec, source, tmp_path / "out", replace(context, latency=by_size([])))
    first, last = report.details["rounds"]
    assert last["plan"] == report.details["plan"]
    assert 0.7 < first["latency"]["ratio"] <= 0.7**0.5 and report.details["latency"]["ratio"] <= 0.7
    assert [each["training"]["steps"] for each in (first, report.details)] == [3, 3]
    plan = PrunePlan.from_json(report.details["plan"])
    made = Artefact("torch", tmp_path / "out", "1")
    assert made.parameters == plan.parameters_after < first["plan"]["parameters_after"] < source.parameters
    assert report.summary.startswith("heads 8→")
    before = {path: path.stat().st_mtime_ns for path in context.work.rglob("*.json")}
    again = stage.run(spec, source, tmp_path / "again", context)
    assert again.summary == report.summary
    assert all(path.stat().st_mtime_ns == at for path, at in before.items() if path.parent.name != "recovery")


def test_ranks_of_linears_fall_round_by_round(source, context, tmp_path):
    spec = PruneSpec(stage="prune", latency=0.8, rounds=2, targets=("rank",), channel_multiple=4)
    report = stage.run(spec, source, tmp_path / "out", replace(context, latency=by_size([])))
    assert 0.7 < report.details["latency"]["ratio"] <= 0.8 and report.summary.startswith("rank ")
    made = Artefact("torch", tmp_path / "out", "1")
    assert made.parameters == report.details["plan"]["parameters_after"] < source.parameters
    assert dict(ranks(checkpoint.load(made.path, TASK)))


def test_widths_are_chosen_for_the_form_that_is_fastest(source, context, tmp_path, real_exports):
    seen = []

    def latency(files):
        seen.append([file.name for file in files])
        operators = [{node.op_type for node in onnx.load(file).graph.node} for file in files]
        assert not any("Softmax" in found for found in operators), "as it is written in the end"
        return [file.stat().st_size for file in files]

    only = {"targets": ("ffn",), "exclude": ("*.layer.1.*",), "channel_multiple": 32, "max_share": 0.5}
    spec = PruneSpec(stage="prune", latency=0.99, precision="auto", optimized=True, **only)
    report = stage.run(spec, source, tmp_path / "out", replace(context, latency=latency))
    assert seen[0] == ["optimized.onnx", "int8.onnx"] and {name for names in seen[1:] for name in names} == {
        "int8.onnx"
    }
    assert report.details["latency"]["precision"] == "int8-dynamic"
    profile = context.profile.model_copy(update={"precisions": ("fp32",)})
    elsewhere = replace(context, profile=profile, work=tmp_path / "elsewhere")
    without = Bench(spec, None, {}, Layout((), {}), source.contract, elsewhere)
    assert without.precise().spec.precision == "fp32", "what the profile lacks is not asked for"


def test_a_latency_out_of_reach_says_the_floor(source, context, tmp_path):
    # One width that can go down by one step: one measurement tells.
    only = {"targets": ("ffn",), "exclude": ("*.layer.1.*",), "channel_multiple": 32, "max_share": 0.5}
    spec = PruneSpec(stage="prune", latency=0.5, **only)
    with pytest.raises(InputError, match=r"prune.latency: must be .* at least 0.900. Got: 0.5"):
        stage.run(spec, source, tmp_path / "out", replace(context, latency=lambda _: [1000, 900]))
    assert not (tmp_path / "out").exists()


def test_a_trimmed_vocabulary_reads_known_words_as_before(source, context, tmp_path):
    context = replace(context, train=context.train[:4])
    spec = PruneSpec(stage="prune", parameters=0.9, vocabulary="trimmed")
    report = stage.run(spec, source, tmp_path / "out", context)
    found = report.details["vocabulary"]
    assert found["after"] < found["before"] == len(context.processor) and "vocabulary" in report.summary
    contract = json.loads((tmp_path / "out/contract.json").read_text())
    assert contract["options"]["vocabulary"] == found["after"]
    smaller = TASK.load_processor(tmp_path / "out", source.contract)
    again = TASK.encode(tiny.rows(72)[:4], smaller, source.contract)
    assert all((one["input_ids"] == other["input_ids"]).all() for one, other in zip(again, context.train, strict=True))
    assert len(smaller) == found["after"]
    model = checkpoint.load(tmp_path / "out", TASK)
    assert model.get_input_embeddings().weight.shape[0] == found["after"]


def test_only_what_a_tokenizer_allows_is_trimmed(source, context, tmp_path):
    processor = Tokenizer(models.BPE({"a": 0, "[UNK]": 1}, [], unk_token="[UNK]"))
    other = replace(context, processor=PreTrainedTokenizerFast(tokenizer_object=processor, unk_token="[UNK]"))
    model = checkpoint.load(source.path, TASK)
    spec = PruneSpec(stage="prune", parameters=0.9, vocabulary="trimmed")
    with pytest.raises(InputError, match="vocabulary.*WordPiece"):
        trim_vocabulary(spec, model, source.contract, other)
    left = trim_vocabulary(spec.model_copy(update={"vocabulary": "auto"}), model, source.contract, other)
    assert left.context is other and not left.details


def test_as_much_of_the_vocabulary_stays_as_the_allowance_wants(source, context, monkeypatch):
    context, spec = (
        replace(context, train=context.train[:4]),
        PruneSpec(stage="prune", parameters=0.9, vocabulary="auto"),
    )
    model, whole = checkpoint.load(source.path, TASK), checkpoint.load(source.path, TASK)
    rows = whole.get_input_embeddings().weight.shape[0]
    scores = iter((0.9, 0.8, 0.8999))
    monkeypatch.setattr("edgesft.stages.prune.vocabulary.score", lambda *_: next(scores))
    found = trim_vocabulary(
        PruneSpec(stage="prune", parameters=0.9, vocabulary="auto"), model, source.contract, context
    )
    least = len(vocabulary.kept(context.processor, TASK.tokens(context.train)))
    assert least < found.details["after"] < found.details["before"]
    assert model.get_input_embeddings().weight.shape[0] == found.details["after"] == len(found.context.processor)
    scores = iter((0.9, 0.8, 0.8, 0.8))
    left = trim_vocabulary(spec, whole, source.contract, context)
    assert left.context is context and whole.get_input_embeddings().weight.shape[0] == rows
