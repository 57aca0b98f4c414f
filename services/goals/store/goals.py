"""Goals in MongoDB, and the check-ins that are their evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING, InsertOne, UpdateOne

from services.goals.domain import goal as g
from services.goals.domain.announce import goal_event
from services.goals.domain.evidence import CheckIn, Step, track
from services.goals.domain.goal import Goal
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.pause import decision_at
from services.goals.store.base import Base, Kept, builtins, check_in_document, convert
from shared import events as contract
from shared.aggregates import Change
from shared.http.pages import Page
from shared.idempotency import Answer, Idem
from shared.kafka import partition_of
from shared.mongo import Doc, Session


class Goals(Base):
    """What is kept of goals."""

    async def goal(self, org_id: str, goal_id: str, *, session: Session | None = None) -> Kept[Goal] | None:
        """A goal of the organization."""
        doc = await self.goals.find(org_id, goal_id, session=session)
        return None if doc is None else Kept(doc, convert(doc, Goal))

    async def goals_by_id(self, ids: Iterable[str], session: Session | None = None) -> dict[str, Kept[Goal]]:
        """Goals of any organization."""
        found = self.goals.collection.find({"_id": {"$in": sorted(set(ids))}}, session=session)
        return {doc["_id"]: Kept(doc, convert(doc, Goal)) for doc in await found.to_list(None)}

    async def goals_of(
        self, org_id: str, mentorship_id: str, session: Session | None = None
    ) -> list[Kept[Goal]]:
        """All goals of a mentorship."""
        found = self.goals.collection.find(
            {"org_id": org_id, "mentorship_id": mentorship_id}, session=session
        )
        return [Kept(doc, convert(doc, Goal)) async for doc in found]

    async def list_goals(
        self, org_id: str, page: Page, filters: Mapping[str, Any], mentorship_ids: Sequence[str] | None
    ) -> list[Kept[Goal]]:
        """Goals, newest first: all of the organization, or those of some mentorships."""
        query: Doc = {"org_id": org_id}
        for name in ("mentorship_id", "owner_id", "state", "external_ref"):
            if filters.get(name) is not None:
                query[name] = filters[name]
        if filters.get("due_before") is not None:
            query["due_at"] = {"$lt": filters["due_before"]}
        if mentorship_ids is not None:
            asked = query.get("mentorship_id")
            among = [id for id in mentorship_ids if asked in (None, id)]
            query["mentorship_id"] = {"$in": among}
        rows = self.goals.collection.find({**query, **page.older("created_at")}, {"events": 0, "idem": 0})
        rows = rows.sort([("created_at", DESCENDING), ("_id", DESCENDING)]).limit(page.fetch)
        return [Kept(doc, convert(doc, Goal)) for doc in await rows.to_list(None)]

    def new_goal(
        self,
        goal: Goal,
        facts: Sequence[g.Fact],
        mentorship: Mentorship,
        *,
        now: datetime,
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> Change:
        """The insertion of a goal after its first facts."""
        after, events, story = _told_of_goal(goal, facts)
        fields, _ = self._goal_fields(after, mentorship, (), now, story, ())
        return self.goals.new(
            id=after.goal_id,
            org_id=after.org_id,
            key=after.mentorship_id,
            subject=f"goal/{after.goal_id}",
            now=now,
            events=events,
            fields=fields,
            idem=idem,
            answer=answer,
        )

    def change_goal(
        self,
        kept: Kept[Goal],
        facts: Sequence[g.Fact],
        mentorship: Mentorship,
        check_ins: Iterable[CheckIn],
        *,
        now: datetime,
        idem: Idem | None = None,
        answer: Answer | None = None,
        roomy: bool = False,
    ) -> Change:
        """A goal's facts, in its next version, `mentorship` and `check_ins` being as they will be.

        `roomy`: its bound must not keep it from being.
        """
        after, events, told = _told_of_goal(kept.state, facts)
        story = [*kept.doc["story"], *told]
        fields, unset = self._goal_fields(after, mentorship, check_ins, now, story, kept.doc["writers"])
        aggregates = self._roomy_goals if roomy else self.goals
        return aggregates.change(
            kept.doc, now=now, events=events, fields=fields, unset=unset, idem=idem, answer=answer
        )

    def _goal_fields(
        self,
        goal: Goal,
        mentorship: Mentorship,
        check_ins: Iterable[CheckIn],
        now: datetime,
        story: list[Doc],
        writers: Iterable[str],
    ) -> tuple[Doc, list[str]]:
        decide_at = decision_at(goal, mentorship, self._grace)
        fields: Doc = {
            **builtins(goal),
            "due_at": goal.due_at,
            "part": partition_of(goal.mentorship_id, self._partitions),
            "track": builtins(track(check_ins, goal.terms.measure, now)),
            "story": story,
            "writers": sorted({*writers, *writers_of(goal, story)}),
        }
        if decide_at is None:
            return fields, ["decide_at"]
        return {**fields, "decide_at": decide_at}, []

    async def to_decide(self, horizons: Mapping[int, datetime], limit: int) -> list[Kept[Goal]]:
        """Goals to decide, in the order of their instants: those up to their partition's horizon."""
        if not horizons:
            return []
        found = self.goals.collection.find(
            {"$or": [{"part": part, "decide_at": {"$lte": horizon}} for part, horizon in horizons.items()]},
            {"idem": 0},
        )
        found = found.sort([("decide_at", ASCENDING)]).limit(limit).batch_size(limit)
        return [Kept(doc, convert(doc, Goal)) for doc in await found.to_list(None)]

    async def check_ins(self, goal_id: str, session: Session | None = None) -> list[CheckIn]:
        """All check-ins on a goal that have been taken in."""
        return (await self.check_ins_of([goal_id], session)).get(goal_id, [])

    async def check_ins_of(
        self, goal_ids: Iterable[str], session: Session | None = None
    ) -> dict[str, list[CheckIn]]:
        """All check-ins on some goals."""
        grouped: dict[str, list[CheckIn]] = {}
        found = self._check_ins.find({"goal_id": {"$in": sorted(set(goal_ids))}}, session=session)
        for doc in await found.to_list(None):
            grouped.setdefault(doc["goal_id"], []).append(convert({**doc, "id": doc["_id"]}, CheckIn))
        return grouped

    async def take_in(
        self,
        logged: Iterable[tuple[Goal, CheckIn]],
        acknowledged: Iterable[str],
        changes: Sequence[Change],
        session: Session,
    ) -> None:
        """Write check-ins that came in, acknowledgements by the counterpart, and what follows for the goals."""
        operations: list[InsertOne[Doc] | UpdateOne] = [
            InsertOne(check_in_document(check_in, goal.org_id, goal.goal_id)) for goal, check_in in logged
        ]
        operations += [UpdateOne({"_id": id}, {"$set": {"acknowledged": True}}) for id in acknowledged]
        if operations:
            await self._check_ins.bulk_write(operations, ordered=True, session=session)
        await self.goals.commit(*changes, session=session)


def _told_of_goal(goal: Goal, facts: Sequence[g.Fact]) -> tuple[Goal, list[contract.Event], list[Doc]]:
    events, story = [], []
    for fact in facts:
        goal = g.evolve(goal, fact)
        event = goal_event(goal, fact)
        if event is not None:
            events.append(event)
            story.append(_entry(fact))
    return goal, events, story


def _entry(fact: g.Fact) -> Doc:
    entry: Doc = {"by": fact.by, "at": fact.at}
    if fact.reason:
        entry["reason"] = fact.reason
    return entry


def writers_of(goal: Goal, story: Iterable[Doc]) -> set[str]:
    """Who has left private words in a goal."""
    words = [goal.terms.why, *(proposal.reason for proposal in goal.proposals)]
    words += [proposal.changes.why for proposal in goal.proposals]
    return {word.by for word in words if word is not None} | {
        entry["by"] for entry in story if "reason" in entry
    }


def steps(kept: Kept[Goal]) -> tuple[Step, ...]:
    """How a goal's progress goes on from its last write."""
    return tuple(convert(step, Step) for step in kept.doc["track"])
