from __future__ import annotations

import threading

import pytest

from edgesft.measure.flow import channel
from edgesft.measure.flow.channel import Channel


def test_items_come_out_as_they_went_in_and_the_end_comes_after_the_last_writer() -> None:
    line: Channel[int] = Channel(writers=2)
    for item in range(3):
        assert line.put(item)
    line.leave()
    assert line.put(3)
    line.leave()
    assert not line.put(4)
    assert list(line) == [0, 1, 2, 3]
    assert list(line) == []


def test_the_oldest_goes_where_it_is_full() -> None:
    dropped: list[int] = []
    line: Channel[int] = Channel(2, dropped=dropped.append)
    for item in range(5):
        assert line.put(item, block=False)
        assert len(line) <= 2
    assert dropped == [0, 1, 2]
    assert line.drain() == [3, 4] and len(line) == 0


def test_what_waits_can_be_dropped_at_the_end() -> None:
    dropped: list[int] = []
    line: Channel[int] = Channel(3, dropped=dropped.append)
    line.put(0)
    line.put(1)
    line.leave(drop=True)
    assert dropped == [0, 1] and list(line) == []


def test_who_finds_it_full_waits_for_room() -> None:
    line: Channel[int] = Channel(1)
    writer = threading.Thread(target=lambda: [line.put(item) for item in range(20)] and line.leave())
    writer.start()
    found = []
    for item in line:
        assert len(line) <= 1
        found.append(item)
    writer.join(5)
    assert found == list(range(20))


def test_who_waits_for_room_is_sent_away_at_the_end() -> None:
    line: Channel[int] = Channel(1)
    line.put(0)
    taken: list[bool] = []
    writer = threading.Thread(target=lambda: taken.append(line.put(1)))
    writer.start()
    line.leave()
    writer.join(5)
    assert taken == [False] and list(line) == [0]


def test_an_empty_one_ends_where_no_writer_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "LOOK_SECONDS", 0.001)
    answers = iter([True, True, False])
    line: Channel[int] = Channel(alive=lambda: next(answers))
    line.put(0)
    assert list(line) == [0]
    assert not line.put(1)
