"""What stands between threads: a line of bounded length that ends when those who fill it have left."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

LOOK_SECONDS = 1.0
"""How often who waits for an item looks whether anybody is left to put one."""


class Channel(Generic[T]):
    """Items in the order in which they came, each taken once. Iterating waits for items and stops at the end."""

    def __init__(
        self,
        size: float = math.inf,
        *,
        writers: int = 1,
        dropped: Callable[[T], None] = lambda _: None,
        alive: Callable[[], bool] | None = None,
    ) -> None:
        """An empty channel.

        Args:
            size: Most items that wait in it.
            writers: How many have to leave before it ends.
            dropped: Is told each item that is dropped, before anybody sees the channel without it.
            alive: Whether writers may still come; where not, an empty channel ends without their leaving. None where
                they are sure to leave.
        """
        self._size, self._writers, self._dropped, self._alive = size, writers, dropped, alive
        self._items: deque[T] = deque()
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T, *, block: bool = True) -> bool:
        """Appends an item.

        Args:
            item: The item.
            block: Whether to wait for room; otherwise the oldest item is dropped where there is none.

        Returns:
            Whether it was taken; not where all writers have left.
        """
        with self._changed:
            if block:
                self._changed.wait_for(lambda: len(self._items) < self._size or not self._writers)
            if not self._writers:
                return False
            if len(self._items) >= self._size:
                self._dropped(self._items.popleft())
            self._items.append(item)
            self._changed.notify_all()
            return True

    def leave(self, *, drop: bool = False) -> None:
        """One writer less; after the last one has left nothing more is put.

        Args:
            drop: Whether to drop what waits, instead of leaving it to be taken.
        """
        with self._changed:
            self._writers = max(0, self._writers - 1)
            while drop and self._items:
                self._dropped(self._items.popleft())
            self._changed.notify_all()

    def drain(self) -> list[T]:
        """Takes all that waits, without waiting for more."""
        with self._changed:
            items = list(self._items)
            self._items.clear()
            self._changed.notify_all()
            return items

    def __iter__(self) -> Iterator[T]:
        while True:
            with self._changed:
                while not self._changed.wait_for(
                    lambda: self._items or not self._writers, None if self._alive is None else LOOK_SECONDS
                ):
                    if self._alive is not None and not self._alive():
                        self._writers = 0
                if not self._items:
                    return
                item = self._items.popleft()
                self._changed.notify_all()
            yield item
