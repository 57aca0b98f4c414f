"""The goals topic, folded into the replica, the cadences, and the erasures to be carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import cast, get_args

from services.checkins.domain.cadence import next_period
from services.checkins.domain.known import (
    Goal,
    GoalEvent,
    Mentorship,
    MentorshipEvent,
    goal_after,
    mentorship_after,
)
from services.checkins.store import Cadences, Erasure, Erasures, Replica
from shared import events as contract
from shared.intake import Batch, Folded, Received
from shared.mongo import Session

GOAL_EVENTS: tuple[type, ...] = get_args(GoalEvent)
MENTORSHIP_EVENTS: tuple[type, ...] = get_args(MentorshipEvent)
Changed = Callable[[int, Iterable[str], Iterable[str]], None]
"""Told of the mentorships and goals of a partition that have changed."""
READS = [kind.__name__ for kind in (*MENTORSHIP_EVENTS, *GOAL_EVENTS, contract.PersonErased)]
"""The events that are folded, by name."""


class GoalsFold:
    """The fold of `onbelay.goals.v1`.

    Delivery: exactly once in effect, by the intake (see `shared.intake`); all writes are in its transaction.
    On failure: an event that names a mentorship of another organization is a dead letter; everything else is
    tried again until it succeeds.

    Args:
        grace: how long after its end a period is decided.
    """

    def __init__(
        self,
        replica: Replica,
        cadences: Cadences,
        erasures: Erasures,
        *,
        grace: timedelta,
    ) -> None:
        self._replica = replica
        self._cadences = cadences
        self._erasures = erasures
        self._grace = grace
        self._changed: Changed = lambda partition, mentorships, goals: None
        self._told: Callable[[], None] = lambda: None

    def after_commit(self, changed: Changed, told: Callable[[], None]) -> None:
        """After each batch that was stored, call `changed`, which drops what is kept in memory, then `told`, which
        wakes those who wait for news.
        """
        self._changed = changed
        self._told = told

    async def fold(self, batch: Batch, session: Session) -> Folded:
        """Fold a batch; see `shared.intake.Fold`."""
        folding = _Folding(
            await self._replica.mentorships(_ids(batch, "mentorship_id"), session),
            await self._replica.goals(_ids(batch, "goal_id"), session),
        )
        for received in batch.records:
            folding.take(received)
        await self._replica.put(folding.changed_mentorships, folding.changed_goals, session)
        # The pauses of a mentorship move the cadences of all its goals.
        goals = await self._replica.goals_of(folding.interrupted, session) if folding.interrupted else {}
        goals |= {goal.goal_id: goal for goal in folding.changed_goals if goal.facts}
        when = {
            goal_id: self._look_at(goal, folding.mentorships.get(goal.mentorship_id))
            for goal_id, goal in goals.items()
            if goal.facts
        }
        await self._cadences.look_at(when, goals, batch.partition, session)
        await self._erasures.add(folding.erasures, session)

        def committed() -> None:
            self._changed(
                batch.partition,
                [each.mentorship_id for each in folding.changed_mentorships],
                [each.goal_id for each in folding.changed_goals],
            )
            self._told()

        return Folded(after_commit=committed, rejected=folding.rejected)

    def _look_at(self, goal: Goal, mentorship: Mentorship | None) -> datetime | None:
        # Without its check-ins and lapses this may be too early, never too late; the worker looks closer.
        pauses = mentorship.facts if mentorship else ()
        period = next_period((*goal.facts, *pauses), (), None, self._grace)
        return period.expected_by + self._grace if period else None


class _Folding:
    """One batch, folded in memory."""

    def __init__(self, mentorships: dict[str, Mentorship], goals: dict[str, Goal]) -> None:
        self.mentorships = mentorships
        self.goals = goals
        self.erasures: list[Erasure] = []
        self.rejected: list[tuple[Received, str]] = []
        self.interrupted: set[str] = set()
        self._changed_mentorships: set[str] = set()
        self._changed_goals: set[str] = set()

    @property
    def changed_mentorships(self) -> list[Mentorship]:
        return [self.mentorships[id_] for id_ in self._changed_mentorships]

    @property
    def changed_goals(self) -> list[Goal]:
        return [self.goals[id_] for id_ in self._changed_goals]

    def take(self, received: Received) -> None:
        data = received.data
        if isinstance(data, contract.PersonErased):
            self.erasures.append(Erasure(data.org_id, data.person_id, data.at))
            return
        mentorship = self.mentorships.get(data.mentorship_id)
        if mentorship is not None and mentorship.org_id != received.org_id:
            self.rejected.append((received, f"tenant: {data.mentorship_id} belongs to another organization"))
        elif isinstance(data, MENTORSHIP_EVENTS):
            self._take_mentorship(mentorship, cast("MentorshipEvent", data), received)
        elif isinstance(data, GOAL_EVENTS):
            self._take_goal(cast("GoalEvent", data), received)

    def _take_mentorship(self, before: Mentorship | None, data: MentorshipEvent, received: Received) -> None:
        after = mentorship_after(before, data, received.time)
        if after is None or after == before:
            return
        self.mentorships[after.mentorship_id] = after
        self._changed_mentorships.add(after.mentorship_id)
        if before is not None and after.facts != before.facts:
            self.interrupted.add(after.mentorship_id)

    def _take_goal(self, data: GoalEvent, received: Received) -> None:
        before = self.goals.get(data.goal_id)
        after = goal_after(before, data, received.time)
        if after is None or after == before:
            return
        self.goals[after.goal_id] = after
        self._changed_goals.add(after.goal_id)


def _ids(batch: Batch, name: str) -> set[str]:
    return {id_ for received in batch.records if (id_ := getattr(received.data, name, None)) is not None}
