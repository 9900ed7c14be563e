from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.measure.devices.sshd import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that all tests share."""
    running = Server(tmp_path_factory.mktemp("sshd"))
    yield running
    running.close()
