import pytest

from edgesft.errors import InputError
from edgesft.stages.prune.select import select
from tests.stages.prune import models


@pytest.fixture(scope="module")
def layout():
    return models.layout_of(models.build("bert"))


def test_takes_the_kinds_that_are_asked_for(layout):
    assert {width.kind for width in select(layout, ("heads", "hidden"), ()).widths} == {"heads", "hidden"}


@pytest.mark.parametrize(
    "pattern", ["bert.encoder.layer.0.*", "*.layer.0.attention.self", "bert.encoder.layer.0.attention.self.query"]
)
def test_excludes_by_module_or_attention(layout, pattern):
    left = select(layout, ("heads",), (pattern,)).widths
    assert [width.name for width in left] == ["bert.encoder.layer.1.attention.self.query"]


def test_a_pattern_without_a_match_names_near_ones(layout):
    with pytest.raises(InputError) as caught:
        select(layout, ("heads", "ffn"), ("bert.encoder.layer.0.intermediat.dense", "*.layer.1.*"))
    assert len(caught.value.problems) == 1
    assert "'bert.encoder.layer.0.intermediat.dense' must match" in str(caught.value)
    assert "Try: bert.encoder.layer.0.intermediate.dense" in str(caught.value)


def test_a_kind_that_is_not_there_is_named():
    layout = models.layout_of(models.build("mpnet"))
    with pytest.raises(InputError, match=r"'heads' must be a width that this model has. Got: ffn, hidden"):
        select(layout, ("heads", "ffn"), ())


def test_something_must_be_left(layout):
    with pytest.raises(InputError, match="must leave some width"):
        select(layout, ("ffn",), ("*",))
