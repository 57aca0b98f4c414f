"""The collections, their indexes, and how changes of them are written: once per key, in turn, all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel

from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import Goal
from shared.aggregates import Aggregates, Change, Duplicate, Outbox, StaleWrite, retry_stale
from shared.errors import Conflict
from shared.idempotency import Answer, Idem
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


class Base:
    """The collections of the goals service, and how they are written.

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
        """Create what the queries of this package need."""
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
                return kept
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
                await self._commit_said(changes, check_in_document(said, goal.org_id, goal.goal_id))

    async def _commit_said(self, changes: Sequence[Change], document: Doc) -> None:
        async def work(session: Session) -> None:
            await self.goals.commit(*changes, session=session)
            await self._check_ins.insert_one(dict(document), session=session)

        await self._mongo.transaction(work)
        self.goals.kicked(changes)

    async def in_transaction(
        self,
        work: Callable[[Session], Awaitable[Sequence[Change]]],
        *,
        of: str | None = None,
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

    async def forget_answers(self, before: datetime) -> None:
        """Drop the answers kept for idempotency keys since before `before`."""
        for aggregates in (self.mentorships, self.goals, self.expectations, self.erasures):
            await aggregates.forget_answers(before)


def check_in_document(check_in: CheckIn, org_id: str, goal_id: str) -> Doc:
    """A check-in on a goal as it is kept."""
    fields = builtins(check_in)
    return {"_id": fields.pop("id"), "org_id": org_id, "goal_id": goal_id, **fields}


def builtins(state: Any) -> Any:
    """A state as MongoDB's own types."""
    return msgspec.to_builtins(state, builtin_types=(datetime,))


def convert(doc: Mapping[str, Any], kind: type[T]) -> T:
    """A document, or a part of one, as the state that it holds."""
    return msgspec.convert(doc, kind, builtin_types=(datetime,))
