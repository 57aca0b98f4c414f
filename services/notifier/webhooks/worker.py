"""The delivery worker: posts what is due to endpoints.

Delivery: at least once, in no order, each time with the same `webhook-id` and body; twice when a process dies between
the answer and its recording. Idempotency key for receivers: `webhook-id`, the event's `ce_id`.

A delivery is claimed for a while by a token, and what came of it is recorded only while that is the latest. On failure
it is tried again on the schedule of `rules`, for three days; what MongoDB did not answer for is taken up again once it
does. Each endpoint has a few attempts at a time of its own, and a circuit: a slow or broken one holds up nobody else.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import structlog
from prometheus_client import Counter
from pymongo.errors import PyMongoError

from services.notifier.webhooks import signature
from services.notifier.webhooks.outbound import Answered, NotReached, Outbound
from services.notifier.webhooks.rules import (
    ANSWER_KEPT_BYTES,
    Delivery,
    Outcome,
    Try,
    Webhook,
    health_after,
    off_because,
    retry_after,
)
from services.notifier.webhooks.store import Store
from shared.aggregates import StaleWrite
from shared.clock import Clock

log = structlog.get_logger(__name__)

POLL_S = 0.5
AWAY_S = 1.0
AT_ONCE = 4
"""Attempts at a time per endpoint and process."""
ENDPOINTS_AT_ONCE = 256

ATTEMPTS = Counter("onbelay_webhook_attempts", "Attempts to deliver to webhooks", ["outcome"])


class Deliverer:
    """Delivers.

    Args:
        store: endpoints and deliveries.
        outbound: posts.
        clock: domain time, for what users see; schedules keep the real clock.
    """

    def __init__(self, store: Store, outbound: Outbound, clock: Clock) -> None:
        self._store = store
        self._outbound = outbound
        self._clock = clock
        self._wake = asyncio.Event()
        self._busy: set[str] = set()
        self._under_way: set[str] = set()
        self._unsure: set[str] = set()

    def wake(self) -> None:
        """Something was queued."""
        self._wake.set()

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                try:
                    await self._look_after_the_unsure()
                    for webhook_id in await self._store.due(_real_now(), self._busy):
                        if len(self._busy) < ENDPOINTS_AT_ONCE:
                            self._busy.add(webhook_id)
                            group.create_task(self._attend(webhook_id))
                except PyMongoError as error:
                    log.warning("deliveries not read", error=repr(error))
                    await asyncio.sleep(AWAY_S)
                with suppress(TimeoutError):
                    async with asyncio.timeout(POLL_S):
                        await self._wake.wait()

    async def _attend(self, webhook_id: str) -> None:
        """Deliver to one endpoint until nothing is due to it, or an attempt fails.

        The first attempt is made alone: it tells whether there is anybody.
        """
        went_well = await self._once(webhook_id)
        if went_well:
            await asyncio.gather(*(self._lane(webhook_id) for _ in range(AT_ONCE)))
        self._busy.discard(webhook_id)
        if went_well:
            self._wake.set()

    async def _lane(self, webhook_id: str) -> None:
        while await self._once(webhook_id):
            pass

    async def _once(self, webhook_id: str) -> bool:
        """Make one attempt at what is due; whether there was something, and it was taken."""
        delivery_id = ""
        try:
            claimed = await self._store.claim(webhook_id, _real_now())
            if claimed is None:
                return False
            delivery_id = claimed[1].delivery_id
            self._under_way.add(delivery_id)
            return await self.deliver(*claimed)
        except (PyMongoError, StaleWrite) as error:
            log.warning("delivery not recorded", webhook_id=webhook_id, error=repr(error))
            self._unsure.add(webhook_id)
        except Exception:
            # One endpoint's trouble must not keep the others waiting; the claim's end brings it back.
            log.exception("delivering failed", webhook_id=webhook_id)
        finally:
            self._under_way.discard(delivery_id)
        return False

    async def _look_after_the_unsure(self) -> None:
        for webhook_id in list(self._unsure):
            await self._store.take_up_again(webhook_id, self._under_way)
            self._unsure.discard(webhook_id)

    async def deliver(self, webhook: Webhook, delivery: Delivery) -> bool:
        """Make one attempt and record it; whether it was taken.

        Raises:
            PyMongoError, StaleWrite: it was not recorded.
        """
        made, outcome = await self._attempt(webhook, delivery)
        now = _real_now()
        ATTEMPTS.labels("delivered" if outcome.delivered else "failed").inc()
        await self._store.end(delivery, outcome, made, now, random.random())  # noqa: S311 - jitter, no secret
        if outcome.delivered:
            await self._store.fared_well(webhook.webhook_id)
            return True
        log.warning(
            "webhook not delivered", webhook_id=webhook.webhook_id, delivery_id=delivery.delivery_id,
            status=made.status, error=made.error,
        )  # fmt: skip
        after = await self._store.fared_badly(
            webhook.webhook_id, lambda found: _judged(found, outcome, now, self._clock.now())
        )
        if after is not None and not after.enabled:
            log.error("webhook switched off", webhook_id=webhook.webhook_id, because=after.off_because)
        return False

    async def _attempt(self, webhook: Webhook, delivery: Delivery) -> tuple[Try, Outcome]:
        at, timestamp = self._clock.now(), str(int(time.time()))
        body = delivery.body.encode()
        signed = signature.headers(webhook.secrets(at), delivery.event_id, timestamp, body)
        headers = {
            **signed,
            "content-type": "application/cloudevents+json; charset=utf-8",
            "user-agent": "Onbelay-Webhooks/1",
        }
        started = time.perf_counter()
        answered: Answered | None = None
        error: str | None = None
        try:
            answered = await self._outbound.post(webhook.url, headers, body)
        except NotReached as failure:
            error = failure.reason
        made = Try(
            at=at,
            url=webhook.url,
            timestamp=timestamp,
            signature=signed["webhook-signature"],
            ms=round((time.perf_counter() - started) * 1000),
            status=None if answered is None else answered.status,
            answer=None if answered is None else answered.body[:ANSWER_KEPT_BYTES].decode("utf-8", "replace"),
            error=error,
        )
        if answered is None:
            return made, Outcome(delivered=False)
        return made, Outcome(
            delivered=200 <= answered.status < 300,
            status=answered.status,
            retry_after=retry_after(answered.headers.get("retry-after"), _real_now()),
        )


def _judged(webhook: Webhook, outcome: Outcome, now: datetime, domain_now: datetime) -> Webhook:
    health = health_after(webhook.health, outcome, now)
    because = off_because(health, outcome, now) if webhook.enabled else None
    change = msgspec.structs.replace
    if because is None:
        return change(webhook, health=health)
    return change(
        webhook,
        health=health,
        enabled=False,
        off_because=because,
        off_at=domain_now,
        version=webhook.version + 1,
    )


def _real_now() -> datetime:
    return datetime.now(UTC)
