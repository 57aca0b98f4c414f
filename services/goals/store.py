"""What the goals service keeps in MongoDB, and the only file that speaks to it.

    mentorships   aggregates: the state of `domain.mentorship`; `people` for lists
    goals         aggregates: the state of `domain.goal`, and beside it
                      due_at     by its present terms, for lists
                      decide_at  when the deadlines' worker has to decide it; absent: not as things stand
                      part       the partition of its events, whose watermark has to pass `decide_at`
                      track      how its progress goes on from the last write (`evidence.track`)
                      story      for each of `events` who did it: [{by, at, reason?}]
                      writers    who has left private words here, for erasures
    expectations  one document a version; its events are the mentorship's
    check_ins     one document each, never changed but for its acknowledgement; whoever adds to a goal's
                  check-ins writes the goal too, so that a decision from the whole of them is guarded
    erasures      aggregates: who was erased; `pending` until the words are gone

No pause, resumption or end slips in between a decision and the mentorship it was made by. These write every
active goal of their mentorship, and so exclude whatever else is written to one, a miss above all. Who writes a
goal that is not active yet, or no more, writes the mentorship as well (`touch`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel, InsertOne, UpdateOne

from services.goals.domain import goal as g
from services.goals.domain import mentorship as m
from services.goals.domain.announce import goal_event, mentorship_event
from services.goals.domain.evidence import CheckIn, Step, track
from services.goals.domain.expectations import Expectations
from services.goals.domain.goal import Goal
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.pause import decision_at
from shared import events as contract
from shared.aggregates import Aggregates, Change, Duplicate, Outbox, StaleWrite, retry_stale
from shared.errors import Conflict
from shared.http.pages import Page
from shared.idempotency import Answer, Idem
from shared.kafka import partition_of
from shared.mongo import Collection, Database, Doc, Mongo, Session

T = TypeVar("T")

MEBIBYTE = 1024 * 1024
SYSTEM_BYTES = 4 * MEBIBYTE
"""What nobody may refuse (a pause, a miss, evidence) still fits where people are answered 409."""
EXPECTATIONS_BYTES = 3 * MEBIBYTE
TRANSACTION_S = 20.0


@dataclass(frozen=True, slots=True)
class Kept(Generic[T]):
    """A state as it was read; `doc` guards what is written back."""

    doc: Doc
    state: T


@dataclass(frozen=True, slots=True)
class Erasure:
    """A person whose private words have to go, as far as they were stored up to `at`."""

    erasure_id: str
    org_id: str
    person_id: str
    at: datetime


class Store:
    """The collections of the goals service.

    Args:
        mongo: the client.
        database: the service's own.
        outbox: publishes what is stored.
        partitions: of the event topics.
        grace: how long after its deadline a goal is decided.
    """

    def __init__(
        self, mongo: Mongo, database: Database, outbox: Outbox, *, partitions: int, grace: timedelta
    ) -> None:
        self._mongo = mongo
        self._partitions = partitions
        self._grace = grace
        self.mentorships = Aggregates(mongo, database["mentorships"], outbox)
        self.goals = Aggregates(mongo, database["goals"], outbox)
        self.expectations = Aggregates(mongo, database["expectations"], outbox, max_bytes=EXPECTATIONS_BYTES)
        self.erasures = Aggregates(mongo, database["erasures"], outbox)
        self._roomy_mentorships = Aggregates(mongo, database["mentorships"], outbox, max_bytes=SYSTEM_BYTES)
        self._roomy_goals = Aggregates(mongo, database["goals"], outbox, max_bytes=SYSTEM_BYTES)
        self._check_ins: Collection = database["check_ins"]
        self._commits: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def outboxes(self) -> tuple[Collection, ...]:
        """The collections whose documents hold events."""
        return (self.mentorships.collection, self.goals.collection, self.erasures.collection)

    async def make_indexes(self) -> None:
        """Create what the queries of this file need."""
        external_ref = IndexModel(
            [("external_ref", ASCENDING), ("org_id", ASCENDING)],
            name="external_ref",
            unique=True,
            partialFilterExpression={"external_ref": {"$type": "string"}},
        )
        await self.mentorships.make_indexes(
            external_ref,
            IndexModel([("org_id", ASCENDING), ("people", ASCENDING), ("started_at", DESCENDING)]),
            IndexModel([("org_id", ASCENDING), ("program_id", ASCENDING), ("started_at", DESCENDING)]),
            IndexModel([("org_id", ASCENDING), ("started_at", DESCENDING), ("_id", DESCENDING)]),
        )
        newest = [("created_at", DESCENDING), ("_id", DESCENDING)]
        await self.goals.make_indexes(
            external_ref,
            IndexModel([("org_id", ASCENDING), ("mentorship_id", ASCENDING), *newest]),
            IndexModel([("org_id", ASCENDING), ("owner_id", ASCENDING), *newest]),
            IndexModel([("org_id", ASCENDING), *newest]),
            IndexModel([("org_id", ASCENDING), ("writers", ASCENDING)]),
            IndexModel(
                [("part", ASCENDING), ("decide_at", ASCENDING)],
                name="to_decide",
                partialFilterExpression={"decide_at": {"$exists": True}},
            ),
        )
        await self.expectations.make_indexes(
            IndexModel([("org_id", ASCENDING), ("mentorship_id", ASCENDING), ("proposed_at", DESCENDING)]),
            IndexModel([("org_id", ASCENDING), ("proposed_by", ASCENDING)]),
        )
        await self.erasures.make_indexes(
            IndexModel(
                [("pending", ASCENDING)],
                name="pending",
                partialFilterExpression={"pending": {"$exists": True}},
            )
        )
        await self._check_ins.create_indexes(
            [
                IndexModel([("goal_id", ASCENDING)]),
                IndexModel(
                    [("org_id", ASCENDING), ("author_id", ASCENDING)],
                    name="notes",
                    partialFilterExpression={"note": {"$type": "string"}},
                ),
            ]
        )

    # -- writing

    async def once(
        self, aggregates: Aggregates, idem: Idem | None, now: datetime, work: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """Do `work` (read, decide, commit) once per idempotency key, and again while others' writes come between.

        Raises:
            Unprocessable: the key was used with another body.
            Conflict: the external_ref is taken; or others keep writing.
        """

        async def attempt() -> Answer:
            kept = await aggregates.replay(idem, now)
            if kept is not None:
                return replace(kept, replayed=True)
            try:
                return await work()
            except Duplicate as duplicate:
                if duplicate.field == "external_ref":
                    raise Conflict("This external_ref names something else already.") from duplicate
                # The same request, answered by another process meanwhile.
                raise StaleWrite from duplicate

        return await retry_stale(attempt)

    async def commit(self, *changes: Change, said: CheckIn | None = None, goal: Goal | None = None) -> None:
        """Store changes, all or none; with what was said of `goal` as evidence.

        Of one mentorship one after the other: those that touch it would conflict in MongoDB and begin again, a
        crowd of them until their time is over.

        Raises:
            StaleWrite, Duplicate: see `Aggregates.commit`.
        """
        async with self._turn_of(changes[0].after["key"]):
            if said is None or goal is None:
                await self.goals.commit(*changes)
            else:
                await self._commit_said(changes, _check_in_document(said, goal.org_id, goal.goal_id))

    async def _commit_said(self, changes: Sequence[Change], document: Doc) -> None:
        async def work(session: Session) -> None:
            await self.goals.commit(*changes, session=session)
            await self._check_ins.insert_one(dict(document), session=session)

        await self._mongo.transaction(work)
        self.goals.kicked(changes)

    async def in_transaction(
        self, work: Callable[[Session], Awaitable[Sequence[Change]]], *, of: str | None = None
    ) -> list[Change]:
        """Read, decide and write in one transaction, again from the start on conflicts; then publish.

        `work` answers the changes that it wants stored. `of`: the mentorship that it is about, if it is one.
        """

        async def attempt(session: Session) -> list[Change]:
            changes = list(await work(session))
            await self.goals.commit(*changes, session=session)
            return changes

        async with self._turn_of(of) if of is not None else nullcontext():
            changes = await self._mongo.transaction(attempt, seconds=TRANSACTION_S)
        self.goals.kicked(changes)
        return changes

    def _turn_of(self, mentorship_id: str) -> asyncio.Lock:
        """What is written of a mentorship in this process comes in turn; between processes MongoDB decides."""
        return self._commits.setdefault(mentorship_id, asyncio.Lock())

    def published(self, changes: Iterable[Change]) -> None:
        """Publish changes that another transaction has committed."""
        self.goals.kicked(changes)

    # -- mentorships

    async def mentorship(
        self, org_id: str, mentorship_id: str, *, session: Session | None = None
    ) -> Kept[Mentorship] | None:
        """A mentorship of the organization."""
        doc = await self.mentorships.find(org_id, mentorship_id, session=session)
        return None if doc is None else Kept(doc, _convert(doc, Mentorship))

    async def mentorships_by_id(
        self, ids: Iterable[str], session: Session | None = None
    ) -> dict[str, Kept[Mentorship]]:
        """Mentorships of any organization."""
        found = self.mentorships.collection.find({"_id": {"$in": sorted(set(ids))}}, session=session)
        return {doc["_id"]: Kept(doc, _convert(doc, Mentorship)) for doc in await found.to_list(None)}

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
        return [_convert(doc, Mentorship) for doc in await rows.to_list(None)]

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

    # -- goals

    async def goal(self, org_id: str, goal_id: str, *, session: Session | None = None) -> Kept[Goal] | None:
        """A goal of the organization."""
        doc = await self.goals.find(org_id, goal_id, session=session)
        return None if doc is None else Kept(doc, _convert(doc, Goal))

    async def goals_by_id(self, ids: Iterable[str], session: Session | None = None) -> dict[str, Kept[Goal]]:
        """Goals of any organization."""
        found = self.goals.collection.find({"_id": {"$in": sorted(set(ids))}}, session=session)
        return {doc["_id"]: Kept(doc, _convert(doc, Goal)) for doc in await found.to_list(None)}

    async def goals_of(
        self, org_id: str, mentorship_id: str, session: Session | None = None
    ) -> list[Kept[Goal]]:
        """All goals of a mentorship."""
        found = self.goals.collection.find(
            {"org_id": org_id, "mentorship_id": mentorship_id}, session=session
        )
        return [Kept(doc, _convert(doc, Goal)) async for doc in found]

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
        return [Kept(doc, _convert(doc, Goal)) for doc in await rows.to_list(None)]

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
            **_builtins(goal),
            "due_at": goal.due_at,
            "part": partition_of(goal.mentorship_id, self._partitions),
            "track": _builtins(track(check_ins, goal.terms.measure, now)),
            "story": story,
            "writers": sorted({*writers, *_writers(goal, story)}),
        }
        if decide_at is None:
            return fields, ["decide_at"]
        return {**fields, "decide_at": decide_at}, []

    async def to_decide(self, horizons: Mapping[int, datetime], limit: int) -> list[str]:
        """Ids of goals to decide, in the order of their instants: those up to their partition's horizon."""
        if not horizons:
            return []
        found = self.goals.collection.find(
            {"$or": [{"part": part, "decide_at": {"$lte": horizon}} for part, horizon in horizons.items()]},
            {"_id": 1},
        )
        found = found.sort([("decide_at", ASCENDING)]).limit(limit)
        return [doc["_id"] for doc in await found.to_list(None)]

    # -- check-ins

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
            grouped.setdefault(doc["goal_id"], []).append(_convert({**doc, "id": doc["_id"]}, CheckIn))
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
            InsertOne(_check_in_document(check_in, goal.org_id, goal.goal_id)) for goal, check_in in logged
        ]
        operations += [UpdateOne({"_id": id}, {"$set": {"acknowledged": True}}) for id in acknowledged]
        if operations:
            await self._check_ins.bulk_write(operations, ordered=True, session=session)
        await self.goals.commit(*changes, session=session)

    # -- expectations

    @staticmethod
    def version_id(mentorship_id: str, version: int) -> str:
        """The id of a version's document; of one mentorship's, in their order."""
        return f"{mentorship_id}.{version:06d}"

    async def version(self, org_id: str, mentorship_id: str, version: int) -> Kept[Expectations] | None:
        """A version of a mentorship's expectations."""
        doc = await self.expectations.find(org_id, self.version_id(mentorship_id, version))
        return None if doc is None else Kept(doc, _convert(doc, Expectations))

    async def list_versions(
        self, org_id: str, mentorship_id: str, page: Page, state: str | None
    ) -> list[Expectations]:
        """Versions of a mentorship's expectations, newest first."""
        query: Doc = {"org_id": org_id, "mentorship_id": mentorship_id}
        if state is not None:
            query["state"] = state
        rows = self.expectations.collection.find({**query, **page.older("proposed_at")}, {"idem": 0})
        rows = rows.sort([("proposed_at", DESCENDING), ("_id", DESCENDING)]).limit(page.fetch)
        return [_convert(doc, Expectations) for doc in await rows.to_list(None)]

    def new_version(
        self, org_id: str, version: Expectations, *, now: datetime, idem: Idem | None, answer: Answer
    ) -> Change:
        """The insertion of a version."""
        return self.expectations.new(
            id=self.version_id(version.mentorship_id, version.version),
            org_id=org_id,
            key=version.mentorship_id,
            subject=f"mentorship/{version.mentorship_id}",
            now=now,
            fields=_builtins(version),
            idem=idem,
            answer=answer,
        )

    def change_version(
        self,
        kept: Kept[Expectations],
        after: Expectations,
        *,
        now: datetime,
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> Change:
        """The next state of a version."""
        return self.expectations.change(kept.doc, now=now, fields=_builtins(after), idem=idem, answer=answer)

    # -- erasures

    def new_erasure(self, erasure: Erasure, *, now: datetime, idem: Idem | None, answer: Answer) -> Change:
        """A person's erasure with its event; `pending` until the words are gone."""
        event = contract.PersonErased(org_id=erasure.org_id, person_id=erasure.person_id, at=erasure.at)
        return self.erasures.new(
            id=erasure.erasure_id,
            org_id=erasure.org_id,
            key=erasure.person_id,
            subject=f"erasure/{erasure.erasure_id}",
            now=now,
            events=[event],
            fields={"person_id": erasure.person_id, "at": erasure.at, "pending": True},
            idem=idem,
            answer=answer,
        )

    async def pending_erasures(self, limit: int) -> list[Erasure]:
        """Erasures whose words are not all gone yet."""
        rows = self.erasures.collection.find({"pending": {"$exists": True}}).limit(limit)
        return [
            Erasure(doc["_id"], doc["org_id"], doc["person_id"], doc["at"])
            for doc in await rows.to_list(None)
        ]

    async def erased(self, erasure: Erasure) -> None:
        """Note that the words are gone."""
        await self.erasures.collection.update_one({"_id": erasure.erasure_id}, {"$unset": {"pending": ""}})

    async def erase_words(self, erasure: Erasure, now: datetime) -> None:
        """Remove a person's private words from goals, check-ins, expectations and kept answers.

        Repeatable; what was stored after the erasure stays.
        """
        mine: Doc = {"org_id": erasure.org_id, "author_id": erasure.person_id, "note": {"$type": "string"}}
        await self._check_ins.update_many(
            {**mine, "logged_at": {"$lte": erasure.at}}, {"$set": {"note": None}}
        )
        of_goals = {"org_id": erasure.org_id, "writers": erasure.person_id}
        async for found in self.goals.collection.find(of_goals, {"_id": 1}):
            await retry_stale(lambda id=found["_id"]: self._erase_from_goal(erasure, id, now))  # type: ignore[misc]
        of_versions = {
            "org_id": erasure.org_id,
            "proposed_by": erasure.person_id,
            "proposed_at": {"$lte": erasure.at},
        }
        async for found in self.expectations.collection.find(of_versions, {"_id": 1}):
            await retry_stale(lambda id=found["_id"]: self._erase_version(erasure, id, now))  # type: ignore[misc]

    async def _erase_from_goal(self, erasure: Erasure, goal_id: str, now: datetime) -> None:
        doc = await self.goals.find(erasure.org_id, goal_id)
        if doc is None:
            return
        goal = g.without_words(_convert(doc, Goal), erasure.person_id, erasure.at)
        story = [
            {name: value for name, value in entry.items() if name != "reason"}
            if entry["by"] == erasure.person_id and entry["at"] <= erasure.at
            else entry
            for entry in doc["story"]
        ]
        still = _writers(goal, story)
        fields: Doc = {
            **_builtins(goal),
            "story": story,
            "writers": sorted(still | ({*doc["writers"]} - {erasure.person_id})),
        }
        if "idem" in doc:
            fields["idem"] = [_without(entry, "why", erasure.at) for entry in doc["idem"]]
        await self._roomy_goals.commit(self._roomy_goals.change(doc, now=now, fields=fields))

    async def _erase_version(self, erasure: Erasure, id: str, now: datetime) -> None:
        doc = await self.expectations.find(erasure.org_id, id)
        if doc is None:
            return
        fields: Doc = {"items": []}
        if "idem" in doc:
            fields["idem"] = [_without(entry, "items", erasure.at) for entry in doc["idem"]]
        await self.expectations.commit(self.expectations.change(doc, now=now, fields=fields))

    async def forget_answers(self, before: datetime) -> None:
        """Drop the answers kept for idempotency keys since before `before`."""
        for aggregates in (self.mentorships, self.goals, self.expectations, self.erasures):
            await aggregates.forget_answers(before)


def _told_of_mentorship(
    mentorship: Mentorship, facts: Sequence[m.Fact]
) -> tuple[Mentorship, list[contract.Event]]:
    events = []
    for fact in facts:
        mentorship = m.evolve(mentorship, fact)
        events.append(mentorship_event(mentorship, fact))
    return mentorship, events


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


def _writers(goal: Goal, story: Iterable[Doc]) -> set[str]:
    words = [goal.terms.why, *(proposal.reason for proposal in goal.proposals)]
    words += [proposal.changes.why for proposal in goal.proposals]
    return {word.by for word in words if word is not None} | {
        entry["by"] for entry in story if "reason" in entry
    }


def _mentorship_fields(mentorship: Mentorship) -> Doc:
    return {**_builtins(mentorship), "people": list(mentorship.participants)}


def _check_in_document(check_in: CheckIn, org_id: str, goal_id: str) -> Doc:
    fields = _builtins(check_in)
    return {"_id": fields.pop("id"), "org_id": org_id, "goal_id": goal_id, **fields}


def _without(entry: Doc, name: str, up_to: datetime) -> Doc:
    """A kept answer without one field of its body."""
    body = entry.get("body")
    if not isinstance(body, dict) or name not in body or entry["at"] > up_to:
        return entry
    return {**entry, "body": {key: value for key, value in body.items() if key != name}}


def _builtins(state: Any) -> Any:
    return msgspec.to_builtins(state, builtin_types=(datetime,))


def _convert(doc: Mapping[str, Any], kind: type[T]) -> T:
    return msgspec.convert(doc, kind, builtin_types=(datetime,))


def steps(kept: Kept[Goal]) -> tuple[Step, ...]:
    """How a goal's progress goes on from its last write."""
    return tuple(_convert(step, Step) for step in kept.doc["track"])
