"""Dropout by bytes: what torch's does, at the share that a byte can say."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from edgesft.train.dropout import LEVELS, ByteDropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.001])
def test_share_and_mean(share: float) -> None:
    torch.manual_seed(0)
    with ByteDropout():
        found = nn.Dropout(share).train()(torch.ones(400, 1001))
    dropped = round(share * LEVELS) / LEVELS or share  # Torch's own where a byte cannot say so little.
    assert abs(float((found == 0).float().mean()) - dropped) < 0.003
    assert torch.allclose(found[found != 0], torch.tensor(1 / (1 - dropped)))


def test_the_gradient_goes_where_the_value_went() -> None:
    values = torch.ones(64, 65, requires_grad=True)
    with ByteDropout():
        found = functional.dropout(values, 0.25, training=True)
    found.sum().backward()
    assert torch.equal(values.grad, found.detach())


def test_a_seed_decides() -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        with ByteDropout():
            return functional.dropout(torch.ones(999), 0.5)

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


def test_what_is_no_dropout_stays() -> None:
    values = torch.randn(5)
    with ByteDropout():
        assert functional.dropout(values, 0.5, training=False) is values
        assert functional.dropout(values, 0.0) is values
        assert not functional.dropout(values, 1.0).any()
        assert torch.equal(nn.Dropout(0.5).eval()(values), values)
        with pytest.raises(ValueError, match="dropout probability"):
            functional.dropout(values, -1.0)


def test_half_precision_keeps_its_type() -> None:
    with ByteDropout():
        assert functional.dropout(torch.ones(9, dtype=torch.bfloat16), 0.5).dtype == torch.bfloat16
