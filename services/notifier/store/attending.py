"""The worker's part: who has something due, claims, the state that decides, and the record of what was done.

What several people need at the same moment is asked, and recorded, together; each as if it were alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec
from pymongo import ASCENDING

from services.notifier.domain.goal import Goal
from services.notifier.domain.ledger import Entry
from services.notifier.domain.mentorship import Mentorship
from services.notifier.domain.person import Person, Reminder
from services.notifier.domain.reasons import World
from services.notifier.store.documents import LONG_AGO, Documents, person_key, plain, read_person
from services.notifier.together import Together
from shared.aggregates import Change, Duplicate, StaleWrite
from shared.errors import Conflict
from shared.ids import uuid7
from shared.mongo import BY_ID, Doc, Session

T = TypeVar("T", Goal, Mentorship)

STALE_TRIES = 8

_FREE: Doc = {
    "$and": [
        {"$lt": [{"$ifNull": ["$lease.until", LONG_AGO]}, "$$NOW"]},
        {"$lte": [{"$ifNull": ["$retry_at", LONG_AGO]}, "$$NOW"]},
    ]
}


class LeaseLost(Exception):
    """Another worker has the person by now: what was decided here is not recorded."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A person held by a worker: `token` is greater than that of every earlier claim on them."""

    person: Person
    token: int

    @property
    def key(self) -> str:
        """The id of the person's document."""
        return person_key(self.person.org_id, self.person.person_id)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whom to claim, if they have something due by then."""

    key: str
    horizon: datetime


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose world is asked for, about what."""

    person: Person
    reminders: Sequence[Reminder]

    @property
    def keys(self) -> list[Doc]:
        return [{"kind": r.kind, "about": r.subject, "period": r.period} for r in self.reminders]

    @property
    def checkins(self) -> dict[str, str]:
        who = self.person.person_id
        return {f"{r.checkin_id}|{who}": r.checkin_id for r in self.reminders if r.checkin_id is not None}


@dataclass(frozen=True, slots=True)
class _Done:
    """What was done about a person, to be recorded."""

    claim: Claim
    change: Callable[[Person], Person]
    entries: Sequence[Entry]
    now: datetime
    look_again_at: Callable[[Person], datetime | None]
    keep: bool
    retry_s: float | None


class Attending(Documents):
    """For the nudge worker."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._claiming = Together(self._claim_all)
        self._asking = Together(self._worlds)
        self._naming = Together(self._names_of)
        self._recording = Together(self._record_all)

    async def due(self, horizon: datetime, limit: int) -> list[tuple[str, str]]:
        """(organization, person) of who has something due by `horizon` and is nobody's yet; the oldest first."""
        found = self._people.collection.find(
            {"next_at": {"$lte": horizon}, "$expr": _FREE}, {"org_id": 1, "person_id": 1}
        )
        page = await found.sort([("next_at", ASCENDING)]).limit(limit).to_list(limit)
        return [(document["org_id"], document["person_id"]) for document in page]

    async def claim(self, org_id: str, person_id: str, horizon: datetime) -> Claim | None:
        """Take a person by lease, or None when somebody else has them or nothing is due any more."""
        return await self._claiming.ask(_Wanted(person_key(org_id, person_id), horizon))

    async def _claim_all(self, wanted: Sequence[_Wanted]) -> list[Claim | None]:
        keys = [each.key for each in wanted]
        round_ = uuid7()
        lease = {
            "holder": self._holder,
            "round": round_,
            "token": {"$add": [{"$ifNull": ["$lease.token", 0]}, 1]},
            "until": {"$add": ["$$NOW", self._lease_ms]},
        }
        horizon = min(each.horizon for each in wanted)
        await self._people.collection.update_many(
            {"_id": {"$in": keys}, "next_at": {"$lte": horizon}, "$expr": _FREE},
            [{"$set": {"lease": lease}}],
            hint=BY_ID,
        )
        # Nobody takes a person from a lease that has just begun, so this reads what was written.
        found = self._people.collection.find({"_id": {"$in": keys}, "lease.round": round_}, hint=BY_ID)
        claims = {d["_id"]: Claim(read_person(d), int(d["lease"]["token"])) async for d in found}
        return [claims.get(key) for key in keys]

    # --- what decides

    async def world(self, person: Person, reminders: Sequence[Reminder], holdout: float) -> World:
        """The present state of what these reminders of a person are about."""
        if not reminders:
            return World({}, {}, holdout=holdout)
        found = await self._asking.ask(_Asked(person, reminders))
        return replace(found, holdout=holdout)

    async def _worlds(self, asked: Sequence[_Asked]) -> list[World | Exception]:
        orgs = list({each.person.org_id for each in asked})
        reminders = [reminder for each in asked for reminder in each.reminders]
        mentorships = self._mentorships.find(
            {"_id": {"$in": list({r.mentorship_id for r in reminders})}, "org_id": {"$in": orgs}}, hint=BY_ID
        )
        goals = self._goals.find(
            {"_id": {"$in": list({r.goal_id for r in reminders if r.goal_id})}, "org_id": {"$in": orgs}},
            hint=BY_ID,
        )
        known = {d["_id"]: msgspec.convert(d, Mentorship) async for d in mentorships}
        set_ = {d["_id"]: msgspec.convert(d, Goal) async for d in goals}
        acknowledged = await self._acknowledged([id_ for each in asked for id_ in each.checkins])
        said = await self._said(asked)
        told_of_miss = await self._told_of_miss(asked)
        return [
            World(
                mentorships=_of(each.person.org_id, known),
                goals=_of(each.person.org_id, set_),
                acknowledged={checkin_id for id_, checkin_id in each.checkins.items() if id_ in acknowledged},
                said=said[_who(each.person)],
                told_of_miss=told_of_miss[_who(each.person)],
            )
            for each in asked
        ]

    async def _acknowledged(self, ids: Sequence[str]) -> set[str]:
        if not ids:
            return set()
        found = self._acknowledgements.find({"_id": {"$in": list(ids)}}, {"_id": 1})
        return {document["_id"] async for document in found}

    async def _said(self, asked: Sequence[_Asked]) -> dict[tuple[str, str], set[str]]:
        found = self.ledger.find(
            {"$or": [{**_recipient(each.person), "$or": each.keys} for each in asked]},
            {"org_id": 1, "recipient_id": 1, "kind": 1, "about": 1, "period": 1},
        )
        said: dict[tuple[str, str], set[str]] = {_who(each.person): set() for each in asked}
        async for d in found:
            said[d["org_id"], d["recipient_id"]].add(f"{d['kind']}|{d['about']}|{d['period']}")
        return said

    async def _told_of_miss(self, asked: Sequence[_Asked]) -> dict[tuple[str, str], set[tuple[str, int]]]:
        told: dict[tuple[str, str], set[tuple[str, int]]] = {_who(each.person): set() for each in asked}
        wanted = [
            {**_recipient(each.person), "kind": "goal_missed", "about": r.subject, "period": r.period}
            for each in asked
            for r in each.reminders
            if r.kind == "miss_withdrawn"
        ]
        if wanted:
            found = self.ledger.find(
                {"$or": wanted, "outcome": "sent"},
                {"org_id": 1, "recipient_id": 1, "goal_id": 1, "period": 1},
            )
            async for d in found:
                told[d["org_id"], d["recipient_id"]].add((d["goal_id"], int(d["period"])))
        return told

    async def names(self, org_id: str, person_ids: Iterable[str]) -> dict[str, str]:
        """What people want to be called, of those who said."""
        keys = {person_key(org_id, id_): id_ for id_ in person_ids}
        found = await self._naming.ask(list(keys))
        return {id_: found[key] for key, id_ in keys.items() if key in found}

    async def _names_of(self, asked: Sequence[Sequence[str]]) -> list[dict[str, str] | Exception]:
        wanted = list({key for keys in asked for key in keys})
        found = self._people.collection.find(
            {"_id": {"$in": wanted}, "recipient.display_name": {"$exists": True}},
            {"recipient.display_name": 1},
            hint=BY_ID,
        )
        names = {d["_id"]: str(d["recipient"]["display_name"]) async for d in found}
        return [names] * len(asked)

    # --- the record

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
            StaleWrite: others kept changing the person.
        """
        done = _Done(claim, change, entries, now, look_again_at, keep, retry_s)
        return await self._recording.ask(done)

    async def _record_all(self, done: Sequence[_Done]) -> list[Person | Exception]:
        """In one transaction; where one spoils that for all, each in its own."""
        if len(done) > 1:
            try:
                return await self._write(done)
            except (StaleWrite, Duplicate, Conflict):
                pass
        return [await self._record_one(each) for each in done]

    async def _record_one(self, done: _Done) -> Person | Exception:
        for _ in range(STALE_TRIES):
            try:
                (found,) = await self._write([done])
            except StaleWrite:
                continue
            except (Duplicate, Conflict) as error:
                return error
            return found
        return StaleWrite()

    async def _write(self, done: Sequence[_Done]) -> list[Person | Exception]:
        results: list[Person | Exception] = []
        changes: list[Change] = []

        async def write(session: Session) -> None:
            results.clear()
            changes.clear()
            found = self._people.collection.find(
                {
                    "_id": {"$in": [each.claim.key for each in done]},
                    "org_id": {"$in": list({each.claim.person.org_id for each in done})},
                },
                session=session,
                hint=BY_ID,
            )
            documents = {document["_id"]: document async for document in found}
            for each in done:
                before = documents.get(each.claim.key)
                if before is None or before["lease"]["token"] != each.claim.token:
                    results.append(LeaseLost())
                    continue
                after = each.change(read_person(before))
                results.append(after)
                changes.append(self._person_done(before, after, each))
                changes.extend(self._new_nudge(entry, each.now) for entry in each.entries)
            if changes:
                await self._people.commit(*changes, session=session)

        await self._mongo.transaction(write)
        self._nudges.kicked(changes)
        return results

    def _person_done(self, before: Doc, after: Person, done: _Done) -> Change:
        more: Doc = {} if done.keep else {"lease": {"token": done.claim.token, "until": LONG_AGO}}
        if done.retry_s is not None:
            more["retry_at"] = datetime.now(UTC) + timedelta(seconds=done.retry_s)
        return self._write_person(
            before, after, done.now, look_again_at=done.look_again_at(after), more=more, unset=("retry_at",)
        )

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


def _who(person: Person) -> tuple[str, str]:
    return person.org_id, person.person_id


def _recipient(person: Person) -> Doc:
    return {"org_id": person.org_id, "recipient_id": person.person_id}


def _of(org_id: str, found: Mapping[str, T]) -> dict[str, T]:
    return {id_: each for id_, each in found.items() if each.org_id == org_id}


def _nudge_fields(entry: Entry) -> Doc:
    found = plain(entry)
    return {name: value for name, value in found.items() if name not in ("nudge_id", "org_id")}
