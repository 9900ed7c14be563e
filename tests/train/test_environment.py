"""Which number format a training takes."""

from __future__ import annotations

import pytest
import torch

from edgesft.train import environment
from edgesft.train.environment import PAYS, arithmetic

CPU = torch.device("cpu")


@pytest.mark.parametrize(("speedup", "taken"), [(0.0, "fp32"), (0.5, "fp32"), (PAYS, "bf16"), (4.0, "bf16")])
def test_auto_takes_what_was_faster(speedup: float, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "speedup", lambda: speedup)
    assert arithmetic("auto", CPU) == taken
    assert arithmetic("bf16", CPU) == "bf16" and arithmetic("fp32", CPU) == "fp32"


def test_it_is_measured_where_there_are_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    environment.speedup.cache_clear()
    assert environment.speedup() == 0.0
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    environment.speedup.cache_clear()
    try:
        assert 0.01 < environment.speedup() < 100
    finally:
        environment.speedup.cache_clear()
