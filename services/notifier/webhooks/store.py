"""Endpoints and deliveries in MongoDB; nothing else of the webhooks speaks to it.

    webhooks    one aggregate per endpoint, without events; `health` is written beside its version
    deliveries  one per (endpoint, event): what is posted, when next, and the last attempts; kept for 30 days

Claims and `next_at` are by the real clock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo.errors import PyMongoError

from services.notifier.webhooks.rules import Delivery, Outcome, Try, Webhook, ended, with_try
from shared.aggregates import Aggregates, Outbox, StaleWrite
from shared.errors import NotFound
from shared.http import Page
from shared.idempotency import Answer, Idem
from shared.mongo import Database, Doc, Mongo, Session

CLAIM_FOR = timedelta(seconds=31)
"""For how long a delivery is a worker's own; an attempt takes at most 10 s."""
KEPT_FOR_S = 30 * 86_400
MAX_WEBHOOK_BYTES = 4 * 1024 * 1024
"""Room for the answers of a day: thousands of deliveries may be asked for again after a long outage."""
NO_WEBHOOK = "There is no such webhook."
_SEEN = ("url", "event_types", "description", "enabled", "off_because", "off_at", "version")
_SECRET = ("secret", "old_secrets")


class Store:
    """The two collections of the notifier's database.

    Args:
        mongo: the client, for transactions.
        database: the notifier's own.
        outbox: what aggregates publish by; endpoints publish nothing.
        holder: names this process on what it has claimed, the same after a restart.
    """

    def __init__(self, mongo: Mongo, database: Database, outbox: Outbox, *, holder: str) -> None:
        self._mongo = mongo
        self._webhooks = Aggregates(mongo, database["webhooks"], outbox, max_bytes=MAX_WEBHOOK_BYTES)
        self._deliveries = database["deliveries"]
        self._holder = holder

    async def make_indexes(self) -> None:
        """Create every index; again is no change."""
        await self._webhooks.make_indexes(
            IndexModel(
                [("org_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)], name="newest"
            ),
            IndexModel(
                [("untold", ASCENDING)],
                name="untold",
                partialFilterExpression={"untold": {"$exists": True}},
            ),
        )
        await self._deliveries.create_indexes(
            [
                IndexModel(
                    [("webhook_id", ASCENDING), ("next_at", ASCENDING)],
                    name="due",
                    partialFilterExpression={"next_at": {"$exists": True}},
                ),
                IndexModel(
                    [("webhook_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
                    name="newest",
                ),
                IndexModel(
                    [("holder", ASCENDING)],
                    name="claimed",
                    partialFilterExpression={"holder": {"$exists": True}},
                ),
                IndexModel([("queued_at", ASCENDING)], name="kept_30_days", expireAfterSeconds=KEPT_FOR_S),
            ]
        )

    # --- endpoints

    async def replay(self, idem: Idem | None, now: datetime) -> Answer | None:
        """The answer kept for an idempotency key; see `Aggregates.replay`."""
        return await self._webhooks.replay(idem, now)

    async def forget_answers(self, before: datetime) -> None:
        """Drop the answers to idempotency keys kept since before `before`."""
        await self._webhooks.forget_answers(before)

    async def add(self, webhook: Webhook, now: datetime, idem: Idem | None, answer: Answer) -> None:
        """Keep a new endpoint.

        Raises:
            Duplicate: the idempotency key was used meanwhile.
        """
        await self._webhooks.commit(
            self._webhooks.new(
                id=webhook.webhook_id,
                org_id=webhook.org_id,
                key=webhook.org_id,
                subject=f"webhook/{webhook.webhook_id}",
                now=now,
                fields=_fields(webhook, *_SEEN, *_SECRET, "created_at", "created_by"),
                idem=idem,
                answer=answer,
            )
        )

    async def count(self, org_id: str) -> int:
        """How many endpoints an organization has."""
        return await self._webhooks.collection.count_documents({"org_id": org_id})

    async def webhook(self, org_id: str, webhook_id: str) -> Webhook | None:
        """An endpoint, or None when the organization has none of that id."""
        found = await self._webhooks.find(org_id, webhook_id)
        return None if found is None else _webhook(found)

    async def webhooks(self, org_id: str, page: Page) -> list[Webhook]:
        """Endpoints, newest first, at most `page.fetch`."""
        found = self._webhooks.collection.find({"org_id": org_id, **page.older("created_at")}, {"idem": 0})
        rows = (
            await found.sort([("created_at", DESCENDING), ("_id", DESCENDING)])
            .limit(page.fetch)
            .to_list(None)
        )
        return [_webhook(row) for row in rows]

    async def change(
        self,
        org_id: str,
        webhook_id: str,
        now: datetime,
        change: Callable[[Webhook], Webhook],
        *,
        idem: Idem | None = None,
        answer: Callable[[Webhook], Answer] | None = None,
        delivery: Delivery | None = None,
    ) -> Webhook:
        """Store `change(webhook)`, and with it the answer to an idempotency key and a delivery, all or nothing.

        Raises:
            NotFound: there is no such endpoint.
            StaleWrite: it was changed meanwhile; nothing is stored.
            Duplicate: the idempotency key was used meanwhile.
            Whatever `change` raises.
        """

        async def write(session: Session) -> Webhook:
            before = await self._webhooks.find(org_id, webhook_id, session=session)
            if before is None:
                raise NotFound(NO_WEBHOOK)
            known = _webhook(before)
            after = change(known)
            fields = _fields(after, *_SEEN, *_SECRET)
            unset = [name for name in (*_SEEN, *_SECRET) if name not in fields]
            if after.url != known.url or (after.enabled and not known.enabled):
                unset += ["health", "untold"]
            await self._webhooks.commit(
                self._webhooks.change(
                    before,
                    now=now,
                    fields=fields,
                    unset=unset,
                    idem=idem,
                    answer=None if answer is None else answer(after),
                ),
                session=session,
            )
            if delivery is not None:
                await self._deliveries.replace_one(
                    {"_id": delivery.delivery_id}, _delivery_fields(delivery), upsert=True, session=session
                )
            return after

        return await self._mongo.transaction(write)

    async def delete(self, org_id: str, webhook_id: str) -> bool:
        """Forget an endpoint and its deliveries; whether there was one."""
        gone = await self._webhooks.collection.delete_one({"_id": webhook_id, "org_id": org_id})
        if gone.deleted_count == 0:
            return False
        # What a long log leaves behind here goes when its time is up.
        with suppress(PyMongoError):
            await self._deliveries.delete_many({"webhook_id": webhook_id})
        return True

    # --- deliveries

    async def delivery(self, org_id: str, webhook_id: str, delivery_id: str) -> Delivery | None:
        """A delivery of an endpoint, or None."""
        found = await self._deliveries.find_one(
            {"_id": delivery_id, "org_id": org_id, "webhook_id": webhook_id}
        )
        return None if found is None else _delivery(found)

    async def deliveries(self, org_id: str, webhook_id: str, filters: Doc, page: Page) -> list[Delivery]:
        """Deliveries of an endpoint, newest first, at most `page.fetch`."""
        wanted = {"org_id": org_id, "webhook_id": webhook_id, **filters, **page.older("created_at")}
        found = self._deliveries.find(wanted).sort([("created_at", DESCENDING), ("_id", DESCENDING)])
        return [_delivery(row) for row in await found.limit(page.fetch).to_list(None)]

    # --- the fold

    async def listening(self, org_ids: Collection[str], session: Session) -> list[Webhook]:
        """The endpoints of these organizations that are on."""
        found = self._webhooks.collection.find(
            {"org_id": {"$in": list(org_ids)}, "enabled": True}, {"idem": 0}, session=session
        )
        return [_webhook(row) for row in await found.to_list(None)]

    async def queue(self, deliveries: Sequence[Delivery], session: Session) -> None:
        """Add deliveries."""
        if deliveries:
            await self._deliveries.insert_many(
                [_delivery_fields(each) for each in deliveries], ordered=False, session=session
            )

    # --- the worker

    async def due(self, now: datetime, busy: Collection[str]) -> list[str]:
        """The endpoints with a delivery that is due, but for the busy ones and those that are left alone or off."""
        # Skips from endpoint to endpoint in the index: a long queue of one costs no more than a short one.
        found = await self._deliveries.distinct(
            "webhook_id", {"webhook_id": {"$nin": list(busy)}, "next_at": {"$lte": now}}
        )
        if not found:
            return []
        silent = {"$or": [{"enabled": False}, {"health.open_until": {"$gt": now}}]}
        left_alone = await self._webhooks.collection.distinct("_id", {"_id": {"$in": found}, **silent})
        return [id_ for id_ in found if id_ not in set(left_alone)]

    async def take_up_again(self, webhook_id: str | None = None, under_way: Collection[str] = ()) -> None:
        """What this process has claimed is due at once, but for what it knows to be under way.

        At the start that is all of it; later what a claim or a recording left whose answer was lost.
        """
        mine: Doc = {"holder": self._holder, "_id": {"$nin": list(under_way)}}
        if webhook_id is not None:
            mine["webhook_id"] = webhook_id
        await self._deliveries.update_many(
            mine,
            {"$set": {"next_at": datetime.now(UTC)}, "$inc": {"token": 1}, "$unset": {"holder": ""}},
        )

    async def claim(self, webhook_id: str, now: datetime) -> tuple[Webhook, Delivery] | None:
        """Take the delivery of an endpoint that is due for longest, or None when there is nothing to do for it."""
        row = await self._webhooks.collection.find_one({"_id": webhook_id}, {"idem": 0})
        if row is None:
            await self._deliveries.delete_many({"webhook_id": webhook_id})
            return None
        webhook = _webhook(row)
        if not webhook.enabled or webhook.health.left_alone(now):
            return None
        found = await self._deliveries.find_one_and_update(
            {"webhook_id": webhook_id, "next_at": {"$lte": now}},
            {"$set": {"next_at": now + CLAIM_FOR, "holder": self._holder}, "$inc": {"token": 1}},
            sort=[("next_at", ASCENDING)],
            return_document=ReturnDocument.AFTER,
        )
        return None if found is None else (webhook, _delivery(found))

    async def end(
        self, delivery: Delivery, outcome: Outcome, made: Try, now: datetime, jitter: float
    ) -> Delivery | None:
        """Note what came of a claimed delivery; None when it was claimed anew, asked for again or deleted since."""
        after = msgspec.structs.replace(
            ended(delivery, outcome, now, jitter), tries=with_try(delivery.tries, made)
        )
        fields = _delivery_fields(after)
        update: Doc = {
            "$set": {name: fields[name] for name in ("state", "attempts", "tries")},
            "$unset": {"holder": ""},
        }
        if after.next_at is None:
            update["$unset"]["next_at"] = ""
        else:
            update["$set"]["next_at"] = after.next_at
        written = await self._deliveries.update_one(
            {"_id": delivery.delivery_id, "token": delivery.token}, update
        )
        return after if written.matched_count else None

    async def fared_well(self, webhook_id: str) -> None:
        """An endpoint has taken something: what failed before counts no more."""
        await self._webhooks.collection.update_one(
            {"_id": webhook_id, "health": {"$exists": True}}, {"$unset": {"health": ""}}
        )

    async def fared_badly(self, webhook_id: str, judge: Callable[[Webhook], Webhook]) -> Webhook | None:
        """Note what `judge` makes of an endpoint after a failure; it may switch it off. None: it is gone.

        Raises:
            StaleWrite: others keep changing it.
        """
        for _ in range(8):
            row = await self._webhooks.collection.find_one({"_id": webhook_id}, {"idem": 0})
            if row is None:
                return None
            before = _webhook(row)
            after = judge(before)
            setting: Doc = {"health": _plain(after.health)}
            if before.enabled and not after.enabled:
                setting |= {**_fields(after, *_SEEN), "untold": True, "v": row["v"] + 1}
            same_health: Any = row.get("health", {"$exists": False})
            written = await self._webhooks.collection.update_one(
                {"_id": webhook_id, "v": row["v"], "health": same_health}, {"$set": setting}
            )
            if written.matched_count:
                return after
        raise StaleWrite

    # --- notices

    async def untold(self) -> list[Webhook]:
        """Endpoints that were switched off without anybody having been told."""
        return [_webhook(row) async for row in self._webhooks.collection.find({"untold": True})]

    async def told(self, webhook: Webhook) -> None:
        """Their creator was told, or cannot be."""
        await self._webhooks.collection.update_one(
            {"_id": webhook.webhook_id, "version": webhook.version}, {"$unset": {"untold": ""}}
        )


def _plain(struct: Any) -> Doc:
    plain: Doc = msgspec.to_builtins(struct, builtin_types=(datetime,))
    return plain


def _fields(webhook: Webhook, *names: str) -> Doc:
    # Defaults are left out by the struct; filters need these.
    plain = {"enabled": True, "version": 1, **_plain(webhook)}
    return {name: plain[name] for name in names if name in plain}


def _webhook(row: Doc) -> Webhook:
    return msgspec.convert({**row, "webhook_id": row["_id"]}, Webhook)


def _delivery_fields(delivery: Delivery) -> Doc:
    plain = {"state": "pending", "attempts": 0, "token": 0, "tries": [], **_plain(delivery)}
    return {"_id": plain.pop("delivery_id"), **plain}


def _delivery(row: Doc) -> Delivery:
    return msgspec.convert({**row, "delivery_id": row["_id"]}, Delivery)
