"""The worker that decides lapses (rule 8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from services.checkins.domain.cadence import Fact, Period, next_period
from services.checkins.domain.known import Goal
from services.checkins.domain.watermark import stored_until
from services.checkins.store import Cadences, CheckIns, Replica, StoredCadence
from shared import events as contract
from shared.aggregates import Change, StaleWrite
from shared.clock import Clock
from shared.errors import Unavailable
from shared.intake import Intake
from shared.mongo import Session

log = structlog.get_logger(__name__)

EVERY_S = 0.25
AT_ONCE = 500
"""Cadences in one transaction: days end in herds."""


class Lapses:
    """Decides each period once it can be: a grace after its end, when all is known that it depends on.

    Delivery: CheckInLapsed exactly once per (goal, period), as events of the goal's cadence. Idempotency key: the
    cadence's version, which guards the write, and its last lapse, from which the next period is counted; so a
    restart, a second process or a lease that ran out unnoticed change nothing. What became due in an outage is
    decided in the order of its instants.
    On failure: an instant's cadences are stored together or not at all, and tried again.

    A period is decided when, in domain time, its grace has passed; when the intake has folded what stood in the goals
    topic then; and when every check-in logged up to its end is stored.
    """

    def __init__(
        self,
        check_ins: CheckIns,
        cadences: Cadences,
        replica: Replica,
        intake: Intake,
        clock: Clock,
        *,
        partitions: int,
        grace: timedelta,
        write_timeout: timedelta,
    ) -> None:
        self._check_ins = check_ins
        self._cadences = cadences
        self._replica = replica
        self._intake = intake
        self._clock = clock
        self._partitions = range(partitions)
        self._grace = grace
        self._write_timeout = write_timeout

    async def run(self, _: int) -> None:
        """Decide until cancelled."""
        async with self._cadences.deciding() as session:
            while True:
                try:
                    busy = await self.decide(session)
                except StaleWrite:
                    continue
                except Unavailable:
                    busy = False  # Kafka takes no more for now; what waits is decided once it does
                if not busy:
                    await self._clock.pause(EVERY_S)

    async def decide(self, session: Session) -> bool:
        """Decide the earliest instant at which something is due; whether there was one.

        Raises:
            StaleWrite: news came in between; nothing was stored.
            Unavailable: a cadence has too much unpublished; nothing was stored.
        """
        async with self._clock.deciding():
            now = self._clock.now()
            until = self._reach(now)
            due = await self._cadences.due(until, AT_ONCE)
            if not due:
                return False
            changes = await self._changes(due, now)
            await self._cadences.commit(changes, session)
        return True

    def _reach(self, now: datetime) -> dict[int, datetime]:
        """Per partition the latest instant of decision that can be decided now."""
        stored = stored_until(now, self._clock.floor, self._write_timeout) + self._grace
        reach = {}
        for partition in self._partitions:
            covered = self._intake.covered("goals", partition)
            if covered is not None:
                reach[partition] = min(now, stored, covered)
        return reach

    async def _changes(self, due: Sequence[StoredCadence], now: datetime) -> list[Change]:
        goals = await self._replica.goals(each.goal_id for each in due)
        mentorships = await self._replica.mentorships({each.mentorship_id for each in due})
        logged = await self._check_ins.logged_on([each.goal_id for each in due])
        changes = []
        for cadence in due:
            goal = goals[cadence.goal_id]
            mentorship = mentorships.get(cadence.mentorship_id)
            facts = (*goal.facts, *(mentorship.facts if mentorship else ()))
            changes.append(self._change(cadence, goal, facts, logged[cadence.goal_id], now))
        return changes

    def _change(
        self,
        cadence: StoredCadence,
        goal: Goal,
        facts: Sequence[Fact],
        logged: Sequence[datetime],
        now: datetime,
    ) -> Change:
        lapsed = cadence.lapsed
        events: list[contract.Event] = []
        period = next_period(facts, logged, lapsed, self._grace)
        if period is not None and period.expected_by + self._grace <= cadence.next_at:
            events.append(_lapse(goal, period))
            log.info("lapsed", goal_id=goal.goal_id, period=period.period.isoformat())
            lapsed = period
            period = next_period(facts, logged, lapsed, self._grace)
        return self._cadences.change(
            cadence,
            now=now,
            events=events,
            lapsed=lapsed,
            next_at=period.expected_by + self._grace if period is not None else None,
        )


def _lapse(goal: Goal, period: Period) -> contract.CheckInLapsed:
    assert goal.owner_role is not None  # noqa: S101 - narrows: a goal that was set has a role
    return contract.CheckInLapsed(
        org_id=goal.org_id,
        program_id=goal.program_id,
        mentorship_id=goal.mentorship_id,
        goal_id=goal.goal_id,
        owner_id=goal.owner_id,
        owner_role=goal.owner_role,
        expected_by=period.expected_by,
        period=period.period.isoformat(),
    )
