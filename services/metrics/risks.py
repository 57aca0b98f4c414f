"""Goals at risk, kept assessed: a worker looks again at goals that something happened to, or whose time has come."""

from __future__ import annotations

import asyncio

import structlog
from pymongo.errors import PyMongoError

from services.metrics.domain.risk import Risk, assess
from services.metrics.store.risks import After, RiskStore, Stale
from shared.clock import Clock
from shared.errors import Unavailable

log = structlog.get_logger(__name__)

NOTES_TOGETHER = 20
GOALS_TOGETHER = 500
LATELY = 1_000
"""What is not assessed yet when somebody asks is assessed for the answer, up to so many goals."""
PAUSE_S = 0.5
PATIENCE_S = 3.0


class Risks:
    """Answers who is at risk, and keeps the assessments.

    The worker's delivery: at least once. A batch of the intake leaves a note of the goals it touched, in its own
    transaction; a note is removed after its goals were assessed, so a crash in between means to assess again.
    Nothing else writes assessments, and one process at a time does.
    """

    def __init__(self, store: RiskStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def worst(
        self,
        org_id: str,
        program_id: str | None,
        owner_id: str | None,
        limit: int,
        after: After | None = None,
    ) -> list[Risk]:
        """Open goals with a signal as of now, the worst first.

        Raises:
            Unavailable: more is to be assessed than an answer can wait for, as after an outage.
        """
        lately = await self._not_yet(org_id)
        now = self._clock.now()
        fresh = [assess(goal, entries, now) for goal, entries in await self._store.open_goals(lately)]
        found = await self._store.worst(org_id, program_id, owner_id, limit + len(lately), after)
        kept = [risk for risk in found if risk.goal_id not in lately]
        kept += (
            risk
            for risk in fresh
            if risk.org_id == org_id
            and risk.signals
            and program_id in (None, risk.program_id)
            and owner_id in (None, risk.owner_id)
            and (after is None or risk.rank > after)
        )
        return sorted(kept, key=lambda risk: risk.rank)[:limit]

    async def _not_yet(self, org_id: str) -> set[str]:
        waited = 0.0
        while True:
            stale = await self._store.touched(org_id, LATELY)
            lately = stale.goals | await self._store.due(org_id, self._clock.now(), LATELY)
            if len(lately) < LATELY and len(stale.notes) < LATELY:
                return lately
            if waited >= PATIENCE_S:
                raise Unavailable("Much has happened just now; it is being assessed.", retry_after=2)
            await asyncio.sleep(PAUSE_S)
            waited += PAUSE_S

    async def run(self, _: int = 0) -> None:
        """Keep the assessments up to date until cancelled."""
        while True:
            try:
                some = await self.refresh()
            except PyMongoError as error:
                log.warning("goals at risk not assessed, trying again", error=repr(error))
                some = False
            if not some:
                await self._clock.pause(PAUSE_S)

    async def refresh(self) -> bool:
        """Assess some of what is not up to date; whether there was any."""
        stale = await self._store.touched(None, NOTES_TOGETHER)
        due = await self._store.due(None, self._clock.now(), GOALS_TOGETHER)
        await self._assess(stale, due)
        return bool(stale.notes or due)

    async def _assess(self, stale: Stale, due: set[str]) -> None:
        ids = sorted(stale.goals | due)
        for start in range(0, len(ids), GOALS_TOGETHER):
            some = ids[start : start + GOALS_TOGETHER]
            now = self._clock.now()
            risks = [assess(goal, entries, now) for goal, entries in await self._store.open_goals(some)]
            await self._store.keep(risks, set(some) - {risk.goal_id for risk in risks})
        await self._store.settle(stale)
