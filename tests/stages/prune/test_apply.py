import copy
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgesft.errors import InputError, StageError
from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.discover import trace
from edgesft.stages.prune.plan import PrunePlan, make_plan
from edgesft.stages.prune.sizes import allowed
from edgesft.train import widths
from tests.stages.prune import models

ARCHITECTURES = ["bert", "distilbert", "roberta", "electra", "albert", "vit"]


def plan_for(model, *kinds, share=0.5, multiple=4, seed=0):
    layout = models.layout_of(model, *kinds)
    sizes = {width.name: allowed(width, multiple, share)[-1] for width in layout.widths}
    return layout, make_plan(layout, sizes, models.random_scores(layout, seed))


def pruned(model, plan):
    smaller = copy.deepcopy(model)
    apply_plan(smaller, plan, models.inputs(model), models.logits)
    return smaller


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["heads", "ffn"])
def test_equals_the_model_with_the_units_silenced(name, kind):
    model = models.build(name)
    layout, plan = plan_for(model, kind)
    silenced = copy.deepcopy(model)
    with torch.no_grad():
        for width, cut in zip(layout.widths, plan.cuts, strict=True):
            silenced.get_submodule(width.consumers[0].name).weight[:, cut.removed_channels()] = 0
    smaller = pruned(model, plan)
    assert plan.parameters_after < plan.parameters_before
    assert not torch.allclose(models.answers(silenced), models.answers(model), atol=1e-3)
    assert torch.allclose(models.answers(smaller), models.answers(silenced), atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["heads", "ffn"])
def test_a_block_that_goes_leaves_its_bias(name, kind, tmp_path):
    model = models.build(name)
    layout = models.layout_of(model, kind)
    plan = make_plan(layout, {layout.widths[0].name: 0}, models.random_scores(layout))
    silenced = copy.deepcopy(model)
    with torch.no_grad():
        silenced.get_submodule(layout.widths[0].consumers[0].name).weight.zero_()
    smaller = pruned(model, plan)
    assert plan.cuts[0].kept == () and sum(each.numel() for each in smaller.parameters()) == plan.parameters_after
    assert torch.allclose(models.answers(smaller), models.answers(silenced), atol=1e-5)
    fresh, recorded = type(model)(copy.deepcopy(model.config)), json.loads(json.dumps(widths.record(smaller)))
    widths.fit(fresh, smaller.state_dict(), recorded)
    assert torch.equal(models.answers(fresh.eval()), models.answers(smaller))
    left = models.layout_of(smaller, kind)
    assert [width.name for width in left.widths] == [width.name for width in layout.widths[1:]]


def test_a_reader_without_a_bias_leaves_nothing():
    model = models.build("bert")
    model.bert.encoder.layer[0].output.dense.bias = None
    layout = models.layout_of(model, "ffn")
    smaller = pruned(model, make_plan(layout, {layout.widths[0].name: 0}, models.random_scores(layout)))
    silenced = copy.deepcopy(model)
    with torch.no_grad():
        silenced.bert.encoder.layer[0].output.dense.weight.zero_()
    assert torch.allclose(models.answers(smaller), models.answers(silenced), atol=1e-5)
    assert widths.record(smaller)["absent"]["bert.encoder.layer.0.output.dense"] == 32


def test_a_stream_shrinks_where_a_block_is_gone():
    model = models.build("bert")
    layout = models.layout_of(model, "heads", "ffn")
    sizes = {layout.widths[0].name: 0, layout.widths[3].name: 0}
    smaller = pruned(model, make_plan(layout, sizes, models.random_scores(layout)))
    (stream,) = models.layout_of(smaller, "hidden").widths
    now = models.layout_of(smaller)
    narrow = pruned(smaller, make_plan(now, {stream.name: 16}, models.random_scores(now)))
    assert narrow.bert.encoder.layer[0].attention.output.dense.bias.shape == (16,)
    assert models.answers(narrow).isfinite().all()


def test_what_is_left_of_a_block_is_not_exported(tmp_path):
    model = models.build("bert")
    layout = models.layout_of(model, "heads", "ffn")
    none = pruned(model, make_plan(layout, {width.name: 0 for width in layout.widths}, models.random_scores(layout)))
    inputs = models.inputs(none)
    torch.onnx.export(none, kwargs=inputs, f=tmp_path / "m.onnx", dynamo=True, verbose=False)
    graph = onnx.load(tmp_path / "m.onnx").graph
    # Pooler and classifier.
    assert sum(node.op_type in ("MatMul", "Gemm") for node in graph.node) == 2
    assert not any("layer" in each.name and "weight" in each.name and len(each.dims) == 2 for each in graph.initializer)
    (found,) = onnxruntime.InferenceSession(tmp_path / "m.onnx").run(None, {k: v.numpy() for k, v in inputs.items()})
    with torch.no_grad():
        np.testing.assert_allclose(found, none(**inputs).logits, atol=1e-5)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_hidden_shrinks_everywhere_and_in_order(name):
    model = models.build(name)
    layout, plan = plan_for(model, "hidden")
    (width,), (cut,) = layout.widths, plan.cuts
    smaller = pruned(model, plan)
    before, after = dict(model.named_parameters()), dict(smaller.named_parameters())
    assert len(cut.kept) == 16
    for parameter, axis, *_ in width.axes:
        assert torch.equal(after[parameter], before[parameter].index_select(axis, torch.tensor(cut.kept)))
    assert models.answers(smaller).isfinite().all()


def test_norms_keep_their_order_when_most_channels_go():
    model = nn.Sequential(nn.Linear(4, 384), nn.LayerNorm(384), nn.Linear(384, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.arange(384.0))
    gone = sorted(np.random.default_rng(0).permutation(384)[:334].tolist())
    graph = trace(model, {"input": torch.randn(2, 4)}, lambda outputs: outputs).graph
    graph.get_pruning_group(model[0], graph.get_pruner_of_module(model[0]).prune_out_channels, gone).prune()
    assert model[1].weight.tolist() == sorted(set(range(384)) - set(gone))


def test_all_kinds_at_once_and_attention_knows_its_sizes():
    model = models.build("bert")
    _, plan = plan_for(model, share=0.75)
    smaller = pruned(model, plan)
    attention = smaller.bert.encoder.layer[0].attention.self
    heads = len(plan.cuts[0].kept)
    assert heads == 1
    assert (attention.num_attention_heads, attention.attention_head_size, attention.all_head_size) == (1, 8, 8)
    assert sum(parameter.numel() for parameter in smaller.parameters()) == plan.parameters_after
    loss = models.answers(smaller).sum()
    assert loss.isfinite()


def test_a_pruned_model_can_be_pruned_again():
    model = models.build("bert")
    once = pruned(model, plan_for(model, share=0.5)[1])
    layout, plan = plan_for(once, share=0.5)
    assert [width.size for width in layout.widths] == [2, 32, 2, 32, 16]
    twice = pruned(once, plan)
    assert [width.size for width in models.layout_of(twice).widths] == [1, 16, 1, 16, 8]


def test_a_stored_plan_gives_the_same_model():
    model = models.build("bert")
    _, plan = plan_for(model)
    again = PrunePlan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    first, second = pruned(model, plan), pruned(model, again)
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    assert torch.equal(models.answers(first), models.answers(second))


def test_a_plan_of_another_model_is_refused():
    _, plan = plan_for(models.build("bert"))
    with pytest.raises(InputError, match=r"intermediate.dense' must be ffn 64×1 in the model. Got: ffn 32×1"):
        pruned(models.build("bert", intermediate_size=32), plan)
    with pytest.raises(InputError, match="Got: no such width"):
        pruned(models.build("roberta"), plan)


def test_a_wrong_count_is_found():
    model = models.build("bert")
    _, plan = plan_for(model)
    wrong = PrunePlan(plan.cuts, plan.parameters_before, plan.parameters_after - 1)
    with pytest.raises(StageError, match="must have"):
        pruned(model, wrong)
