"""The notifier's documents in MongoDB. Nothing else of it speaks to the store.

    people            one per (organization, person): contact preferences, agenda, `next_at`, and the worker's lease
    mentorships       what is known of them, folded from events
    goals             the same
    acknowledgements  who acknowledged which check-in
    nudges            the ledger: one aggregate per nudge, with its event

Contact preferences and agenda are one document, so that no change of one can miss the other. `next_at` and all
other instants of a person are domain time; a lease and `retry_at` are by the server's real clock.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel, ReplaceOne, ReturnDocument, UpdateOne

from services.notifier.domain.goal import Goal
from services.notifier.domain.ledger import Entry
from services.notifier.domain.mentorship import Mentorship
from services.notifier.domain.person import Person, Reminder
from services.notifier.domain.plan import next_at
from services.notifier.domain.reasons import World
from services.notifier.domain.replica import Replica, erase, put
from shared.aggregates import Aggregates, Change, Outbox, StaleWrite
from shared.http import Page
from shared.idempotency import Answer, Idem
from shared.intake import Batch
from shared.mongo import Collection, Database, Doc, Mongo, Session

T = TypeVar("T")

MAX_PERSON_BYTES = 8 * 1024 * 1024
"""Far more than any agenda: a fold must not fail for it."""
_PERSON_FIELDS = tuple(name for name in Person.__struct_fields__ if name not in ("person_id", "org_id"))
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class LeaseLost(Exception):
    """Another worker has the person by now: what was decided here is not recorded."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A person held by a worker: `token` is greater than that of every earlier claim on them."""

    person: Person
    token: int


def person_key(org_id: str, person_id: str) -> str:
    """The id of a person's document."""
    return f"{org_id}|{person_id}"


class Store:
    """The collections of one database.

    Args:
        mongo: the client, for transactions.
        database: the notifier's own.
        outbox: publishes the ledger's events.
        holder: names this process on its leases.
        lease_s: how long a claim lasts, in seconds of the server's clock.
    """

    def __init__(
        self, mongo: Mongo, database: Database, outbox: Outbox, *, holder: str, lease_s: float
    ) -> None:
        self._mongo = mongo
        self._people = Aggregates(mongo, database["people"], outbox, max_bytes=MAX_PERSON_BYTES)
        self._nudges = Aggregates(mongo, database["nudges"], outbox)
        self._mentorships = database["mentorships"]
        self._goals = database["goals"]
        self._acknowledgements = database["acknowledgements"]
        self._holder = holder
        self._lease_ms = int(lease_s * 1000)

    @property
    def ledger(self) -> Collection:
        """The nudges, for the publisher to sweep."""
        return self._nudges.collection

    async def make_indexes(self) -> None:
        """Create every index; again is no change."""
        await self._people.make_indexes(
            IndexModel(
                [("next_at", ASCENDING)],
                name="agenda",
                partialFilterExpression={"next_at": {"$exists": True}},
            )
        )
        await self._goals.create_indexes([IndexModel([("mentorship_id", ASCENDING)])])
        await self._nudges.make_indexes(
            IndexModel(
                [(name, ASCENDING) for name in ("org_id", "recipient_id", "kind", "about", "period")],
                name="said_once",
                unique=True,
            ),
            IndexModel([("org_id", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="newest"),
            IndexModel(
                [("org_id", ASCENDING), ("recipient_id", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)],
                name="of_recipient",
            ),
            IndexModel(
                [("org_id", ASCENDING), ("goal_id", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)],
                name="about_goal",
            ),
        )

    # --- recipients

    async def person(self, org_id: str, person_id: str) -> Person | None:
        """The person, or None when nothing was ever told of them."""
        found = await self._people.find(org_id, person_key(org_id, person_id))
        return None if found is None else _person(found)

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
        known = Person(person_id=person_id, org_id=org_id) if before is None else _person(before)
        after = change(known)
        write = self._write_person(before, after, now, idem=idem, answer=answer, unset=("retry_at",))
        await self._people.commit(write)
        return after

    async def forget_answers(self, before: datetime) -> None:
        """Drop the answers to idempotency keys kept since before `before`."""
        await self._people.forget_answers(before)

    def _write_person(
        self,
        before: Doc | None,
        after: Person,
        now: datetime,
        *,
        look_again_at: datetime | None = None,
        more: Mapping[str, Any] | None = None,
        unset: Iterable[str] = (),
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> Change:
        fields = _fields(after)
        when = look_again_at or next_at(after)
        if when is not None:
            fields["next_at"] = when
        fields |= more or {}
        if before is None:
            return self._people.new(
                id=person_key(after.org_id, after.person_id),
                org_id=after.org_id,
                key=after.person_id,
                subject=f"person/{after.person_id}",
                now=now,
                fields={"person_id": after.person_id, **fields},
                idem=idem,
                answer=answer,
            )
        gone = [name for name in (*_PERSON_FIELDS, "next_at", *unset) if name not in fields]
        return self._people.change(before, now=now, fields=fields, unset=gone, idem=idem, answer=answer)

    # --- the fold

    async def load(self, batch: Batch, session: Session) -> Replica:
        """What is known of the mentorships and goals that a batch is about."""
        mentorship_ids = {
            id_ for r in batch.records if (id_ := getattr(r.data, "mentorship_id", None)) is not None
        }
        goal_ids = {id_ for r in batch.records if (id_ := getattr(r.data, "goal_id", None)) is not None}
        resumed = [r.data.mentorship_id for r in batch.records if r.type == "MentorshipResumed"]
        mentorships = self._mentorships.find({"_id": {"$in": list(mentorship_ids)}}, session=session)
        wanted: Doc = {"_id": {"$in": list(goal_ids)}}
        if resumed:
            wanted = {"$or": [wanted, {"mentorship_id": {"$in": resumed}}]}
        goals = self._goals.find(wanted, session=session)
        replica = Replica()
        async for document in mentorships:
            replica.mentorships[document["_id"]] = msgspec.convert(document, Mentorship)
        async for document in goals:
            replica.goals[document["_id"]] = msgspec.convert(document, Goal)
        return replica

    async def save(self, replica: Replica, batch: Batch, now: datetime, session: Session) -> None:
        """Store what a batch has changed, and put the reminders on their agendas."""
        await _replace_all(
            self._mentorships, (replica.mentorships[id_] for id_ in replica.changed_mentorships),
            "mentorship_id", session,
        )  # fmt: skip
        await _replace_all(
            self._goals, (replica.goals[id_] for id_ in replica.changed_goals), "goal_id", session
        )
        if replica.acknowledged:
            org_of = {r.data.checkin_id: r.org_id for r in batch.records if r.type == "CheckInAcknowledged"}
            await self._acknowledgements.bulk_write(
                [
                    UpdateOne(
                        {"_id": f"{checkin_id}|{person_id}"},
                        {"$setOnInsert": {"org_id": org_of[checkin_id]}},
                        upsert=True,
                    )
                    for checkin_id, person_id in replica.acknowledged
                ],
                ordered=False,
                session=session,
            )
        await self._save_agendas(replica, now, session)

    async def _save_agendas(self, replica: Replica, now: datetime, session: Session) -> None:
        added: dict[tuple[str, str], list[Reminder]] = {}
        for addressed in replica.addressed:
            who = (addressed.reminder.org_id, addressed.person_id)
            added.setdefault(who, []).append(addressed.reminder)
        people = {person_key(*who): who for who in {*added, *replica.erased}}
        if not people:
            return
        documents = {
            document["_id"]: document
            async for document in self._people.collection.find(
                {"_id": {"$in": list(people)}}, session=session
            )
        }
        changes = []
        for key, (org_id, person_id) in people.items():
            before = documents.get(key)
            known = Person(person_id=person_id, org_id=org_id) if before is None else _person(before)
            after = put(known, added.get((org_id, person_id), ()))
            unset: tuple[str, ...] = ()
            at = replica.erased.get((org_id, person_id))
            if at is not None:
                after = erase(after, at)
                unset = ("idem",)
            if before is None or after != known or unset:
                changes.append(self._write_person(before, after, now, unset=unset))
        if changes:
            await self._people.commit(*changes, session=session)

    # --- the worker

    async def due(self, horizon: datetime, limit: int) -> list[tuple[str, str]]:
        """(organization, person) of who has something due by `horizon` and is nobody's yet; the oldest first."""
        found = self._people.collection.find(
            {"next_at": {"$lte": horizon}, "$expr": _FREE}, {"org_id": 1, "person_id": 1}
        )
        page = await found.sort([("next_at", ASCENDING)]).limit(limit).to_list(limit)
        return [(document["org_id"], document["person_id"]) for document in page]

    async def claim(self, org_id: str, person_id: str, horizon: datetime) -> Claim | None:
        """Take a person by lease, or None when somebody else has them or nothing is due any more."""
        lease = {
            "holder": self._holder,
            "token": {"$add": [{"$ifNull": ["$lease.token", 0]}, 1]},
            "until": {"$add": ["$$NOW", self._lease_ms]},
        }
        found = await self._people.collection.find_one_and_update(
            {"_id": person_key(org_id, person_id), "next_at": {"$lte": horizon}, "$expr": _FREE},
            [{"$set": {"lease": lease}}],
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else Claim(_person(found), int(found["lease"]["token"]))

    async def world(self, person: Person, reminders: Sequence[Reminder], holdout: float) -> World:
        """The present state of what these reminders of a person are about."""
        if not reminders:
            return World({}, {}, holdout=holdout)
        org_id = person.org_id
        mentorships = self._mentorships.find(
            {"_id": {"$in": list({r.mentorship_id for r in reminders})}, "org_id": org_id}
        )
        goals = self._goals.find(
            {"_id": {"$in": list({r.goal_id for r in reminders if r.goal_id})}, "org_id": org_id}
        )
        checkins = {f"{r.checkin_id}|{person.person_id}": r.checkin_id for r in reminders if r.checkin_id}
        acknowledged = self._acknowledgements.find(
            {"_id": {"$in": list(checkins)}, "org_id": org_id}, {"_id": 1}
        )
        said = self.ledger.find(
            {
                "org_id": org_id,
                "recipient_id": person.person_id,
                "$or": [{"kind": r.kind, "about": r.subject, "period": r.period} for r in reminders],
            },
            {"kind": 1, "about": 1, "period": 1},
        )
        return World(
            mentorships={d["_id"]: msgspec.convert(d, Mentorship) async for d in mentorships},
            goals={d["_id"]: msgspec.convert(d, Goal) async for d in goals},
            acknowledged={id_ async for d in acknowledged if (id_ := checkins[d["_id"]]) is not None},
            said={f"{d['kind']}|{d['about']}|{d['period']}" async for d in said},
            told_of_miss=await self._told_of_miss(person, reminders),
            holdout=holdout,
        )

    async def _told_of_miss(self, person: Person, reminders: Sequence[Reminder]) -> set[tuple[str, int]]:
        withdrawals = [r for r in reminders if r.kind == "miss_withdrawn"]
        if not withdrawals:
            return set()
        found = self.ledger.find(
            {
                "org_id": person.org_id,
                "recipient_id": person.person_id,
                "$or": [{"kind": "goal_missed", "about": r.subject, "period": r.period} for r in withdrawals],
                "outcome": "sent",
            },
            {"goal_id": 1, "period": 1},
        )
        return {(d["goal_id"], int(d["period"])) async for d in found}

    async def names(self, org_id: str, person_ids: Iterable[str]) -> dict[str, str]:
        """What people want to be called, of those who said."""
        wanted = [person_key(org_id, id_) for id_ in person_ids]
        found = self._people.collection.find(
            {"_id": {"$in": wanted}, "recipient.display_name": {"$exists": True}},
            {"person_id": 1, "recipient.display_name": 1},
        )
        return {d["person_id"]: d["recipient"]["display_name"] async for d in found}

    async def record(
        self,
        claim: Claim,
        change: Callable[[Person], Person],
        entries: Sequence[Entry],
        now: datetime,
        *,
        look_again_at: Callable[[Person], datetime | None],
        keep: bool = False,
        retry_s: float | None = None,
    ) -> Person:
        """Store what was done about a person: their new state and the ledger's entries, all or nothing.

        `change` is applied to the person as they are by then: events may have put more on their agenda meanwhile.
        With `keep` the lease stays; otherwise it ends. With `retry_s` nobody takes the person again before so many
        real seconds have passed.

        Raises:
            LeaseLost: another worker has claimed the person since.
            Duplicate: the ledger has one of the entries already.
        """
        changes: list[Change] = []
        after = claim.person

        async def write(session: Session) -> None:
            nonlocal after
            changes.clear()
            before = await self._people.find(
                claim.person.org_id, person_key(claim.person.org_id, claim.person.person_id), session=session
            )
            if before is None or before["lease"]["token"] != claim.token:
                raise LeaseLost
            after = change(_person(before))
            more: Doc = {} if keep else {"lease": {"token": claim.token, "until": _LONG_AGO}}
            if retry_s is not None:
                more["retry_at"] = datetime.now(UTC) + timedelta(seconds=retry_s)
            changes.append(
                self._write_person(
                    before, after, now, look_again_at=look_again_at(after), more=more, unset=("retry_at",)
                )
            )
            changes.extend(self._new_nudge(entry, now) for entry in entries)
            await self._people.commit(*changes, session=session)

        await retry_stale_in(self._mongo, write)
        self._nudges.kicked(changes)
        return after

    def _new_nudge(self, entry: Entry, now: datetime) -> Change:
        event = entry.event()
        return self._nudges.new(
            id=entry.nudge_id,
            org_id=entry.org_id,
            key=entry.mentorship_id,
            subject=f"nudge/{entry.nudge_id}",
            now=now,
            events=[] if event is None else [event],
            fields=_nudge_fields(entry),
        )

    # --- the ledger

    async def nudges(self, org_id: str, filters: Doc, page: Page) -> list[Entry]:
        """Entries, newest first, at most `page.fetch`."""
        found = self.ledger.find({"org_id": org_id, "$and": [filters, page.older("at")]}, {"events": 0})
        rows = await found.sort([("at", DESCENDING), ("_id", DESCENDING)]).limit(page.fetch).to_list(None)
        return [msgspec.convert({**row, "nudge_id": row["_id"]}, Entry) for row in rows]


async def retry_stale_in(mongo: Mongo, work: Callable[[Session], Awaitable[T]], tries: int = 8) -> T:
    """Run `work` in a transaction, anew when what it read was changed meanwhile.

    Raises:
        StaleWrite: it kept happening.
    """
    for _ in range(tries - 1):
        try:
            return await mongo.transaction(work)
        except StaleWrite:
            continue
    return await mongo.transaction(work)


_FREE: Doc = {
    "$and": [
        {"$lt": [{"$ifNull": ["$lease.until", _LONG_AGO]}, "$$NOW"]},
        {"$lte": [{"$ifNull": ["$retry_at", _LONG_AGO]}, "$$NOW"]},
    ]
}


def _plain(struct: Any) -> Doc:
    plain: Doc = msgspec.to_builtins(struct, builtin_types=(datetime,))
    return plain


def _person(document: Doc) -> Person:
    return msgspec.convert(document, Person)


def _fields(person: Person) -> Doc:
    plain = _plain(person)
    return {name: plain[name] for name in _PERSON_FIELDS if name in plain}


def _nudge_fields(entry: Entry) -> Doc:
    plain = _plain(entry)
    return {name: value for name, value in plain.items() if name not in ("nudge_id", "org_id")}


async def _replace_all(
    collection: Collection, structs: Iterable[Any], id_field: str, session: Session
) -> None:
    documents = [{"_id": getattr(struct, id_field), **_plain(struct)} for struct in structs]
    if documents:
        await collection.bulk_write(
            [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents],
            ordered=False,
            session=session,
        )
