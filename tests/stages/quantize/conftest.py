"""One exported tiny classifier for all tests of quantization; read only."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesft.stages.artefact import Artefact
from tests.stages.surroundings import Small, small


@pytest.fixture(scope="package")
def tiny_model(bert: Path) -> Small:
    return small(bert)


@pytest.fixture(scope="package")
def artefact(tiny_model: Small, tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    folder = tmp_path_factory.mktemp("quantize")
    return tiny_model.export(folder / "onnx", origin=tiny_model.save(folder / "torch"))
