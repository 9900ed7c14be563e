"""Versions that keys depend on."""

from __future__ import annotations

from importlib import metadata

import pytest

from edgesft.measure import agent
from edgesft.store.keys import RUNTIMES, versions


def test_a_module_that_another_distribution_brings_has_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {"onnxruntime-gpu": "1.30.1", "numpy": "2.0"}

    def version(name: str) -> str:
        if name not in known:
            raise metadata.PackageNotFoundError(name)
        return known[name]

    monkeypatch.setattr(metadata, "version", version)
    found = versions()
    assert (found["onnxruntime"], found["numpy"]) == ("onnxruntime-gpu 1.30.1", "2.0")
    assert agent.RUNTIMES == RUNTIMES
    assert found["torch"] == "not installed" and {"peft", "onnx-ir"} <= set(found)
