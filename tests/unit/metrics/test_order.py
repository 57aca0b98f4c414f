"""One order of many partitions: the same whoever reads, and never ahead of what may still show."""

from __future__ import annotations

from random import Random

import pytest

from services.metrics.domain.order import AHEAD_MS, HELD_MS, InOrder

FIRST, SECOND, THIRD = ("goals", 0), ("goals", 1), ("nudges", 0)
ALL = (FIRST, SECOND, THIRD)
NOW = 1_800_000_000_000
LONG_AGO = NOW - 3_600_000


def order() -> InOrder[tuple[str, int], str]:
    return InOrder(ALL)


class TestInOrder:
    @pytest.mark.parametrize("seed", range(20))
    def test_it_is_the_same_in_whatever_pieces_partitions_come(self, seed: int) -> None:
        rng = Random(seed)
        told = {
            partition: sorted(LONG_AGO + rng.randrange(40) for _ in range(rng.randrange(30)))
            for partition in ALL
        }
        expected = sorted((at, partition) for partition in ALL for at in told[partition])
        merged: InOrder[tuple[str, int], tuple[int, tuple[str, int]]] = InOrder(ALL)
        left = {partition: list(instants) for partition, instants in told.items()}
        found: list[tuple[int, tuple[str, int]]] = []
        while len(found) < len(expected):
            ended = {partition for partition in ALL if not left[partition]}
            while (item := merged.take(ended, NOW)) is not None:
                found.append(item)
            partition = rng.choice(ALL)
            for at in left[partition][: rng.randint(1, 9)]:
                merged.put(partition, at, (at, partition), NOW)
                left[partition].remove(at)
        assert found == expected

    def test_it_waits_for_a_partition_that_may_hold_something_earlier(self) -> None:
        merged = order()
        merged.put(FIRST, LONG_AGO, "later", NOW)
        assert merged.take({SECOND}, NOW) is None
        assert merged.wait({SECOND}, NOW) is None
        merged.put(THIRD, LONG_AGO - 1, "earlier", NOW)
        assert [merged.take({SECOND, THIRD}, NOW) for _ in range(3)] == ["earlier", "later", None]

    def test_what_is_fresh_is_held_until_earlier_ones_had_time_to_show(self) -> None:
        merged = order()
        merged.put(FIRST, NOW, "fresh", NOW)
        assert merged.take(set(ALL), NOW + HELD_MS - 1) is None
        assert merged.wait(set(ALL), NOW + HELD_MS - 1) == 1
        merged.put(SECOND, NOW - 1, "earlier", NOW + HELD_MS - 1)
        assert [merged.take(set(ALL), NOW + HELD_MS) for _ in range(2)] == ["earlier", "fresh"]

    def test_where_every_partition_has_more_nothing_is_held(self) -> None:
        merged = order()
        for partition in ALL:
            merged.put(partition, NOW, partition[0], NOW)
        assert merged.take(set(), NOW) == "goals"

    def test_a_clock_far_ahead_holds_nothing_for_ever(self) -> None:
        merged = order()
        merged.put(FIRST, NOW + 10 * AHEAD_MS, "ahead", NOW)
        assert merged.wait(set(ALL), NOW) == AHEAD_MS + HELD_MS
        assert merged.take(set(ALL), NOW + AHEAD_MS + HELD_MS) == "ahead"
