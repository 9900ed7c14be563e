"""Bundles that every kit opens, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.export import bundles


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `text/`, `image/` and `stream/` (`tests.export.bundles`); read only."""
    folder = tmp_path_factory.mktemp("bundles")
    bundles.write(folder)
    return folder
