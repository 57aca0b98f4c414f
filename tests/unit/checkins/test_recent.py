"""What is kept of the replica in memory: used while it is surely what the store would say, and no longer."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import cast

import pytest

from services.checkins.domain.known import Goal, Mentorship
from services.checkins.recent import BLIND_S, Recent
from services.checkins.store import Known, Replica
from shared.intake import Intake, Seen
from shared.kafka import partition_of
from tests.unit.checkins.world import a_goal, a_mentorship

PARTITIONS = 3


@dataclass
class Stored:
    """What the store holds, and how often it was asked."""

    mentorship: Mentorship
    goal: Goal
    asked: Counter[str] = field(default_factory=Counter)

    async def find(self, org_id: str, mentorship_id: str, goal_id: str | None = None) -> Known:
        self.asked[org_id] += 1
        if org_id != self.mentorship.org_id:
            return Known(None, None)
        return Known(self.mentorship, self.goal if goal_id is not None else None)


@dataclass
class Log:
    """How far each partition was folded, as last seen."""

    next: int = 7
    seen_ago_s: float = 0.0

    def stored(self, topic: str, partition: int) -> Seen | None:
        assert topic == "goals"
        return Seen(self.next, time.monotonic() - self.seen_ago_s)


@dataclass
class World:
    """The memory over both."""

    stored: Stored
    log: Log
    recent: Recent

    @property
    def asked(self) -> int:
        return sum(self.stored.asked.values())

    async def find(self, org_id: str | None = None, *, fresh: bool = False) -> Known:
        mentorship, goal = self.stored.mentorship, self.stored.goal
        return await self.recent.find(
            org_id or mentorship.org_id, mentorship.mentorship_id, goal.goal_id, fresh=fresh
        )

    def changed(self, *, mentorships: tuple[str, ...] = (), goals: tuple[str, ...] = ()) -> None:
        partition = partition_of(self.stored.mentorship.mentorship_id, PARTITIONS)
        self.recent.changed(partition, mentorships, goals)


@pytest.fixture
def world() -> World:
    mentorship = a_mentorship()
    stored = Stored(mentorship, a_goal(mentorship_id=mentorship.mentorship_id, org_id=mentorship.org_id))
    log = Log()
    return World(stored, log, Recent(cast("Replica", stored), cast("Intake", log), PARTITIONS))


class TestRecent:
    async def test_the_second_look_asks_nobody(self, world: World) -> None:
        first = await world.find()
        assert await world.find() == first == Known(world.stored.mentorship, world.stored.goal)
        assert world.asked == 1

    async def test_a_fresh_look_asks_the_store(self, world: World) -> None:
        await world.find()
        await world.find(fresh=True)
        assert world.asked == 2

    async def test_another_organization_is_told_what_the_store_tells_it(self, world: World) -> None:
        await world.find()
        assert await world.find("another") == Known(None, None)

    async def test_what_this_process_has_folded_is_read_anew(self, world: World) -> None:
        await world.find()
        world.log.next += 1
        world.changed(goals=(world.stored.goal.goal_id,))
        await world.find()
        assert world.asked == 2
        await world.find()
        assert world.asked == 2

    async def test_what_this_process_has_folded_of_others_drops_nothing(self, world: World) -> None:
        await world.find()
        world.log.next += 1
        world.changed(goals=("another",), mentorships=("another",))
        await world.find()
        assert world.asked == 1

    async def test_what_another_process_has_folded_drops_all_of_the_partition(self, world: World) -> None:
        await world.find()
        world.log.next += 1
        await world.find()
        assert world.asked == 2

    async def test_nothing_kept_is_used_by_who_does_not_see_the_log(self, world: World) -> None:
        await world.find()
        world.log.seen_ago_s = BLIND_S + 0.1
        await world.find()
        await world.find()
        assert world.asked == 3

    async def test_what_was_read_while_the_log_went_on_is_not_kept(self, world: World) -> None:
        read = world.stored.find

        async def overtaken(org_id: str, mentorship_id: str, goal_id: str | None = None) -> Known:
            found = await read(org_id, mentorship_id, goal_id)
            world.log.next += 1
            world.changed(goals=(world.stored.goal.goal_id,))
            return found

        world.stored.find = overtaken  # type: ignore[method-assign]
        await world.find()
        world.stored.find = read  # type: ignore[method-assign]
        await world.find()
        assert world.asked == 2

    async def test_a_goal_of_another_mentorship_is_not_kept(self, world: World) -> None:
        world.stored.goal = a_goal(mentorship_id="another", org_id=world.stored.mentorship.org_id)
        await world.find()
        await world.find()
        assert world.asked == 2
