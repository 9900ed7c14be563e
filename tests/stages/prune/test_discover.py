import pytest

from edgesft.stages.prune.discover import find_widths, trace
from edgesft.stages.prune.layout import Reader
from tests.stages.prune import models

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
