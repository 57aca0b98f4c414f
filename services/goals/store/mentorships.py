"""Mentorships in MongoDB."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import DESCENDING, UpdateOne

from services.goals.domain import mentorship as m
from services.goals.domain.announce import mentorship_event
from services.goals.domain.mentorship import Mentorship
from services.goals.store.base import Base, Kept, builtins, convert
from shared import events as contract
from shared.aggregates import Change
from shared.http.pages import Page
from shared.idempotency import Answer, Idem
from shared.mongo import Doc, Session


class Mentorships(Base):
    """What is kept of mentorships."""

    async def mentorship(
        self, org_id: str, mentorship_id: str, *, session: Session | None = None
    ) -> Kept[Mentorship] | None:
        """A mentorship of the organization."""
        doc = await self.mentorships.find(org_id, mentorship_id, session=session)
        return None if doc is None else Kept(doc, convert(doc, Mentorship))

    async def mentorships_by_id(
        self, ids: Iterable[str], session: Session | None = None
    ) -> dict[str, Kept[Mentorship]]:
        """Mentorships of any organization."""
        found = self.mentorships.collection.find({"_id": {"$in": sorted(set(ids))}}, session=session)
        return {doc["_id"]: Kept(doc, convert(doc, Mentorship)) for doc in await found.to_list(None)}

    async def mentorship_ids_of(self, org_id: str, person_id: str) -> list[str]:
        """The mentorships that a person takes part in."""
        found = self.mentorships.collection.find({"org_id": org_id, "people": person_id}, {"_id": 1})
        return [doc["_id"] async for doc in found]

    async def list_mentorships(
        self, org_id: str, page: Page, filters: Mapping[str, Any], participant: str | None
    ) -> list[Mentorship]:
        """Mentorships, newest first: all of the organization, or those of a participant."""
        query: Doc = {"org_id": org_id}
        people = [person for person in (filters.get("person_id"), participant) if person is not None]
        if people:
            query["people"] = {"$all": people}
        for name in ("program_id", "state", "external_ref"):
            if filters.get(name) is not None:
                query[name] = filters[name]
        rows = self.mentorships.collection.find({**query, **page.older("started_at")})
        rows = rows.sort([("started_at", DESCENDING), ("_id", DESCENDING)]).limit(page.fetch)
        return [convert(doc, Mentorship) for doc in await rows.to_list(None)]

    def new_mentorship(
        self,
        mentorship: Mentorship,
        facts: Sequence[m.Fact],
        *,
        now: datetime,
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> Change:
        """The insertion of a mentorship after its first facts."""
        after, events = _told_of_mentorship(mentorship, facts)
        return self.mentorships.new(
            id=after.mentorship_id,
            org_id=after.org_id,
            key=after.mentorship_id,
            subject=f"mentorship/{after.mentorship_id}",
            now=now,
            events=events,
            fields=_mentorship_fields(after),
            idem=idem,
            answer=answer,
        )

    def change_mentorship(
        self,
        kept: Kept[Mentorship],
        facts: Sequence[m.Fact],
        *,
        now: datetime,
        idem: Idem | None = None,
        answer: Answer | None = None,
        roomy: bool = False,
    ) -> Change:
        """A mentorship's facts, in its next version. `roomy`: its bound must not keep it from being."""
        after, events = _told_of_mentorship(kept.state, facts)
        aggregates = self._roomy_mentorships if roomy else self.mentorships
        return aggregates.change(
            kept.doc, now=now, events=events, fields=_mentorship_fields(after), idem=idem, answer=answer
        )

    def touch(self, kept: Kept[Mentorship]) -> Change:
        """A write that changes nothing of a mentorship: it fails if the mentorship was changed meanwhile.

        Touches do not exclude each other: of many goals that are set or revised at once in one mentorship,
        MongoDB lets one after the other through, and none has to be decided anew.
        """
        collection, doc = self.mentorships.collection, kept.doc
        unchanged = {"_id": doc["_id"], "org_id": doc["org_id"], "version": kept.state.version}
        after = {**doc, "v": doc["v"] + 1}
        return Change(collection, doc, after, UpdateOne(unchanged, {"$inc": {"v": 1}}))


def _told_of_mentorship(
    mentorship: Mentorship, facts: Sequence[m.Fact]
) -> tuple[Mentorship, list[contract.Event]]:
    events = []
    for fact in facts:
        mentorship = m.evolve(mentorship, fact)
        events.append(mentorship_event(mentorship, fact))
    return mentorship, events


def _mentorship_fields(mentorship: Mentorship) -> Doc:
    return {**builtins(mentorship), "people": list(mentorship.participants)}
