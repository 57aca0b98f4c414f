"""The replica of goals' mentorships and goals, as the stream folds them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import msgspec
from pymongo import ASCENDING, IndexModel, ReplaceOne

from services.checkins.domain.cadence import Fact, Terms
from services.checkins.domain.known import Goal, Mentorship
from shared import events as contract
from shared.mongo import BY_ID, Collection, Database, Doc, Session

MENTORSHIPS = "mentorships"
GOALS = "goals"
WITHOUT_FACTS = {"facts": 0}


@dataclass(frozen=True, slots=True)
class Known:
    """What the replica knows of what a request names."""

    mentorship: Mentorship | None
    goal: Goal | None = None


class Replica:
    """Mentorships and goals, as the stream folds them."""

    def __init__(self, database: Database) -> None:
        self._mentorships = database[MENTORSHIPS]
        self._goals = database[GOALS]

    async def make_indexes(self) -> None:
        """Create the indexes; repeatable."""
        await self._mentorships.create_indexes(
            [IndexModel([("org_id", ASCENDING), ("people", ASCENDING)], name="people")]
        )
        await self._goals.create_indexes([IndexModel([("mentorship_id", ASCENDING)], name="mentorship")])

    async def find(self, org_id: str, mentorship_id: str, goal_id: str | None = None) -> Known:
        """A mentorship and, if one is named, a goal of an organization, without their facts."""
        if goal_id is None:
            return Known(await self.mentorship(org_id, mentorship_id))
        mentorship, goal = await asyncio.gather(
            self.mentorship(org_id, mentorship_id), self.goal(org_id, goal_id)
        )
        return Known(mentorship, goal)

    async def mentorship(self, org_id: str, mentorship_id: str) -> Mentorship | None:
        """A mentorship of an organization, without its facts."""
        found = await self._mentorships.find_one(
            {"_id": mentorship_id, "org_id": org_id}, WITHOUT_FACTS, hint=BY_ID
        )
        return _mentorship(found) if found else None

    async def goal(self, org_id: str, goal_id: str) -> Goal | None:
        """A goal of an organization, without its facts."""
        found = await self._goals.find_one({"_id": goal_id, "org_id": org_id}, WITHOUT_FACTS, hint=BY_ID)
        return _goal(found) if found else None

    async def mentorships_of(self, org_id: str, person_id: str) -> list[str]:
        """The ids of the mentorships that a person is a participant of."""
        found = await self._mentorships.find({"org_id": org_id, "people": person_id}, {"_id": 1}).to_list(
            None
        )
        return [document["_id"] for document in found]

    async def mentorships(self, ids: Iterable[str], session: Session | None = None) -> dict[str, Mentorship]:
        """Mentorships by id, with their facts, whatever organization they belong to."""
        found = await self._mentorships.find({"_id": {"$in": list(ids)}}, session=session).to_list(None)
        return {document["_id"]: _mentorship(document) for document in found}

    async def goals(self, ids: Iterable[str], session: Session | None = None) -> dict[str, Goal]:
        """Goals by id, with their facts, whatever organization they belong to."""
        found = await self._goals.find({"_id": {"$in": list(ids)}}, session=session).to_list(None)
        return {document["_id"]: _goal(document) for document in found}

    async def goals_of(self, mentorship_ids: Iterable[str], session: Session) -> dict[str, Goal]:
        """The goals of some mentorships, by id, with their facts."""
        found = await self._goals.find(
            {"mentorship_id": {"$in": list(mentorship_ids)}}, session=session
        ).to_list(None)
        return {document["_id"]: _goal(document) for document in found}

    async def put(self, mentorships: Iterable[Mentorship], goals: Iterable[Goal], session: Session) -> None:
        """Store what the stream folded."""
        await _replace(self._mentorships, [_mentorship_document(each) for each in mentorships], session)
        await _replace(self._goals, [_goal_document(each) for each in goals], session)


async def _replace(collection: Collection, documents: Sequence[Doc], session: Session) -> None:
    if documents:
        await collection.bulk_write(
            [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents],
            ordered=False,
            session=session,
        )


# --- documents


def _mentorship_document(mentorship: Mentorship) -> Doc:
    document: Doc = {
        field.name: value
        for field in fields(mentorship)
        if field.name not in ("mentorship_id", "facts")
        and (value := getattr(mentorship, field.name)) is not None
    }
    document["_id"] = mentorship.mentorship_id
    document["people"] = list(mentorship.participants)
    document["facts"] = [_fact_document(fact) for fact in mentorship.facts]
    return document


def _mentorship(document: Mapping[str, Any]) -> Mentorship:
    return Mentorship(
        mentorship_id=document["_id"],
        org_id=document["org_id"],
        program_id=document["program_id"],
        mentor_id=document["mentor_id"],
        mentee_id=document["mentee_id"],
        leader_id=document.get("leader_id"),
        coordinator_id=document.get("coordinator_id"),
        support_contact_id=document.get("support_contact_id"),
        ended=document["ended"],
        facts=tuple(_fact(each) for each in document.get("facts", ())),
    )


def _goal_document(goal: Goal) -> Doc:
    document: Doc = {
        field.name: value
        for field in fields(goal)
        if field.name not in ("goal_id", "facts", "measure")
        and (value := getattr(goal, field.name)) is not None
    }
    document["_id"] = goal.goal_id
    if goal.measure is not None:
        document["measure"] = msgspec.to_builtins(goal.measure)
    document["facts"] = [_fact_document(fact) for fact in goal.facts]
    return document


def _goal(document: Mapping[str, Any]) -> Goal:
    measure = document.get("measure")
    return Goal(
        goal_id=document["_id"],
        org_id=document["org_id"],
        program_id=document["program_id"],
        mentorship_id=document["mentorship_id"],
        owner_id=document["owner_id"],
        state=document["state"],
        owner_role=document.get("owner_role"),
        counterpart_id=document.get("counterpart_id"),
        title=document["title"],
        measure=msgspec.convert(measure, contract.Measure) if measure is not None else None,
        proposal_id=document.get("proposal_id"),
        facts=tuple(_fact(each) for each in document.get("facts", ())),
    )


def _fact_document(fact: Fact) -> Doc:
    document: Doc = {"kind": fact.kind, "recorded": fact.recorded, "at": fact.at}
    if fact.terms is not None:
        document["terms"] = {
            "every_days": fact.terms.every_days,
            "time_zone": fact.terms.time_zone,
            "due_at": fact.terms.due_at,
        }
    return document


def _fact(document: Mapping[str, Any]) -> Fact:
    terms = document.get("terms")
    return Fact(
        document["kind"], document["recorded"], document["at"], Terms(**terms) if terms is not None else None
    )
