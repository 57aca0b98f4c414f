"""What people chose: read and changed by requests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from services.notifier.domain.person import Person
from services.notifier.store.documents import Documents, person_key, read_person
from shared.idempotency import Answer, Idem
from shared.mongo import BY_ID


class Recipients(Documents):
    """For the API and the page for quiet."""

    async def person(self, org_id: str, person_id: str) -> Person | None:
        """The person, or None when nothing was ever told of them."""
        found = await self._people.find(org_id, person_key(org_id, person_id))
        return None if found is None else read_person(found)

    async def replay(self, idem: Idem | None, now: datetime) -> Answer | None:
        """The answer kept for an idempotency key of a request about a recipient; see `Aggregates.replay`."""
        return await self._people.replay(idem, now)

    async def change_person(
        self,
        org_id: str,
        person_id: str,
        now: datetime,
        change: Callable[[Person], Person],
        *,
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> Person:
        """Store `change(person)`, and with it when their agenda is due next; a failed message is tried at once.

        Raises:
            StaleWrite: the person was changed meanwhile; nothing is stored.
            Duplicate: a person of that id was stored meanwhile, or the idempotency key was used meanwhile.
            Whatever `change` raises.
        """
        before = await self._people.find(org_id, person_key(org_id, person_id))
        known = Person(person_id=person_id, org_id=org_id) if before is None else read_person(before)
        after = change(known)
        write = self._write_person(before, after, now, idem=idem, answer=answer, unset=("retry_at",))
        await self._people.commit(write)
        return after

    async def title(self, org_id: str, goal_id: str) -> str | None:
        """What a goal is called, or None when nothing is known of it yet."""
        found = await self._goals.find_one({"_id": goal_id, "org_id": org_id}, {"title": 1}, hint=BY_ID)
        return None if found is None else found.get("title")

    async def forget_answers(self, before: datetime) -> None:
        """Drop the answers to idempotency keys kept since before `before`."""
        await self._people.forget_answers(before)
