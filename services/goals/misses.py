"""The deadlines' worker: decides the goals whose time has come.

A goal is decided only when the watermark of its partition says that every check-in logged up to that time has
been taken in; while the checkins service is down, the watermark stands and misses wait.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import structlog
from pymongo.errors import PyMongoError

from services.goals.domain.goal import Goal
from services.goals.domain.pause import decision_at, settle
from services.goals.domain.rules import Rules
from services.goals.store import Kept, Store
from shared import telemetry
from shared.aggregates import Change
from shared.clock import Clock
from shared.errors import Refused
from shared.mongo import Session

log = structlog.get_logger(__name__)

BATCH = 500
"""Goals at once: deadlines come in herds, and others' must not wait for one's answer."""
POLL_S = 0.25
LANES = 4
"""Workers, each with its share of the partitions: while MongoDB stores for one, another decides."""

Watermarks = Callable[[], Awaitable[Mapping[int, datetime]]]


class Deadlines:
    """Decides due goals: met, missed, or dropped with their mentorship.

    Args:
        watermarks: per partition, up to when every check-in has been taken in.
        lane, lanes: of so many workers this one, which decides the partitions of its number alone.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        rules: Rules,
        watermarks: Watermarks,
        *,
        lane: int = 0,
        lanes: int = 1,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._watermarks = watermarks
        self._lane = lane
        self._lanes = lanes
        self._batch = BATCH
        self._partitions: set[int] = set()

    async def run(self, _: int) -> None:
        """Decide what is due, for as long as this process holds the lease.

        Delivery: exactly once per goal and revision: a goal moves on by compare-and-set, its event in the same
        document, whoever else tries. On failure what is not stored stays due, and is tried again.
        """
        try:
            while True:
                decided = 0
                try:
                    decided = await self.decide_due()
                except PyMongoError as error:
                    log.warning("deadlines not decided yet", error=repr(error))
                if decided == 0:
                    await self._clock.pause(POLL_S)
        finally:
            # Who decides no more knows no more how old the watermarks are.
            for partition in self._partitions:
                telemetry.WATERMARK_AGE.remove(partition)
            self._partitions.clear()

    async def decide_due(self) -> int:
        """Decide up to a batch of what is due, in the order of its instants; how many goals that were.

        A goal that somebody else changes meanwhile stays due, and is decided anew by the next call.
        """
        async with self._clock.deciding():
            now = self._clock.now()
            horizons = {
                partition: min(up_to, now)
                for partition, up_to in (await self._watermarks()).items()
                if partition % self._lanes == self._lane
            }
            for partition, up_to in horizons.items():
                telemetry.WATERMARK_AGE.labels(partition).set(max(0.0, (now - up_to).total_seconds()))
            self._partitions |= horizons.keys()
            limit = self._batch
            try:
                goals = await self._store.to_decide(horizons, limit)
                changes = await self.decided(goals, horizons)
                stored = await self._store.goals.commit_each(changes)
            except PyMongoError:
                # It may have taken too long: goals can have very many check-ins.
                self._batch = max(1, limit // 4)
                raise
            self._batch = min(BATCH, limit * 2)
            if goals:
                log.info("deadlines decided", goals=len(goals), stored=stored)
            return len(goals) if changes else 0

    async def decided(
        self, goals: Sequence[Kept[Goal]], horizons: Mapping[int, datetime], session: Session | None = None
    ) -> list[Change]:
        """What is to be written of these goals, each guarded by the version that it was read in.

        That guard is enough, since mentorships and check-ins are read after the goals: a pause, a resumption or an end
        writes every active goal of its mentorship, and a check-in that is taken in its goal. So whatever is read here
        in one state, and was in another when the goal was read, has changed the goal.
        """
        if not goals:
            return []
        mentorships = await self._store.mentorships_by_id(
            (kept.state.mentorship_id for kept in goals), session
        )
        check_ins = await self._store.check_ins_of((kept.state.goal_id for kept in goals), session)
        now = self._clock.now()
        changes: list[Change] = []
        for kept in goals:
            goal_id = kept.state.goal_id
            mentorship = mentorships[kept.state.mentorship_id]
            known = check_ins.get(goal_id, [])
            decide_at = decision_at(kept.state, mentorship.state, self._rules.grace)
            due = decide_at is not None and decide_at <= horizons[kept.doc["part"]]
            facts = (
                settle(kept.state, mentorship.state, known, grace=self._rules.grace, now=now) if due else []
            )
            try:
                changes.append(
                    self._store.change_goal(kept, facts, mentorship.state, known, now=now, roomy=True)
                )
            except Refused as refused:
                # Too much of it waits for Kafka: later.
                log.warning("a goal is not decided yet", goal_id=goal_id, error=refused.detail)
        return changes
