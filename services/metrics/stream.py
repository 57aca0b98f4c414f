"""Kafka: batches of the event topics, folded into what numbers are read from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from pymongo.errors import PyMongoError

from services.metrics.domain.fold import fold_checkins, fold_goals, fold_nudges, touched
from services.metrics.store import Folding, Generation, Generations
from shared import levers
from shared.intake import Batch, Folded, Intake
from shared.mongo import Session
from shared.tasks import end

log = structlog.get_logger(__name__)

TOPICS = ("goals", "checkins", "nudges")
"""Not support: requests for help are in no number, and the notifier's alone to read."""

FOLLOW_S = 1.0
"""How often a process looks whether another generation is live."""


class Projection:
    """The fold of metrics.

    Delivery: exactly once in effect; everything is written through the intake's session, in the transaction that
    moves the offset, and increments rely on that. Idempotency key: (subject, topic, `ce_sequence`), the intake's.
    On failure nothing is stored and the batch is folded again from what is stored.
    """

    def __init__(self, store: Folding) -> None:
        self._store = store

    async def fold(self, batch: Batch, session: Session) -> Folded:
        """Fold a batch: at most one read and one bulk write per collection."""
        if levers.on(levers.FOLD_ONCE):
            await self._fold(batch, session)
        else:
            for record in batch.records:
                new = batch.new & {record.subject} if record.sequence == 1 else frozenset[str]()
                await self._fold(Batch(batch.topic, batch.partition, [record], new), session)
        return Folded()

    async def _fold(self, batch: Batch, session: Session) -> None:
        if batch.topic == "goals":
            goal_ids, mentorship_ids = touched(
                record for record in batch.records if record.subject not in batch.new
            )
            goals = await self._store.goals(goal_ids, session) if goal_ids else {}
            mentorships = await self._store.mentorships(mentorship_ids, session) if mentorship_ids else {}
            changes = fold_goals(batch.records, goals, mentorships)
        elif batch.topic == "checkins":
            changes = fold_checkins(batch.records)
        else:
            changes = fold_nudges(batch.records)
        await self._store.write(changes, f"{batch.topic}/{batch.partition}", batch.new, session)


class LiveIntake:
    """The intake of whichever generation is live: reads and folds go over to another one together.

    Delivery and failures are the intake's. While processes go over, one after the other within `FOLLOW_S`, each
    generation has its own consumer group and offsets, so neither is folded twice nor skipped.
    """

    def __init__(self, generations: Generations, make: Callable[[Generation], Intake]) -> None:
        self._generations = generations
        self._make = make
        self._intake: Intake | None = None
        self._caught_up = False

    @property
    def halted(self) -> bool:
        """Whether a partition stands still because its stored offset is out of range."""
        return self._intake is not None and self._intake.halted

    @property
    def caught_up_once(self) -> bool:
        """Whether all that stood in the assigned partitions at first has been folded."""
        self._caught_up = self._caught_up or (self._intake is not None and self._intake.caught_up_once)
        return self._caught_up

    async def run(self, cluster_id: str) -> None:
        """Consume until cancelled."""
        while True:
            intake = self._make(self._generations.live)
            if not await self._indexed(intake):
                continue
            self._intake = intake
            running = asyncio.create_task(intake.run(cluster_id), name="intake of the live generation")
            try:
                while not await self._another():
                    done, _ = await asyncio.wait([running], timeout=FOLLOW_S)
                    if done:
                        await running
            finally:
                await end([running])
            log.info("another generation is live", generation=self._generations.live.name)

    @staticmethod
    async def _indexed(intake: Intake) -> bool:
        """Whether MongoDB has made the intake's indexes; that it is slow or away must not end the process."""
        try:
            await intake.make_indexes()
        except PyMongoError as error:
            log.warning("MongoDB is not there yet", error=repr(error))
            await asyncio.sleep(1)
            return False
        return True

    async def _another(self) -> bool:
        try:
            return await self._generations.follow()
        except PyMongoError as error:
            log.warning("which generation is live is not known", error=repr(error))
            return False
