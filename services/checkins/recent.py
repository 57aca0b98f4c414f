"""The replica's documents that requests name, kept in memory until they change.

What is kept of a partition of the goals topic is dropped when this process folds a change of it, and all of it when
another process has folded that partition further, as the intake sees several times a second. While it has not seen
for `BLIND_S`, nothing kept is used.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.checkins.domain.known import Goal, Mentorship
from services.checkins.store import Known, Replica
from shared import levers
from shared.intake import Intake
from shared.kafka import partition_of

KEPT = 20_000
"""Documents, of all partitions; about 1 KB each."""
BLIND_S = 2.0


@dataclass(slots=True)
class _Part:
    """What is kept of a partition as it stood when its next offset was `next`."""

    next: int = -1
    mentorships: OrderedDict[str, Mentorship] = field(default_factory=OrderedDict)
    goals: OrderedDict[str, Goal] = field(default_factory=OrderedDict)

    def clear(self) -> None:
        self.mentorships.clear()
        self.goals.clear()


class Recent:
    """Looks mentorships and goals up, in memory where that is surely what the store would say."""

    def __init__(self, replica: Replica, intake: Intake, partitions: int) -> None:
        self._replica = replica
        self._intake = intake
        self._partitions = partitions
        self._parts: dict[int, _Part] = {}
        self._most = max(100, KEPT // (2 * partitions))
        self._on = levers.on(levers.REPLICA_CACHE)

    async def find(
        self, org_id: str, mentorship_id: str, goal_id: str | None, *, fresh: bool = False
    ) -> Known:
        """As `Replica.find`; with `fresh`, what the store says now."""
        part = None if fresh or not self._on else self._part(mentorship_id)
        if part is None:
            return await self._replica.find(org_id, mentorship_id, goal_id)
        mentorship = part.mentorships.get(mentorship_id)
        goal = part.goals.get(goal_id) if goal_id is not None else None
        if mentorship is not None and mentorship.org_id == org_id and (goal_id is None or goal is not None):
            part.mentorships.move_to_end(mentorship_id)
            if goal is not None:
                part.goals.move_to_end(goal.goal_id)
            return Known(mentorship, goal)
        stood = part.next
        known = await self._replica.find(org_id, mentorship_id, goal_id)
        if self._part(mentorship_id) is part and part.next == stood:
            self._keep(part, known)
        return known

    async def goal(self, org_id: str, goal_id: str) -> Goal | None:
        """A goal, as the store says now: without its mentorship it is not known which partition tells of it."""
        return await self._replica.goal(org_id, goal_id)

    def changed(self, partition: int, mentorships: Iterable[str], goals: Iterable[str]) -> None:
        """This process has folded changes of a partition, and stored them."""
        part = self._parts.get(partition)
        seen = self._intake.stored("goals", partition)
        if part is None or seen is None:
            return
        for mentorship_id in mentorships:
            part.mentorships.pop(mentorship_id, None)
        for goal_id in goals:
            part.goals.pop(goal_id, None)
        part.next = seen.next

    def _part(self, mentorship_id: str) -> _Part | None:
        """What is kept of a mentorship's partition, as of now; None: that cannot be told."""
        partition = partition_of(mentorship_id, self._partitions)
        seen = self._intake.stored("goals", partition)
        if seen is None or time.monotonic() - seen.at > BLIND_S:
            return None
        part = self._parts.get(partition)
        if part is None:
            part = self._parts[partition] = _Part()
        if part.next != seen.next:
            part.clear()
            part.next = seen.next
        return part

    def _keep(self, part: _Part, known: Known) -> None:
        mentorship, goal = known.mentorship, known.goal
        if mentorship is None:
            return
        part.mentorships[mentorship.mentorship_id] = mentorship
        # A goal of another mentorship may change with another partition.
        if goal is not None and goal.mentorship_id == mentorship.mentorship_id:
            part.goals[goal.goal_id] = goal
        while len(part.mentorships) > self._most:
            part.mentorships.popitem(last=False)
        while len(part.goals) > self._most:
            part.goals.popitem(last=False)
