"""One order of what stands in many partitions: by the instant it was published, then by partition.

The order is the same for everybody who reads, so that one of its events tells what was sent before it. That takes
patience: an event waits until each other partition has passed its instant, or, where a partition has no more, until
what was published earlier has had time to show.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Set
from typing import Generic, TypeVar

HELD_MS = 1_000
"""How long an event waits for earlier ones. Clocks of hosts differ by less, and to be stored takes less."""
AHEAD_MS = 5_000
"""An event from a clock that is further ahead than this is sent all the same."""


P = TypeVar("P", bound=tuple[str, int])
T = TypeVar("T")


class InOrder(Generic[P, T]):
    """Items by partition, taken in the order of all. Within a partition the order is that in which they were put.

    Args:
        partitions: all there are; they sort.
    """

    def __init__(self, partitions: Iterable[P]) -> None:
        self._waiting: dict[P, deque[tuple[int, T]]] = {partition: deque() for partition in partitions}
        self._heads: list[tuple[int, P]] = []
        self._empty: set[P] = set(self._waiting)

    def put(self, partition: P, published: int, item: T, now: int) -> None:
        """Add what comes next in a partition; `published` and `now` in milliseconds since 1970."""
        waiting = self._waiting[partition]
        waiting.append((min(published, now + AHEAD_MS), item))
        if len(waiting) == 1:
            self._empty.discard(partition)
            heapq.heappush(self._heads, (waiting[0][0], partition))

    def take(self, ended: Set[P], now: int) -> T | None:
        """The next item, or None where it is too early to tell. `ended`: partitions that hold no more as yet."""
        if self.wait(ended, now) != 0:
            return None
        _, partition = heapq.heappop(self._heads)
        waiting = self._waiting[partition]
        _, item = waiting.popleft()
        if waiting:
            heapq.heappush(self._heads, (waiting[0][0], partition))
        else:
            self._empty.add(partition)
        return item

    def wait(self, ended: Set[P], now: int) -> int | None:
        """Milliseconds until the next item can be taken; None: not before something is put."""
        if not self._heads or not self._empty <= ended:
            return None
        return max(0, self._heads[0][0] + HELD_MS - now) if self._empty else 0

    def waiting(self, partition: P) -> int:
        """How many items of a partition wait."""
        return len(self._waiting[partition])
