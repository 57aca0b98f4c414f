"""Erasing a person: told to every service, and done here."""

from __future__ import annotations

import structlog
from pymongo.errors import PyMongoError

from services.goals.store import Erasure, Store
from shared.clock import Clock
from shared.http import Answer, Caller, Idem
from shared.ids import uuid7
from shared.time import format_instant

log = structlog.get_logger(__name__)

POLL_S = 0.5
PAGE = 20


class People:
    """The use cases of people, and the worker that removes their words."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def erase(self, caller: Caller, person_id: str, idem: Idem | None) -> Answer:
        """Take the erasure of a person: it is told as PersonErased and done soon."""

        async def work() -> Answer:
            now = self._clock.now()
            erasure = Erasure(uuid7(), caller.org_id, person_id, now)
            body = {
                "erasure_id": erasure.erasure_id,
                "person_id": person_id,
                "at": format_instant(now),
            }
            answer = Answer(202, body)
            change = self._store.new_erasure(erasure, now=now, idem=idem, answer=answer)
            await self._store.commit(change)
            return answer

        return await self._store.once(self._store.erasures, idem, self._clock.now(), work)

    async def run(self, _: int) -> None:
        """Remove the words of who was erased, for as long as this process holds the lease.

        Delivery: at least once per erasure, which is marked done afterwards. Idempotency key: the erasure;
        removing what is gone changes nothing. On failure it is tried again.
        """
        while True:
            try:
                async with self._clock.deciding():
                    for erasure in await self._store.pending_erasures(PAGE):
                        await self._store.erase_words(erasure, self._clock.now())
                        await self._store.erased(erasure)
                        log.info("private words erased", erasure_id=erasure.erasure_id)
            except PyMongoError as error:
                log.warning("erasure not done yet", error=repr(error))
            await self._clock.pause(POLL_S)
