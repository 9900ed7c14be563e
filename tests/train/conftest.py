from __future__ import annotations

from pathlib import Path

import pytest

from tests.train import mood


@pytest.fixture(scope="session")
def task(bert: Path) -> mood.Mood:
    return mood.make(bert)
