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
"""The hint for a filter of an id and more: else MongoDB weighs the other fields' indexes against it, again and again.

To guard an update by organization and version cost 130 µs without it, and 30 with it.
"""
RAW_CHUNK = 1_000
Operation = InsertOne[Doc] | UpdateOne | ReplaceOne[Doc]


async def write_all(collection: Collection, operations: Sequence[Operation], session: Session) -> int:
    """Write many documents of a collection, in no order, within a transaction; how many were found or inserted.

    The same as an unordered `bulk_write`, in plain commands: the driver's bulk looks at each operation several times,
    which for thousands of small ones costs more than to encode and send them (measured: a third).

    Raises:
        BulkWriteError: one of them was refused; the transaction is not to be committed.
        PyMongoError: the command failed.
    """
    if not operations:
        return 0
    if not levers.on(levers.RAW_COMMANDS):
        done = await collection.bulk_write(operations, ordered=False, session=session)
        return done.matched_count + done.inserted_count + done.upserted_count
    written = 0
    inserts: list[Any] = []
    updates: list[Any] = []
    for operation in operations:
        if isinstance(operation, InsertOne):
            inserts.append(operation._doc)
        else:
            update: Doc = {"q": operation._filter, "u": operation._doc, "upsert": bool(operation._upsert)}
            if len(operation._filter) > 1 and "_id" in operation._filter:
                update["hint"] = BY_ID
            updates.append(update)
    for command, field, documents in (("insert", "documents", inserts), ("update", "updates", updates)):
        for start in range(0, len(documents), RAW_CHUNK):
            told = await collection.database.command(
                {command: collection.name, field: documents[start : start + RAW_CHUNK], "ordered": False},
                session=session,
            )
            if told.get("writeErrors"):
                raise BulkWriteError(told)
            written += told["n"]
    return written


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
