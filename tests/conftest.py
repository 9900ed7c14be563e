"""Fixtures that the whole suite shares."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything loads torch: spinning threads of a loaded machine would stop each other.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

import pytest

from tests import tiny


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny pretrained encoder; read only."""
    return tiny.save_bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny net for pictures; read only."""
    return tiny.save_resnet(tmp_path_factory.mktemp("resnet"))
