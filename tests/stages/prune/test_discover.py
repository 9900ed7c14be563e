import copy

import pytest
import torch

from edgesft.stages.prune.apply import apply_plan
from edgesft.stages.prune.discover import HEAD_COUNTS, find_widths, trace
from edgesft.stages.prune.layout import Reader
from edgesft.stages.prune.plan import make_plan
from tests.stages.prune import models, nets

TEXT = ["bert", "distilbert", "roberta", "electra"]


@pytest.mark.parametrize("name", [*TEXT, "vit"])
def test_finds_heads_feed_forward_and_hidden(name):
    layout = models.layout_of(models.build(name))
    found = [(width.kind, width.size, width.channels) for width in layout.widths]
    assert found == [("heads", 4, 8), ("ffn", 64, 1), ("heads", 4, 8), ("ffn", 64, 1), ("hidden", 32, 1)]


def test_bert_names_and_coupling():
    model = models.build("bert")
    heads, ffn, *_, hidden = models.layout_of(model).widths
    assert (heads.name, heads.attention) == (
        "bert.encoder.layer.0.attention.self.query",
        "bert.encoder.layer.0.attention.self",
    )
    attention = "bert.encoder.layer.0.attention"
    written = {
        (f"{attention}.self.{part}.{kind}", 0) for part in ("query", "key", "value") for kind in ("weight", "bias")
    }
    assert {axis[:2] for axis in heads.axes} == written | {(f"{attention}.output.dense.weight", 1)}
    assert ffn.consumers == (Reader("bert.encoder.layer.0.output.dense"),)
    assert hidden.name == "bert.embeddings.word_embeddings"
    readers = {reader.name for reader in hidden.consumers}
    assert "bert.pooler.dense" in readers and "classifier" not in readers


def test_shared_layers_are_one_width():
    kinds = [width.kind for width in models.layout_of(models.build("albert")).widths]
    assert kinds == ["heads", "ffn", "hidden"]


def test_heads_that_layers_share_a_bias_for_stay():
    kinds = [width.kind for width in models.layout_of(models.build("mpnet")).widths]
    assert kinds == ["ffn", "ffn", "hidden"]


def test_a_width_that_is_an_output_stays():
    model = models.build("bert").bert
    layout = find_widths(model, trace(model, models.inputs(model), lambda outputs: outputs.last_hidden_state))
    assert {width.kind for width in layout.widths} == {"heads", "ffn"}


def test_counts_parameters_of_any_sizes():
    model = models.build("bert")
    layout = models.layout_of(model)
    assert layout.parameters() == sum(parameter.numel() for parameter in model.parameters())
    heads, ffn = layout.widths[:2]
    of_a_head, of_a_unit = 4 * 8 * 32 + 3 * 8, 2 * 32 + 1
    assert layout.parameters() - layout.parameters({heads.name: 3, ffn.name: 60}) == of_a_head + 4 * of_a_unit
    narrow = models.build("bert", hidden_size=16)
    sizes = {width.name: width.size for width in layout.widths} | {layout.widths[-1].name: 16}
    sizes |= {width.name: 2 for width in layout.widths if width.kind == "heads"}
    expected = sum(parameter.numel() for parameter in narrow.parameters())
    pooler = 16 * 16 + 16 + 2 * 16  # its outputs are no part of the residual stream
    assert layout.parameters(sizes) == expected + pooler


def kinds(layout):
    return {width.name: (width.kind, width.size, width.channels) for width in layout.widths}


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("count", HEAD_COUNTS)
def test_heads_go_whole_whatever_their_number_is_called(count, gated):
    net = nets.Sequence(nets.Attending(count, gated=gated)).eval()
    net.body.heads = 4  # the same number by another name
    layout = nets.layout_of(net)
    ffn = {"body.up": ("ffn", 64, 1)}
    assert kinds(layout) == {"body.query": ("heads", 4, 8), **ffn, "stem": ("hidden", 32, 1)}
    plan = make_plan(layout, {"body.query": 3, "body.up": 40}, models.random_scores(layout))
    smaller, silenced = copy.deepcopy(net), copy.deepcopy(net)
    apply_plan(smaller, plan, nets.inputs(), nets.logits)
    with torch.no_grad():
        for width, cut in zip(layout.widths[:2], plan.cuts, strict=False):
            silenced.get_submodule(width.consumers[0].name).weight[:, cut.removed_channels()] = 0
    assert getattr(smaller.body, count) == smaller.body.heads == 3
    torch.testing.assert_close(nets.answers(smaller), nets.answers(silenced))


def test_attention_that_does_not_count_its_heads_is_left_alone():
    layout = nets.layout_of(nets.Sequence(nets.Attending("parts")))
    assert kinds(layout) == {"body.up": ("ffn", 64, 1), "stem": ("hidden", 32, 1)}
    assert layout.spared == (
        "left alone: body.query, body.key, body.value; to prune the heads of body, call their number num_heads there"
    )


def test_attention_of_convolutions_is_left_alone():
    layout = nets.layout_of(nets.build(nets.Convolved))
    assert kinds(layout) == {"stem.0": ("channels", 16, 1)}
    assert layout.left_alone == ("query", "key", "value")


def test_queries_keys_and_values_of_one_linear_are_no_units():
    layout = models.layout_of(models.build("modernbert"))
    assert kinds(layout) == {"model.embeddings.tok_embeddings": ("hidden", 32, 1)}
    assert "model.layers.0.attn.Wqkv" in layout.left_alone


def test_rotary_positions_are_left_alone():
    layout = models.layout_of(models.build("llama"))
    ffn = {f"model.layers.{layer}.mlp.gate_proj": ("ffn", 64, 1) for layer in range(2)}
    assert kinds(layout) == {**ffn, "model.embed_tokens": ("hidden", 32, 1)}
    assert "model.layers.1.self_attn.q_proj" in layout.spared


def test_positions_that_rotate_a_part_are_left_alone():
    # Behind the part that is rotated and the rest of it, torch-pruning does not know how wide they are.
    layout = models.layout_of(models.build("neox"))
    ffn = {f"gpt_neox.layers.{layer}.mlp.dense_h_to_4h": ("ffn", 64, 1) for layer in range(2)}
    assert kinds(layout) == {**ffn, "gpt_neox.embed_in": ("hidden", 32, 1)}
    assert layout.left_alone == tuple(f"gpt_neox.layers.{layer}.attention.query_key_value" for layer in range(2))


def test_linears_of_gpt_2_are_left_alone():
    layout = models.layout_of(models.build("gpt2"))
    parts = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    assert not layout.widths
    assert layout.left_alone == tuple(f"transformer.h.{layer}.{part}" for layer in range(2) for part in parts)


@pytest.mark.parametrize("name", ["modernbert", "llama", "neox"])
def test_what_lies_around_them_is_cut(name):
    model = models.build(name)
    layout = models.layout_of(model)
    smaller, sizes = copy.deepcopy(model), {width.name: width.size // 2 for width in layout.widths}
    apply_plan(smaller, make_plan(layout, sizes, models.random_scores(layout)), models.inputs(model), models.logits)
    assert sum(each.numel() for each in smaller.parameters()) == layout.parameters(sizes) < layout.parameters()
