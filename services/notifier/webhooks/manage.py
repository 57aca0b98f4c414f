"""The use cases of `/v1/webhooks`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.notifier.targets import Targets
from services.notifier.webhooks import shown
from services.notifier.webhooks.rules import EVENT_TYPES, TEST_TYPE, Delivery, Webhook, rotated
from services.notifier.webhooks.shapes import WebhookIn, WebhookPatch
from services.notifier.webhooks.signature import new_secret
from services.notifier.webhooks.store import NO_WEBHOOK, Store
from shared.aggregates import Duplicate, StaleWrite, retry_stale
from shared.clock import Clock
from shared.errors import Conflict, FieldError, NotFound, Unprocessable
from shared.http import Answer, Caller, Idem, IfMatch, Page, Position, etag
from shared.ids import uuid7
from shared.time import format_instant

MAX_WEBHOOKS = 100
"""Of an organization."""


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
                return kept
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
                {**shown.webhook(made), "secret": made.secret},
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
        return page.listing(rows, lambda row: Position(row.created_at, row.webhook_id), shown.webhook)

    async def patch(self, caller: Caller, webhook_id: str, body: WebhookPatch, if_match: IfMatch) -> Answer:
        """Change an endpoint; what waits for one that is switched on again is delivered."""
        changes = self._changes(body)

        def change(known: Webhook) -> Webhook:
            if_match.check(known.version)
            return _patched(known, changes, self.clock.now())

        after = await self._change(caller, webhook_id, change)
        self.queued()
        return _answer(after)

    async def delete(self, caller: Caller, webhook_id: str) -> None:
        """Forget an endpoint and its deliveries."""
        if not await self.store.delete(caller.org_id, webhook_id):
            raise NotFound(NO_WEBHOOK)

    async def rotate(self, caller: Caller, webhook_id: str, idem: Idem | None) -> Answer:
        """A new secret, told this once; those before it sign, too, for a day each."""
        secret = new_secret()

        def change(known: Webhook) -> Webhook:
            return rotated(known, secret, self.clock.now())

        def answer(after: Webhook) -> Answer:
            return Answer(200, {**shown.webhook(after), "secret": secret}, {"ETag": etag(after.version)})

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
        self, caller: Caller, webhook_id: str, state: str | None, page: Page
    ) -> dict[str, Any]:
        """The log of an endpoint, newest first."""
        _known(await self.store.webhook(caller.org_id, webhook_id))
        wanted = {} if state is None else {"state": state}
        # Schedules keep the real clock; what users see is domain time.
        ahead = self.clock.now() - datetime.now(UTC)
        rows = await self.store.deliveries(caller.org_id, webhook_id, wanted, page)
        return page.listing(
            rows,
            lambda row: Position(row.created_at, row.delivery_id),
            lambda row: shown.delivery(row, ahead),
        )

    async def _queue(self, caller: Caller, webhook_id: str, delivery: Delivery, idem: Idem | None) -> Answer:
        def same(known: Webhook) -> Webhook:
            if not known.enabled:
                raise Conflict("This webhook is switched off; set `enabled` first.")
            return known

        answer = Answer(200, shown.in_short(delivery))
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
                return kept
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
        changes = {**changes, "off_because": None, "off_at": None}
    elif webhook.enabled:
        changes = {**changes, "off_because": "asked", "off_at": now}
    return msgspec.structs.replace(webhook, **changes, version=webhook.version + 1)


def _answer(webhook: Webhook) -> Answer:
    return Answer(200, shown.webhook(webhook), {"ETag": etag(webhook.version)})


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
