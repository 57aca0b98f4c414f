"""What can be done with expectations: read, decide, store, answer."""

from __future__ import annotations

from typing import Any

from services.goals import shown
from services.goals.access import (
    NO_MENTORSHIP,
    reads_words_of_mentorship,
    require_participant,
    require_reader,
)
from services.goals.domain import expectations as e
from services.goals.domain.mentorship import Mentorship
from services.goals.store import Kept, Store
from shared.aggregates import Change
from shared.clock import Clock
from shared.errors import NotFound
from shared.http import Answer, Caller, Idem, Page, Position

NO_VERSION = "There is no such version."


class ExpectationsOfPairs:
    """The use cases of expectations. A version and its mentorship are stored in one transaction."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def propose(self, caller: Caller, mentorship_id: str, draft: e.Draft, idem: Idem | None) -> Answer:
        """A new version, signed by its author; it replaces one that was not agreed."""

        async def work() -> Answer:
            kept = await self._found(caller, mentorship_id)
            require_participant(caller, kept.state)
            now = self._clock.now()
            version, facts = e.propose(kept.state, draft, by=caller.person_id, now=now)
            body = shown.expectations(version, words=True)
            answer = Answer(201, body, shown.headers(body, _location(version)))
            await self._store.commit(
                self._store.change_mentorship(kept, facts, now=now),
                *await self._superseding(kept.state, kept.state.proposed),
                self._store.new_version(caller.org_id, version, now=now, idem=idem, answer=answer),
            )
            return answer

        return await self._store.once(self._store.expectations, idem, self._clock.now(), work)

    async def sign(self, caller: Caller, mentorship_id: str, version: int, idem: Idem | None) -> Answer:
        """Agree to a version; the one in force before it is superseded once both have."""

        async def work() -> Answer:
            kept = await self._found(caller, mentorship_id)
            require_participant(caller, kept.state)
            found = await self._store.version(caller.org_id, mentorship_id, version)
            if found is None:
                raise NotFound(NO_VERSION)
            now = self._clock.now()
            after, facts = e.sign(kept.state, found.state, by=caller.person_id, now=now)
            body = shown.expectations(after, words=True)
            answer = Answer(200, body, shown.headers(body))
            if facts:
                await self._store.commit(
                    self._store.change_mentorship(kept, facts, now=now),
                    *await self._superseding(kept.state, kept.state.agreed),
                    self._store.change_version(found, after, now=now, idem=idem, answer=answer),
                )
            elif idem is not None:
                # Signing again changes nothing, but its key answers as before like any other.
                await self._store.commit(
                    self._store.change_version(found, after, now=now, idem=idem, answer=answer)
                )
            return answer

        return await self._store.once(self._store.expectations, idem, self._clock.now(), work)

    async def read(self, caller: Caller, mentorship_id: str, version: int) -> Answer:
        """A version; what it says for mentor and mentee alone."""
        kept = await self._found(caller, mentorship_id)
        require_reader(caller, kept.state)
        found = await self._store.version(caller.org_id, mentorship_id, version)
        if found is None:
            raise NotFound(NO_VERSION)
        words = reads_words_of_mentorship(caller, kept.state)
        tagged = shown.headers(shown.expectations(found.state, words=True))
        return Answer(200, shown.expectations(found.state, words=words), tagged)

    async def find(self, caller: Caller, mentorship_id: str, state: str | None, page: Page) -> dict[str, Any]:
        """The versions, newest first; what they say for mentor and mentee alone."""
        kept = await self._found(caller, mentorship_id)
        require_reader(caller, kept.state)
        words = reads_words_of_mentorship(caller, kept.state)
        rows = await self._store.list_versions(caller.org_id, mentorship_id, page, state)
        return page.listing(
            rows,
            lambda row: Position(row.proposed_at, self._store.version_id(row.mentorship_id, row.version)),
            lambda row: shown.expectations(row, words=words),
        )

    async def _superseding(self, mentorship: Mentorship, version: int | None) -> list[Change]:
        """The write by which a version makes room for a later one."""
        if version is None:
            return []
        earlier = await self._store.version(mentorship.org_id, mentorship.mentorship_id, version)
        if earlier is None:
            return []
        return [self._store.change_version(earlier, e.superseded(earlier.state), now=self._clock.now())]

    async def _found(self, caller: Caller, mentorship_id: str) -> Kept[Mentorship]:
        kept = await self._store.mentorship(caller.org_id, mentorship_id)
        if kept is None:
            raise NotFound(NO_MENTORSHIP)
        return kept


def _location(version: e.Expectations) -> str:
    return f"/v1/mentorships/{version.mentorship_id}/expectations/{version.version}"
