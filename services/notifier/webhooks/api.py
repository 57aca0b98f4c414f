"""`/v1/webhooks`: where events are posted to, and how that went."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from pydantic import Field, StringConstraints

from services.notifier.targets import Targets
from services.notifier.webhooks.rules import EVENT_TYPES, OLD_SECRET_FOR, TEST_TYPE, Delivery, Try, Webhook
from services.notifier.webhooks.signature import new_secret
from services.notifier.webhooks.store import NO_WEBHOOK, Store
from shared.aggregates import Duplicate, StaleWrite, retry_stale
from shared.clock import Clock
from shared.errors import Conflict, FieldError, NotFound, Unprocessable
from shared.http import (
    WEBHOOKS,
    Answer,
    Body,
    Caller,
    Id,
    Idem,
    IfMatch,
    Page,
    Params,
    Position,
    Reply,
    Router,
    etag,
)
from shared.ids import uuid7
from shared.time import format_instant

MAX_WEBHOOKS = 100
"""Of an organization."""
MAX_EVENT_TYPES = 50
SCOPES = (WEBHOOKS,)

Description = Annotated[str, StringConstraints(max_length=500)]
EventTypes = Annotated[list[str], Field(min_length=1, max_length=MAX_EVENT_TYPES)]


class WebhookIn(Body):
    """Where events of which types go."""

    url: str
    event_types: EventTypes
    description: Description | None = None


class WebhookPatch(Body):
    """What changes; `enabled` true lets one that was switched off begin anew."""

    url: str | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    enabled: bool | None = None


class DeliveryFilters(Params):
    """How far they are."""

    state: Literal["pending", "delivered", "failed"] | None = None


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The use cases.

    Args:
        store: keeps endpoints and deliveries.
        clock: domain time, and how far it is ahead of the real one.
        targets: what may be called.
        queued: tells the worker of something to deliver.
    """

    store: Store
    clock: Clock
    targets: Targets
    queued: Callable[[], None]

    async def add(self, caller: Caller, body: WebhookIn, idem: Idem | None) -> Answer:
        """Make an endpoint; its secret is told this once."""
        url, event_types = self._url(body.url), _event_types(body.event_types)

        async def once() -> Answer:
            now = self.clock.now()
            kept = await self.store.replay(idem, now)
            if kept is not None:
                return replace(kept, replayed=True)
            if await self.store.count(caller.org_id) >= MAX_WEBHOOKS:
                raise Conflict(f"An organization has at most {MAX_WEBHOOKS} webhooks.")
            made = Webhook(
                webhook_id=uuid7(),
                org_id=caller.org_id,
                url=url,
                event_types=event_types,
                description=body.description,
                secret=new_secret(),
                created_at=now,
                created_by=caller.person_id,
            )
            answer = Answer(
                201,
                {**shown(made), "secret": made.secret},
                {"Location": f"/v1/webhooks/{made.webhook_id}", "ETag": etag(made.version)},
            )
            try:
                await self.store.add(made, now, idem, answer)
            except Duplicate as error:
                raise StaleWrite from error
            return answer

        return await retry_stale(once)

    async def get(self, caller: Caller, webhook_id: str) -> Answer:
        """An endpoint, without its secret."""
        return _answer(_known(await self.store.webhook(caller.org_id, webhook_id)))

    async def list(self, caller: Caller, page: Page) -> dict[str, Any]:
        """The organization's endpoints, newest first."""
        rows = await self.store.webhooks(caller.org_id, page)
        return page.listing(rows, lambda row: Position(row.created_at, row.webhook_id), shown)

    async def patch(self, caller: Caller, webhook_id: str, body: WebhookPatch, if_match: IfMatch) -> Answer:
        """Change an endpoint; what waits for one that is switched on again is delivered."""

        def change(known: Webhook) -> Webhook:
            if_match.check(known.version)
            return _patched(known, self._changes(body), self.clock.now())

        after = await self._change(caller, webhook_id, change)
        self.queued()
        return _answer(after)

    async def delete(self, caller: Caller, webhook_id: str) -> None:
        """Forget an endpoint and its deliveries."""
        if not await self.store.delete(caller.org_id, webhook_id):
            raise NotFound(NO_WEBHOOK)

    async def rotate(self, caller: Caller, webhook_id: str, idem: Idem | None) -> Answer:
        """A new secret, told this once; the one before it signs, too, for a day."""
        secret = new_secret()

        def change(known: Webhook) -> Webhook:
            return msgspec.structs.replace(
                known,
                secret=secret,
                old_secret=known.secret,
                old_secret_until=self.clock.now() + OLD_SECRET_FOR,
                version=known.version + 1,
            )

        def answer(after: Webhook) -> Answer:
            return Answer(200, {**shown(after), "secret": secret}, {"ETag": etag(after.version)})

        return await self._once(caller, webhook_id, change, idem, answer)

    async def test(self, caller: Caller, webhook_id: str, idem: Idem | None) -> Answer:
        """Queue an event that tells nothing, whatever types the endpoint asked for."""
        now, real = self.clock.now(), datetime.now(UTC)
        delivery_id, event_id = uuid7(), uuid7()
        made = Delivery(
            delivery_id=delivery_id,
            org_id=caller.org_id,
            webhook_id=webhook_id,
            event_id=event_id,
            event_type=TEST_TYPE,
            body=_test_event(caller.org_id, webhook_id, event_id, now),
            created_at=now,
            queued_at=real,
            next_at=real,
        )
        return await self._queue(caller, webhook_id, made, idem)

    async def redeliver(self, caller: Caller, webhook_id: str, delivery_id: str, idem: Idem | None) -> Answer:
        """Deliver once more, under the same `webhook-id`, with all attempts before it."""
        _known(await self.store.webhook(caller.org_id, webhook_id))
        found = await self.store.delivery(caller.org_id, webhook_id, delivery_id)
        if found is None:
            raise NotFound("There is no such delivery.")
        real = datetime.now(UTC)
        # A new token: what a worker has under way does not overwrite this.
        anew = msgspec.structs.replace(
            found, state="pending", attempts=0, queued_at=real, next_at=real, token=found.token + 1
        )
        return await self._queue(caller, webhook_id, anew, idem)

    async def deliveries(
        self, caller: Caller, webhook_id: str, filters: DeliveryFilters, page: Page
    ) -> dict[str, Any]:
        """The log of an endpoint, newest first."""
        _known(await self.store.webhook(caller.org_id, webhook_id))
        wanted = {} if filters.state is None else {"state": filters.state}
        rows = await self.store.deliveries(caller.org_id, webhook_id, wanted, page)
        return page.listing(rows, lambda row: Position(row.created_at, row.delivery_id), self._delivery)

    async def _queue(self, caller: Caller, webhook_id: str, delivery: Delivery, idem: Idem | None) -> Answer:
        def same(known: Webhook) -> Webhook:
            if not known.enabled:
                raise Conflict("This webhook is switched off; set `enabled` first.")
            return known

        answer = Answer(200, _in_short(delivery))
        done = await self._once(caller, webhook_id, same, idem, lambda _: answer, delivery)
        self.queued()
        return done

    async def _change(self, caller: Caller, webhook_id: str, change: Callable[[Webhook], Webhook]) -> Webhook:
        return await retry_stale(
            lambda: self.store.change(caller.org_id, webhook_id, self.clock.now(), change)
        )

    async def _once(
        self,
        caller: Caller,
        webhook_id: str,
        change: Callable[[Webhook], Webhook],
        idem: Idem | None,
        answer: Callable[[Webhook], Answer],
        delivery: Delivery | None = None,
    ) -> Answer:
        async def once() -> Answer:
            now = self.clock.now()
            kept = await self.store.replay(idem, now)
            if kept is not None:
                return replace(kept, replayed=True)
            try:
                after = await self.store.change(
                    caller.org_id, webhook_id, now, change, idem=idem, answer=answer, delivery=delivery
                )
            except Duplicate as error:
                raise StaleWrite from error
            return answer(after)

        return await retry_stale(once)

    def _changes(self, body: WebhookPatch) -> dict[str, Any]:
        given = {name: getattr(body, name) for name in body.model_fields_set}
        for name in ("url", "event_types", "enabled"):
            if name in given and given[name] is None:
                raise Unprocessable.field(f"/{name}", "This cannot be removed.")
        if "url" in given:
            given["url"] = self._url(given["url"])
        if "event_types" in given:
            given["event_types"] = _event_types(given["event_types"])
        return given

    def _url(self, url: str) -> str:
        try:
            return self.targets.url(url)
        except ValueError as error:
            raise Unprocessable.field("/url", str(error)) from error

    def _delivery(self, delivery: Delivery) -> dict[str, Any]:
        """A delivery as the log tells it: the last attempt's request and answer, and all attempts in short."""
        body: dict[str, Any] = {
            **_in_short(delivery),
            "attempts": [_attempt(made) for made in delivery.tries],
            "request": {"body": json.loads(delivery.body)},
        }
        if delivery.next_at is not None:
            # Schedules keep the real clock; what users see is domain time.
            body["next_attempt_at"] = format_instant(
                delivery.next_at + (self.clock.now() - datetime.now(UTC))
            )
        if delivery.tries:
            last = delivery.tries[-1]
            body["request"] |= {
                "url": last.url,
                "headers": {
                    "webhook-id": delivery.event_id,
                    "webhook-timestamp": last.timestamp,
                    "webhook-signature": last.signature,
                },
            }
            body |= _came_back(last)
        return body


def routes(webhooks: Webhooks) -> Router:
    """The routes of webhooks."""
    router = Router(tags=["webhooks"])

    @router.post("/v1/webhooks", scopes=SCOPES, status_code=201)
    async def add_webhook(body: WebhookIn, caller: Caller, idem: Idem | None) -> Reply:
        """Have events posted to a URL, by Standard Webhooks; the secret is told this once."""
        return await webhooks.add(caller, body, idem)

    @router.get("/v1/webhooks", scopes=SCOPES)
    async def list_webhooks(page: Page, caller: Caller) -> Reply:
        """The organization's webhooks."""
        return await webhooks.list(caller, page)

    @router.get("/v1/webhooks/{webhook_id}", scopes=SCOPES)
    async def get_webhook(webhook_id: Id, caller: Caller) -> Reply:
        """A webhook, without its secret."""
        return await webhooks.get(caller, webhook_id)

    @router.patch("/v1/webhooks/{webhook_id}", scopes=SCOPES)
    async def change_webhook(webhook_id: Id, body: WebhookPatch, caller: Caller, if_match: IfMatch) -> Reply:
        """Change a webhook, or switch it on or off."""
        return await webhooks.patch(caller, webhook_id, body, if_match)

    @router.delete("/v1/webhooks/{webhook_id}", scopes=SCOPES)
    async def delete_webhook(webhook_id: Id, caller: Caller) -> None:
        """Forget a webhook and its deliveries."""
        await webhooks.delete(caller, webhook_id)

    @router.post("/v1/webhooks/{webhook_id}/secret", scopes=SCOPES)
    async def rotate_secret(webhook_id: Id, caller: Caller, idem: Idem | None) -> Reply:
        """A new secret, told this once; the old one signs, too, for 24 hours."""
        return await webhooks.rotate(caller, webhook_id, idem)

    @router.post("/v1/webhooks/{webhook_id}/test", scopes=SCOPES)
    async def test_webhook(webhook_id: Id, caller: Caller, idem: Idem | None) -> Reply:
        """Post a test event; its delivery shows in the log."""
        return await webhooks.test(caller, webhook_id, idem)

    @router.get("/v1/webhooks/{webhook_id}/deliveries", scopes=SCOPES)
    async def list_deliveries(
        webhook_id: Id, filters: Annotated[DeliveryFilters, Query()], page: Page, caller: Caller
    ) -> Reply:
        """What was posted, and what came back; kept for 30 days."""
        return await webhooks.deliveries(caller, webhook_id, filters, page)

    @router.post("/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", scopes=SCOPES)
    async def redeliver(webhook_id: Id, delivery_id: Id, caller: Caller, idem: Idem | None) -> Reply:
        """Deliver once more, with the same `webhook-id`."""
        return await webhooks.redeliver(caller, webhook_id, delivery_id, idem)

    return router


def _known(webhook: Webhook | None) -> Webhook:
    if webhook is None:
        raise NotFound(NO_WEBHOOK)
    return webhook


def _event_types(names: list[str]) -> tuple[str, ...]:
    errors = [
        FieldError(
            "A type of event that webhooks can have, such as onbelay.GoalMissed.v1.", f"/event_types/{i}"
        )
        for i, name in enumerate(names)
        if name not in EVENT_TYPES
    ]
    if errors:
        raise Unprocessable(errors[0].detail, errors=errors)
    return tuple(dict.fromkeys(names))


def _patched(webhook: Webhook, changes: dict[str, Any], now: datetime) -> Webhook:
    enabled = changes.get("enabled", webhook.enabled)
    if enabled:
        changes |= {"off_because": None, "off_at": None}
    elif webhook.enabled:
        changes |= {"off_because": "asked", "off_at": now}
    return msgspec.structs.replace(webhook, **changes, version=webhook.version + 1)


def shown(webhook: Webhook) -> dict[str, Any]:
    """An endpoint as it is told: never with a secret."""
    body: dict[str, Any] = {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "event_types": list(webhook.event_types),
        "enabled": webhook.enabled,
        "created_at": format_instant(webhook.created_at),
        "created_by": webhook.created_by,
    }
    if webhook.description is not None:
        body["description"] = webhook.description
    if webhook.off_because is not None and webhook.off_at is not None:
        body["disabled"] = {"because": webhook.off_because, "at": format_instant(webhook.off_at)}
    return body


def _answer(webhook: Webhook) -> Answer:
    return Answer(200, shown(webhook), {"ETag": etag(webhook.version)})


def _in_short(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "webhook_id": delivery.webhook_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "state": delivery.state,
        "created_at": format_instant(delivery.created_at),
    }


def _attempt(made: Try) -> dict[str, Any]:
    return {"at": format_instant(made.at), "ms": made.ms, **_came_back(made)}


def _came_back(made: Try) -> dict[str, Any]:
    if made.status is None:
        return {"error": made.error}
    return {"status": made.status, "response": made.answer or ""}


def _test_event(org_id: str, webhook_id: str, event_id: str, now: datetime) -> str:
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "/onbelay/notifier",
        "type": TEST_TYPE,
        "subject": f"webhook/{webhook_id}",
        "time": format_instant(now),
        "sequence": f"{1:010d}",
        "orgid": org_id,
        "datacontenttype": "application/json",
        "data": {"org_id": org_id, "webhook_id": webhook_id},
    }
    return msgspec.json.encode(event).decode()
