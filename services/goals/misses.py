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
"""Goals a transaction: deadlines come in herds, and one transaction has to stay short."""
TRIES = 3
"""How often a transaction may conflict with what people do to its goals before a smaller one is tried."""
POLL_S = 0.25
LANES = 3
"""Workers, each with its share of the partitions: while MongoDB stores for one, another decides."""

Watermarks = Callable[[], Awaitable[Mapping[int, datetime]]]
Find = Callable[[Session], Awaitable[Sequence[Kept[Goal]]]]


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

        Delivery: exactly once per goal and revision: a goal moves on by compare-and-set in one transaction with
        its event, whoever else tries. On failure the transaction is undone, and tried again.
        """
        try:
            async with self._store.deciding(self._lane) as session:
                while True:
                    decided = 0
                    try:
                        decided = await self.decide_due(session)
                    except PyMongoError as error:
                        log.warning("deadlines not decided yet", error=repr(error))
                    if decided == 0:
                        await self._clock.pause(POLL_S)
        finally:
            # Who decides no more knows no more how old the watermarks are.
            for partition in self._partitions:
                telemetry.WATERMARK_AGE.remove(partition)
            self._partitions.clear()

    async def decide_due(self, session: Session | None = None) -> int:
        """Decide up to a batch of what is due, in the order of its instants; how many that were.

        `session`: the worker's own, else one is made.
        Where people are busy with these very goals, a batch of them would begin again for ever: it is made
        smaller until it gets through, and larger again while it does.
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
            while True:
                limit = self._batch
                try:
                    goals, changes = await self._stored(
                        lambda opened, limit=limit: self._store.to_decide(horizons, limit, opened),  # type: ignore[misc]
                        horizons,
                        session,
                    )
                except _Crowded as crowded:
                    self._batch = max(1, crowded.goals // 4)
                    log.info("deadlines are decided fewer at a time", goals=self._batch)
                    continue
                except PyMongoError:
                    # It may have taken too long: goals can have very many check-ins.
                    self._batch = max(1, limit // 4)
                    raise
                self._batch = min(BATCH, limit * 2)
                if goals:
                    log.info("deadlines decided", goals=goals, writes=len(changes))
                return goals if changes else 0

    async def _stored(
        self, find: Find, horizons: Mapping[int, datetime], session: Session | None = None
    ) -> tuple[int, list[Change]]:
        """Find, decide and store in one transaction: how many goals were found, and what was stored of them."""
        tries = found = 0

        async def work(opened: Session) -> list[Change]:
            nonlocal tries, found
            if tries >= TRIES and found > 1:
                raise _Crowded(found)
            tries += 1
            goals = await find(opened)
            found = len(goals)
            return await self._decided(goals, horizons, opened)

        changes = await self._store.in_transaction(work, session=session)
        return found, changes

    async def _decided(
        self, goals: Sequence[Kept[Goal]], horizons: Mapping[int, datetime], session: Session
    ) -> list[Change]:
        """What is to be written of these goals, as they and their mentorships are in this transaction.

        A pause, a resumption or an end that comes at the same moment writes every active goal of its mentorship:
        it conflicts, and one of both is decided anew.
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


class _Crowded(Exception):
    """Others keep writing what a transaction of so many goals is about."""

    def __init__(self, goals: int) -> None:
        super().__init__(goals)
        self.goals = goals
