"""The one door to MongoDB, over Motor or PyMongo's own async API.

Both drivers have the same names for nearly everything; this module covers the few places where they differ
(`start_session`, `aggregate`, `close`), so that the code above is written once. The types are PyMongo's.

Reads are of majority-committed data and writes wait for a majority: what was answered cannot be rolled back.
Every operation ends within `OPERATION_S`, so that a request never hangs while MongoDB is away: it raises a
`PyMongoError`, which the HTTP edge answers with 503.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar, cast

import pymongo
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, InsertOne, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import BulkWriteError, DuplicateKeyError

from shared import levers

Doc: TypeAlias = dict[str, Any]
Database: TypeAlias = AsyncDatabase[Doc]
Collection: TypeAlias = AsyncCollection[Doc]
Session: TypeAlias = AsyncClientSession
Driver = Literal["pymongo", "motor"]
T = TypeVar("T")

OPERATION_S = 4.0
SELECTION_S = 3.0
DUPLICATE_KEY = 11000


class Mongo:
    """A client of one cluster. Belongs to the event loop in which it is first used."""

    def __init__(self, client: AsyncMongoClient[Doc], driver: Driver) -> None:
        self._client = client
        self.driver = driver

    @classmethod
    def connect(cls, url: str, driver: Driver = "pymongo", *, name: str = "onbelay") -> Mongo:
        """A client for `url`; connects when first used, and never raises here for a cluster that is away."""
        options: dict[str, Any] = {
            "appname": name,
            "tz_aware": True,
            "w": "majority",
            "readConcernLevel": "majority",
            "serverSelectionTimeoutMS": int(SELECTION_S * 1000),
            "connectTimeoutMS": int(SELECTION_S * 1000),
            "timeoutMS": int(OPERATION_S * 1000),
            "retryWrites": True,
            "maxPoolSize": 100,
        }
        if driver == "motor":
            from motor.motor_asyncio import AsyncIOMotorClient

            return cls(cast("AsyncMongoClient[Doc]", AsyncIOMotorClient(url, **options)), driver)
        return cls(AsyncMongoClient(url, **options), driver)

    def database(self, name: str) -> Database:
        """The database of that name; datetimes read from it are aware and in UTC."""
        return self._client.get_database(name, codec_options=CodecOptions(tz_aware=True))

    async def ping(self) -> None:
        """Ask the primary for a sign of life.

        Raises:
            PyMongoError: there is none within the operation timeout.
        """
        await self._client.admin.command("ping")

    async def close(self) -> None:
        """Close every connection."""
        closing = cast("Any", self._client.close())
        if closing is not None:
            await closing

    async def drop_database(self, name: str) -> None:
        """Remove a database; for tests and rebuilds. It may take long, and so has a minute."""
        with pymongo.timeout(60):
            await self._client.drop_database(name)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Session]:
        """A client session."""
        starting = cast("Any", self._client.start_session())
        session = await starting if self.driver == "motor" else starting
        async with session as opened:
            yield opened

    async def take_over(self, sessions: Collection, id_: str, session: Session) -> None:
        """Note `session` as that of whoever does the work `id_` alone, and end the one that was noted before.

        A process that is killed leaves its transaction open, and with it locks that stand until MongoDB's limit for
        transactions, a minute. Who knows that nobody uses the session any more need not wait: what it had open is
        undone.

        Raises:
            PyMongoError: the store does not answer.
        """
        own = {"_id": id_, "lsid": dict(session.session_id)}
        before = await sessions.find_one({"_id": id_})
        if before is not None and before != own:
            await self._client.admin.command({"killSessions": [before["lsid"]]})
        await sessions.replace_one({"_id": id_}, own, upsert=True)

    async def transaction(
        self,
        work: Callable[[Session], Awaitable[T]],
        *,
        seconds: float = OPERATION_S,
        session: Session | None = None,
    ) -> T:
        """Run `work` in a transaction, again from its start when MongoDB says that a retry may help.

        Delivery: all or nothing; `work` may run several times and must have no effect but through the session.
        `seconds` bounds the whole, retries included. `session`: one to use, else one of its own.

        Raises:
            PyMongoError: it could not be committed.
            Whatever `work` raises: the transaction is then aborted.
        """
        with pymongo.timeout(seconds):
            if session is not None:
                return await session.with_transaction(work)
            async with self.session() as own:
                return await own.with_transaction(work)

    async def aggregate(
        self,
        collection: Collection,
        pipeline: Sequence[Mapping[str, Any]],
        *,
        session: Session | None = None,
        **options: Any,
    ) -> list[Doc]:
        """Run an aggregation and return all of its documents."""
        answer = cast("Any", collection.aggregate(list(pipeline), session=session, **options))
        cursor = answer if self.driver == "motor" else await answer
        return cast("list[Doc]", await cursor.to_list(None))


BY_ID = "_id_"
"""The hint for a filter of an id and more: else MongoDB weighs the other fields' indexes against that of ids."""
RAW_CHUNK = 1_000
Operation = InsertOne[Doc] | UpdateOne | ReplaceOne[Doc]


@dataclass(slots=True)
class Writes:
    """Inserts and updates of a collection's documents by their ids, as MongoDB's own commands take them."""

    inserts: list[Doc] = field(default_factory=list)
    updates: list[Doc] = field(default_factory=list)

    def insert(self, document: Doc) -> None:
        """Insert a document."""
        self.inserts.append(document)

    def upsert(self, id_: str, update: Doc) -> None:
        """Update the document of an id, or replace it if `update` has no operators; it is made where there is none."""
        self.updates.append({"q": {"_id": id_}, "u": update, "upsert": True})

    def operations(self) -> list[Operation]:
        """The same as the driver's."""
        return [
            *(InsertOne(document) for document in self.inserts),
            *(
                UpdateOne(each["q"], each["u"], upsert=True)
                if next(iter(each["u"]), "").startswith("$")
                else ReplaceOne(each["q"], each["u"], upsert=True)
                for each in self.updates
            ),
        ]


async def write_all(
    collection: Collection, operations: Sequence[Operation] | Writes, session: Session | None
) -> int:
    """Write many documents of a collection, in no order; how many were found or inserted.

    Within the transaction of a `session`; without one each by itself, and not again by the driver when the store does
    not answer: then it is not known which are written.

    The same as an unordered `bulk_write`, in plain commands: the driver's bulk looks at each operation several times,
    which for thousands of small ones costs more than to encode and send them (measured: a third).

    Raises:
        BulkWriteError: one of them was refused; a transaction is not to be committed.
        PyMongoError: the command failed.
    """
    if not levers.on(levers.RAW_COMMANDS):
        if isinstance(operations, Writes):
            operations = operations.operations()
        if not operations:
            return 0
        done = await collection.bulk_write(operations, ordered=False, session=session)
        return done.matched_count + done.inserted_count + done.upserted_count
    written = 0
    durable: Doc = {} if session is not None else {"writeConcern": {"w": "majority"}}
    writes = operations if isinstance(operations, Writes) else _as_writes(operations)
    for command, field_, documents in (
        ("insert", "documents", writes.inserts),
        ("update", "updates", writes.updates),
    ):
        for start in range(0, len(documents), RAW_CHUNK):
            part = documents[start : start + RAW_CHUNK]
            told = await collection.database.command(
                {command: collection.name, field_: part, "ordered": False, **durable}, session=session
            )
            if told.get("writeErrors") or told.get("writeConcernError"):
                raise BulkWriteError(told)
            written += told["n"]
    return written


def _as_writes(operations: Sequence[Operation]) -> Writes:
    writes = Writes()
    for operation in operations:
        if isinstance(operation, InsertOne):
            writes.inserts.append(operation._doc)
        else:
            update: Doc = {"q": operation._filter, "u": operation._doc, "upsert": bool(operation._upsert)}
            if len(operation._filter) > 1 and "_id" in operation._filter:
                update["hint"] = BY_ID
            writes.updates.append(update)
    return writes


def duplicate_key(error: BulkWriteError | DuplicateKeyError) -> str | None:
    """The first field of the unique index that a write ran into, or None when it failed for another reason."""
    details: Mapping[str, Any] = error.details or {}
    if isinstance(error, BulkWriteError):
        details = next(iter(details.get("writeErrors", [])), {})
    if details.get("code") != DUPLICATE_KEY:
        return None
    pattern: Mapping[str, Any] = details.get("keyPattern") or {}
    fields = [field for field in pattern if field != "org_id"]
    return fields[0] if fields else "_id"
