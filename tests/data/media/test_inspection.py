"""What files turned out to be is remembered from one command to the next, and only that."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from edgesft.data.media import inspection
from edgesft.data.media.images import Images
from edgesft.data.media.medium import File
from edgesft.store.store import Store
from tests import tiny

pytest.importorskip("PIL")


class Counted(Images):
    """Pictures, and how often one was opened."""

    opened: list[Any]

    def __init__(self) -> None:
        self.opened = []

    def look(self, value: Any) -> dict[str, str]:
        """As `Images`."""
        self.opened.append(value)
        return super().look(value)


@pytest.fixture
def rows(tmp_path: Path) -> Sequence[dict[str, File]]:
    """Twelve pictures and one file that is none."""
    tiny.save_pictures(tmp_path / "p", tiny.pictured(12))
    (tmp_path / "p" / "none.png").write_bytes(b"none")
    return [{"image": File(file)} for file in sorted((tmp_path / "p").rglob("*.png"))]


def opened(rows: Sequence[dict[str, File]], store: Store) -> tuple[int, inspection.Inspection]:
    """How many pictures a new process opens, and what it finds."""
    inspection._KNOWN.clear()
    medium = Counted()
    found = inspection.inspect(medium, rows, store)
    return len(set(medium.opened)), found


def test_remembered(rows: Sequence[dict[str, File]], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    first, found = opened(rows, store)
    again, same = opened(rows, store)
    assert first == 13
    assert again == 1  # What cannot be read is tried again: what it lacked may have come.
    assert found == same
    assert len(found.faults) == 1
    assert sum(count for (kind, _), count in found.seen.items() if kind == "size") == 12


def test_changed_content_is_looked_at(rows: Sequence[dict[str, File]], tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    _, before = opened(rows, store)
    [number] = before.faults
    Path(rows[number]["image"]).write_bytes(Path(rows[0]["image"]).read_bytes())
    count, after = opened(rows, store)
    assert count > 0
    assert not after.faults


def test_without_a_store_that_can_be_written(rows: Sequence[dict[str, File]], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    _, found = opened(rows, Store(tmp_path / "file"))
    assert found == opened(rows, Store(tmp_path / "store"))[1]
