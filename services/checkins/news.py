"""News of the goals topic: waited for, for a moment, before something is said not to be there."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.checkins.domain.check_in import NO_GOAL, NO_MENTORSHIP
from services.checkins.domain.known import Goal, Mentorship
from services.checkins.recent import Recent
from shared.clock import Clock
from shared.errors import NotFound, Unavailable
from shared.intake import Intake
from shared.kafka import partition_of

PATIENCE_S = 2.0
LOOK_S = 0.1
"""How often to look for what another process has folded."""
BEHIND = timedelta(seconds=5)
"""Not having covered the topic for this long is being behind."""
LATE = "News of mentorships and goals is late here; try again soon."


@dataclass(slots=True)
class Patience:
    """How long a request waits for news, in all: the items of a batch share it.

    `asked_at`: domain time when the request came.
    """

    asked_at: datetime
    until: float = field(default_factory=lambda: time.monotonic() + PATIENCE_S)

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.until - time.monotonic()


class News:
    """Looks things up in the replica, and waits for what may be on its way."""

    def __init__(self, recent: Recent, intake: Intake, clock: Clock, partitions: int) -> None:
        self._recent = recent
        self._intake = intake
        self._clock = clock
        self._partitions = partitions
        self._came = asyncio.Event()

    def told(self) -> None:
        """Something was folded: wake those who wait."""
        self._came.set()
        self._came = asyncio.Event()

    def patience(self) -> Patience:
        """The patience of a request that comes now."""
        return Patience(self._clock.now())

    async def find(
        self,
        org_id: str,
        mentorship_id: str,
        goal_id: str | None,
        patience: Patience,
        *,
        fresh: bool = False,
    ) -> tuple[Mentorship, Goal | None]:
        """The mentorship, and the goal if one is named; waits for what is not known. `fresh`: as it is stored now.

        Raises:
            NotFound: it is not there.
            Unavailable: it is not there, but this service knows that it is behind.
        """
        while True:
            came = self._came
            known = await self._recent.find(org_id, mentorship_id, goal_id, fresh=fresh)
            if known.mentorship is not None and (goal_id is None or known.goal is not None):
                return known.mentorship, known.goal
            if patience.left <= 0:
                break
            await _until(came, min(LOOK_S, patience.left))
        self._refuse_behind(mentorship_id)
        raise NotFound(NO_MENTORSHIP if known.mentorship is None else NO_GOAL)

    async def find_goal(self, org_id: str, goal_id: str, patience: Patience) -> tuple[Mentorship, Goal]:
        """A goal and the mentorship that it belongs to; waits for what is not known.

        Raises:
            NotFound: it is not there.
            Unavailable: it is not there, but this service knows that it is behind.
        """
        while True:
            came = self._came
            goal = await self._recent.goal(org_id, goal_id)
            if goal is not None:
                mentorship, _ = await self.find(org_id, goal.mentorship_id, None, patience)
                return mentorship, goal
            if patience.left <= 0:
                break
            await _until(came, min(LOOK_S, patience.left))
        self._refuse_behind(None)
        raise NotFound(NO_GOAL)

    async def caught_up(self, mentorship_id: str, patience: Patience) -> bool:
        """Wait until what was published when the request came is folded; False when patience ends before."""
        partition = partition_of(mentorship_id, self._partitions)
        while True:
            covered = self._intake.covered("goals", partition)
            if covered is not None and covered >= patience.asked_at:
                return True
            if patience.left <= 0:
                return False
            await asyncio.sleep(min(0.02, max(patience.left, 0)))

    def refuse_late(self, mentorship_id: str) -> None:
        """Do not refuse by what is known while this service knows of news that it has not folded yet.

        Raises:
            Unavailable: it does.
        """
        if self._intake.behind("goals", partition_of(mentorship_id, self._partitions)):
            raise Unavailable(LATE, retry_after=2)

    def _refuse_behind(self, mentorship_id: str | None) -> None:
        """Do not say that something is not there while there is news that is not folded yet, as far as can be told.

        Of a mentorship's partition, or of any.

        Raises:
            Unavailable: this service is behind.
        """
        partition = None if mentorship_id is None else partition_of(mentorship_id, self._partitions)
        wanted = range(self._partitions) if partition is None else (partition,)
        covered = self._intake.covered("goals", partition)
        if (
            not self._intake.caught_up_once
            or any(self._intake.behind("goals", number) for number in wanted)
            or covered is None
            or self._clock.now() - covered > BEHIND
        ):
            raise Unavailable(LATE, retry_after=2)


async def _until(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
