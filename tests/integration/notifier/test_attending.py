"""What is recorded about many people at once: each as if alone, whatever became of the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from services.notifier.domain.ledger import Entry, entry
from services.notifier.domain.moments import AtOnce
from services.notifier.domain.person import Person, Reminder
from services.notifier.store import Claim, LeaseLost, Store
from shared.aggregates import Duplicate
from shared.ids import uuid7
from shared.mongo import Collection, Doc, Mongo
from tests.support.engines import Engines
from tests.support.polling import eventually

pytestmark = pytest.mark.engines
AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
NOW = AT + timedelta(minutes=1)
PEOPLE = [f"person-{number}" for number in range(5)]


class Nobody:
    def kick(self, collection: Collection, document: Doc) -> None:
        """Nothing is published here."""


class Workers:
    """Workers on one database, where each person has one reminder that is due. The first one's leases are short."""

    def __init__(self, mongo: Mongo, name: str, org: str) -> None:
        self.org = org
        database = mongo.database(name)
        self.one = Store(mongo, database, Nobody(), holder="one", lease_s=0.05)
        self.other = Store(mongo, database, Nobody(), holder="other", lease_s=30)
        self.third = Store(mongo, database, Nobody(), holder="third", lease_s=30)

    async def claimed(self, store: Store, people: list[str]) -> list[Claim]:
        """All of these, at once."""
        claims = await asyncio.gather(*(store.claim(self.org, person, NOW) for person in people))
        return [claim for claim in claims if claim is not None]

    async def record(self, store: Store, claim: Claim) -> Person:
        """That their reminder was sent."""
        made = said(claim.person)
        return await store.record(claim, without_agenda, [made], NOW, look_again_at=lambda _: None)

    async def told(self) -> list[str]:
        """Whom the ledger tells of."""
        found = self.one.ledger.find({"org_id": self.org}, {"recipient_id": 1})
        return sorted([document["recipient_id"] async for document in found])


def said(person: Person) -> Entry:
    return entry(person.reminders[0], person.person_id, uuid7(), "sent", NOW)


def with_agenda(reminder: Reminder) -> Callable[[Person], Person]:
    return lambda person: msgspec.structs.replace(person, reminders=(reminder,))


def without_agenda(person: Person) -> Person:
    return msgspec.structs.replace(person, reminders=())


@pytest.fixture
async def workers(engines: Engines) -> AsyncIterator[Workers]:
    mongo = Mongo.connect(engines.mongo)
    name = f"t{uuid4().hex[:12]}_notifier"
    made = Workers(mongo, name, "org")
    try:
        await made.one.make_indexes()
        for person_id in PEOPLE:
            reminder = Reminder(
                kind="proposal_waiting",
                org_id="org",
                program_id="p",
                mentorship_id="m",
                period=person_id,
                moment=AtOnce(since=AT),
                time_zone="UTC",
                cause="RevisionProposed",
                cause_id=uuid7(),
                caused_at=AT,
            )
            await made.one.change_person("org", person_id, NOW, with_agenda(reminder))
        yield made
    finally:
        await mongo.drop_database(name)
        await mongo.close()


async def test_a_person_is_one_worker_s_alone(workers: Workers) -> None:
    ours, theirs = await asyncio.gather(
        workers.claimed(workers.other, PEOPLE), workers.claimed(workers.third, PEOPLE)
    )
    got = [claim.person.person_id for claim in (*ours, *theirs)]
    assert sorted(got) == PEOPLE


async def test_who_lost_one_lease_records_the_others(workers: Workers) -> None:
    claims = await workers.claimed(workers.one, PEOPLE)

    async def taken_over() -> list[Claim]:
        return await workers.claimed(workers.other, ["person-2"])

    (theirs,) = await eventually(taken_over)
    done = await asyncio.gather(
        *(workers.record(workers.one, claim) for claim in claims), return_exceptions=True
    )
    assert [type(each) for each in done] == [Person, Person, LeaseLost, Person, Person]
    assert await workers.told() == [person for person in PEOPLE if person != "person-2"]
    assert (await workers.record(workers.other, theirs)).reminders == ()
    assert await workers.told() == PEOPLE


async def test_what_the_ledger_has_already_spoils_nobody_else_s_record(workers: Workers) -> None:
    claims = await workers.claimed(workers.other, PEOPLE)
    again = claims[3]
    twice = [said(again.person), said(again.person)]
    done = await asyncio.gather(
        *(workers.record(workers.other, claim) for claim in claims if claim is not again),
        workers.other.record(again, without_agenda, twice, NOW, look_again_at=lambda _: None),
        return_exceptions=True,
    )
    assert [type(each) for each in done] == [Person, Person, Person, Person, Duplicate]
    assert await workers.told() == [person for person in PEOPLE if person != "person-3"]
    left = await workers.one.person("org", "person-3")
    assert left is not None
    assert len(left.reminders) == 1
