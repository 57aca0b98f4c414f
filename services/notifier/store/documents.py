"""The collections, their indexes, and a person's document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel

from services.notifier.domain.person import Person
from services.notifier.domain.plan import next_at
from shared.aggregates import Aggregates, Change, Outbox
from shared.idempotency import Answer, Idem
from shared.mongo import Collection, Database, Doc, Mongo

MAX_PERSON_BYTES = 8 * 1024 * 1024
"""Far more than any agenda: a fold must not fail for it."""
_PERSON_FIELDS = tuple(name for name in Person.__struct_fields__ if name not in ("person_id", "org_id"))
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def person_key(org_id: str, person_id: str) -> str:
    """The id of a person's document."""
    return f"{org_id}|{person_id}"


def read_person(document: Doc) -> Person:
    """The person of a document."""
    return msgspec.convert(document, Person)


def plain(struct: Any) -> Doc:
    """A struct as a document holds it."""
    found: Doc = msgspec.to_builtins(struct, builtin_types=(datetime,))
    return found


class Documents:
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


def _fields(person: Person) -> Doc:
    found = plain(person)
    return {name: found[name] for name in _PERSON_FIELDS if name in found}
