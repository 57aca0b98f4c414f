"""Workers that remove: private words of who was erased, and answers that need not be kept any longer."""

from __future__ import annotations

from datetime import timedelta

import structlog

from services.checkins.domain.watermark import stored_until
from services.checkins.store import CheckIns, Erasures
from shared.aggregates import ANSWERS_KEPT
from shared.clock import Clock

log = structlog.get_logger(__name__)

LOOK_S = 0.5
FORGET_EVERY_S = 600.0


class Eraser:
    """Removes the private words that a person stored up to their erasure.

    Delivery: at least once; removing again changes nothing. Idempotency key: (organization, person).
    On failure: the erasure stays noted, and is carried out again from its beginning. It is done once a pass began
    after every check-in logged up to then had been stored.
    """

    def __init__(
        self, check_ins: CheckIns, erasures: Erasures, clock: Clock, *, write_timeout: timedelta
    ) -> None:
        self._check_ins = check_ins
        self._erasures = erasures
        self._clock = clock
        self._write_timeout = write_timeout

    async def run(self, _: int) -> None:
        """Erase until cancelled."""
        while True:
            for erasure in await self._erasures.pending():
                stored = stored_until(self._clock.now(), self._clock.floor, self._write_timeout)
                erased = await self._check_ins.erase_words(erasure.org_id, erasure.person_id, erasure.at)
                if erased:
                    log.info("private words erased", check_ins=erased)
                if stored > erasure.at:
                    await self._erasures.done(erasure)
            await self._clock.pause(LOOK_S)


class Forgetting:
    """Drops the answers of idempotency keys after 24 hours of domain time; repeatable, and tried again on failure."""

    def __init__(self, check_ins: CheckIns, clock: Clock) -> None:
        self._check_ins = check_ins
        self._clock = clock

    async def run(self, _: int) -> None:
        """Forget until cancelled."""
        while True:
            await self._check_ins.forget_answers(self._clock.now() - ANSWERS_KEPT)
            await self._clock.pause(FORGET_EVERY_S)
