"""Aggregates that are their own event log and their own outbox.

One document per aggregate holds its state and its events; one guarded write stores both, so there is no dual
write and no outbox collection. The shape of a document, beside what a service adds:

    _id         the aggregate's id
    org_id      the tenant; part of every filter
    key         the Kafka key of its events (the mentorship's id)
    subject     "goal/<id>", the `ce_subject` of its events
    v           write version, one more with each write: the guard of optimistic concurrency
    seq         how many events it has
    published   how many of them, from the first, Kafka has acknowledged
    outbox_at   real time since when something is unpublished; absent otherwise (partial index)
    events      [{id, type, topic, seq, time, data, tp?}], `seq` counting per topic from 1
    idem        answers kept for idempotency keys, in the same document so that a crash cannot part effect and
                answer: [{k, fp, at, status, headers, body}]
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

import bson
import msgspec
from pymongo import ASCENDING, IndexModel, InsertOne, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from shared import events as contract
from shared import levers
from shared.errors import Conflict, Unavailable, Unprocessable
from shared.group_commit import GroupCommit
from shared.idempotency import Answer, Idem
from shared.ids import uuid7
from shared.mongo import BY_ID, Collection, Doc, Mongo, Session, duplicate_key, write_all
from shared.telemetry import current_traceparent

T = TypeVar("T")

MAX_UNPUBLISHED = 100
MAX_DOCUMENT_BYTES = 256 * 1024
ANSWERS_KEPT = timedelta(hours=24)
MOST_ADDED = 200 * 1024
"""More bytes than a single write adds: the longest texts of a request, in state, event and kept answer."""
STALE_TRIES = 12

INDEXES = (
    IndexModel(
        [("outbox_at", ASCENDING)],
        name="outbox",
        partialFilterExpression={"outbox_at": {"$exists": True}},
    ),
    IndexModel(
        [("idem.k", ASCENDING)],
        name="idempotency",
        unique=True,
        partialFilterExpression={"idem.k": {"$exists": True}},
    ),
)


class StaleWrite(Exception):
    """The document was changed since it was read: read it again and decide anew."""


class Duplicate(Exception):
    """A unique index holds such a document already. `field` is the first field of that index."""

    def __init__(self, field: str) -> None:
        super().__init__(f"duplicate {field}")
        self.field = field


class Outbox(Protocol):
    """What an aggregate store needs of the publisher."""

    def kick(self, collection: Collection, document: Doc) -> None:
        """Publish what `document` has unpublished, soon; never waits."""


class Change(msgspec.Struct, frozen=True):
    """One document's write: `before` (None: it is new), `after`, and the operation between them."""

    collection: Collection
    before: Doc | None
    after: Doc
    operation: InsertOne[Doc] | UpdateOne


class Aggregates:
    """The documents of one collection.

    Args:
        mongo: the client; used for transactions.
        collection: where they are kept.
        outbox: told of every committed change.
        max_bytes: the bound of one document (BSON).
    """

    def __init__(
        self, mongo: Mongo, collection: Collection, outbox: Outbox, *, max_bytes: int = MAX_DOCUMENT_BYTES
    ) -> None:
        self._mongo = mongo
        self.collection = collection
        self._outbox = outbox
        self._max_bytes = max_bytes
        self._group = GroupCommit(collection) if levers.on(levers.GROUP_COMMIT) else None

    async def make_indexes(self, *more: IndexModel) -> None:
        """Create the indexes that every aggregate collection has, and `more`."""
        await self.collection.create_indexes([*INDEXES, *more])

    async def find(self, org_id: str, id: str, *, session: Session | None = None) -> Doc | None:
        """The document, or None when the organization has none of that id."""
        return await self.collection.find_one({"_id": id, "org_id": org_id}, session=session, hint=BY_ID)

    def new(
        self,
        *,
        id: str,
        org_id: str,
        key: str,
        subject: str,
        now: datetime,
        events: Sequence[contract.Event] = (),
        fields: Mapping[str, Any] | None = None,
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> Change:
        """The insertion of a new aggregate with its first events. `now` is domain time, the events' `ce_time`."""
        document: Doc = {
            "_id": id,
            "org_id": org_id,
            "key": key,
            "subject": subject,
            "v": 1,
            "seq": len(events),
            "published": 0,
            "events": _stored(events, (), now),
            **(fields or {}),
        }
        if events:
            document["outbox_at"] = datetime.now(UTC)
        if idem is not None and answer is not None:
            document["idem"] = [_kept(idem, answer, now)]
        return Change(self.collection, None, document, InsertOne(document))

    def change(
        self,
        before: Doc,
        *,
        now: datetime,
        events: Sequence[contract.Event] = (),
        fields: Mapping[str, Any] | None = None,
        unset: Iterable[str] = (),
        idem: Idem | None = None,
        answer: Answer | None = None,
    ) -> Change:
        """The next version of an aggregate: `events` appended, `fields` set, guarded by the version read.

        Raises:
            Unavailable: more than `MAX_UNPUBLISHED` events would wait, Kafka being away that long.
            Conflict: the document would outgrow its bound.
        """
        if before["seq"] - before["published"] + len(events) > MAX_UNPUBLISHED:
            raise Unavailable("Too many events wait to be published; try again soon.", retry_after=5)
        stored = _stored(events, before["events"], now)
        # Only what is another than before: MongoDB stores and replicates each field that it is told.
        setting: Doc = {
            name: value
            for name, value in (fields or {}).items()
            if name not in before or before[name] != value
        }
        setting["v"] = before["v"] + 1
        if events:
            setting["seq"] = before["seq"] + len(events)
            setting.setdefault("outbox_at", before.get("outbox_at") or datetime.now(UTC))
        if idem is not None and answer is not None:
            fresh = [entry for entry in before.get("idem", ()) if entry["at"] + ANSWERS_KEPT > now]
            setting["idem"] = [*fresh, _kept(idem, answer, now)]
        after = {**before, **setting, "events": [*before["events"], *stored]}
        update: Doc = {"$set": setting}
        dropped = [name for name in unset if name in before and name not in (fields or {})]
        if dropped:
            update["$unset"] = dict.fromkeys(dropped, "")
            for name in dropped:
                del after[name]
        if stored:
            update["$push"] = {"events": {"$each": stored}}
        # What cannot have grown so far yet need not be measured, which costs as much as all else here.
        if after["v"] * MOST_ADDED > self._max_bytes and len(bson.encode(after)) > self._max_bytes:
            raise Conflict("This has grown to its bound; nothing more can be added to it.")
        operation = UpdateOne(
            {"_id": before["_id"], "org_id": before["org_id"], "v": before["v"]},
            update,
        )
        return Change(self.collection, before, after, operation)

    async def commit(self, *changes: Change, session: Session | None = None) -> None:
        """Store changes, of any collections, all or none, then kick the publisher.

        One change is one write; several are one transaction. With a `session` they join its transaction and the
        caller kicks with `kicked` after the commit.

        Raises:
            StaleWrite: one of the documents was changed since it was read.
            Duplicate: a unique index refuses one of them.
        """
        if session is not None:
            await _write(changes, session)
            return
        if len(changes) == 1:
            await _write(changes, None, self._group)
        elif changes:
            await self._mongo.transaction(lambda opened: _write(changes, opened))
        self.kicked(changes)

    async def commit_each(self, changes: Sequence[Change]) -> int:
        """Store changes of documents that were there, each by itself, then kick the publisher; how many were stored.

        Those whose document was changed since it was read are not.

        Raises:
            PyMongoError: it is not known which are stored; the sweeper publishes what is.
        """
        if not changes:
            return 0
        stored = await write_all(self.collection, [change.operation for change in changes], None)
        if stored == len(changes):
            self.kicked(changes)
            return stored
        # Which those were, their unpublished events tell.
        ids = [change.after["_id"] for change in changes]
        found = self.collection.find({"_id": {"$in": ids}, "outbox_at": {"$exists": True}}, hint=BY_ID)
        for document in await found.to_list(None):
            self._outbox.kick(self.collection, document)
        return stored

    def kicked(self, changes: Iterable[Change]) -> None:
        """Tell the publisher of committed changes."""
        for change in changes:
            if change.after["seq"] > change.after["published"]:
                self._outbox.kick(change.collection, change.after)

    async def replay(self, idem: Idem | None, now: datetime) -> Answer | None:
        """The answer kept for an idempotency key, `replayed`; or None: then do the work.

        Raises:
            Unprocessable: the key was used with another body.
        """
        if idem is None:
            return None
        found = await self.collection.find_one({"idem.k": idem.k}, {"idem": {"$elemMatch": {"k": idem.k}}})
        if found is None:
            return None
        entry = found["idem"][0]
        if entry["at"] + ANSWERS_KEPT <= now:
            await self.collection.update_one({"_id": found["_id"]}, {"$pull": {"idem": {"k": idem.k}}})
            return None
        if entry["fp"] != idem.fp:
            raise Unprocessable.parameter(
                "Idempotency-Key", "This key was used with another body; a key names one request."
            )
        return Answer(entry["status"], entry["body"], dict(entry["headers"]), replayed=True)

    async def forget_answers(self, before: datetime) -> int:
        """Drop the answers kept since before `before` (domain time); returns how many documents had some."""
        result = await self.collection.update_many(
            {"idem.at": {"$lte": before}}, {"$pull": {"idem": {"at": {"$lte": before}}}}
        )
        return result.modified_count


async def retry_stale(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` (read, decide, commit) again while somebody else's write comes in between.

    Raises:
        Conflict: it kept happening; with Retry-After.
    """
    for _ in range(STALE_TRIES):
        try:
            return await work()
        except StaleWrite:
            continue
    raise Conflict("Others keep changing this; try again.", retry_after=1)


async def _write(
    changes: Sequence[Change], session: Session | None, group_commit: GroupCommit | None = None
) -> None:
    by_collection: dict[str, list[Change]] = {}
    for change in changes:
        by_collection.setdefault(change.collection.name, []).append(change)
    try:
        for group in by_collection.values():
            if len(group) == 1:
                await _write_one(group[0], session, group_commit)
                continue
            assert session is not None  # noqa: S101 - narrows; several changes are a transaction
            operations = [change.operation for change in group]
            if await write_all(group[0].collection, operations, session) != len(group):
                raise StaleWrite
    except (BulkWriteError, DuplicateKeyError) as error:
        field = duplicate_key(error)
        if field is None:
            raise
        raise Duplicate(field) from error


async def _write_one(
    change: Change, session: Session | None, group_commit: GroupCommit | None = None
) -> None:
    if change.before is None:
        if group_commit is not None and group_commit.collection is change.collection:
            await group_commit.insert(change.after)
        else:
            await change.collection.insert_one(change.after, session=session)
        return
    operation = change.operation
    assert isinstance(operation, UpdateOne)  # noqa: S101 - narrows the type; `change` made it so
    result = await change.collection.update_one(
        operation._filter, operation._doc, session=session, hint=BY_ID
    )
    if result.matched_count != 1:
        raise StaleWrite


def _stored(events: Sequence[contract.Event], before: Sequence[Doc], now: datetime) -> list[Doc]:
    counts: dict[str, int] = {}
    for earlier in before:
        counts[earlier["topic"]] = counts.get(earlier["topic"], 0) + 1
    stored: list[Doc] = []
    traceparent = current_traceparent() if events else None
    for event in events:
        type_ = type(event).__name__
        topic = contract.topic_of(type_)
        counts[topic] = counts.get(topic, 0) + 1
        entry: Doc = {
            "id": uuid7(),
            "type": type_,
            "topic": topic,
            "seq": counts[topic],
            "time": now,
            "data": contract.to_document(event),
        }
        if traceparent:
            entry["tp"] = traceparent
        stored.append(entry)
    return stored


def _kept(idem: Idem, answer: Answer, now: datetime) -> Doc:
    return {
        "k": idem.k,
        "fp": idem.fp,
        "at": now,
        "status": answer.status,
        "headers": dict(answer.headers),
        "body": answer.body,
    }
