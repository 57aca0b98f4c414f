"""Claims on deliveries: one worker each, and a late one overwrites nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from services.notifier.webhooks.rules import Delivery, Health, Outcome, Try, Webhook, health_after
from services.notifier.webhooks.store import CLAIM_FOR, Store
from shared.aggregates import StaleWrite
from shared.http import Answer
from shared.ids import uuid7
from shared.mongo import Collection, Doc, Mongo
from tests.support.engines import Engines

pytestmark = pytest.mark.engines
NOW = datetime.now(UTC).replace(microsecond=0)
FAILED = Outcome(delivered=False, status=500)
TAKEN = Outcome(delivered=True, status=200)
MADE = Try(at=NOW, url="https://example.com", timestamp="1", signature="v1,", ms=1)


class NoOutbox:
    """Endpoints publish nothing."""

    def kick(self, collection: Collection, document: Doc) -> None:
        raise AssertionError("an endpoint has no events")


@pytest.fixture(params=["pymongo", "motor"])
async def mongo(engines: Engines, request: pytest.FixtureRequest) -> AsyncIterator[Mongo]:
    found = Mongo.connect(engines.mongo, request.param)
    yield found
    await found.close()


@pytest.fixture
async def stores(mongo: Mongo) -> AsyncIterator[tuple[Store, Store]]:
    """Two processes' view of one database."""
    name = f"t{uuid4().hex[:12]}"
    made = tuple(Store(mongo, mongo.database(name), NoOutbox(), holder=each) for each in ("a", "b"))
    await made[0].make_indexes()
    yield made[0], made[1]
    await mongo.drop_database(name)


async def begun(store: Store, **changes: object) -> tuple[Webhook, Delivery]:
    """An endpoint with one delivery that is due."""
    webhook = Webhook(
        webhook_id=uuid7(),
        org_id="org",
        url="https://example.com",
        event_types=("onbelay.GoalMet.v1",),
        secret="whsec_c2VjcmV0",
        created_at=NOW,
        created_by="ops",
    )
    await store.add(webhook, NOW, None, Answer(201))
    return webhook, await queued(store, webhook, **changes)


async def queued(store: Store, webhook: Webhook, **changes: object) -> Delivery:
    values: dict[str, object] = {
        "delivery_id": uuid7(),
        "org_id": "org",
        "webhook_id": webhook.webhook_id,
        "event_id": uuid7(),
        "event_type": "onbelay.GoalMet.v1",
        "body": "{}",
        "created_at": NOW,
        "queued_at": NOW,
        "next_at": NOW,
        **changes,
    }
    delivery = msgspec.convert(values, Delivery)
    await store.change("org", webhook.webhook_id, NOW, lambda same: same, delivery=delivery)
    return delivery


async def claimed(store: Store, webhook: Webhook, at: datetime = NOW) -> Delivery:
    found = await store.claim(webhook.webhook_id, at)
    assert found is not None
    return found[1]


class TestAClaim:
    async def test_is_one_workers_however_many_ask(self, stores: tuple[Store, Store]) -> None:
        first, second = stores
        webhook, _ = await begun(first)
        asked = [store.claim(webhook.webhook_id, NOW) for store in (first, second) * 5]
        found = await asyncio.gather(*asked)
        assert sum(each is not None for each in found) == 1
        assert await first.due(NOW, []) == []

    async def test_that_ran_out_is_the_next_ones_and_the_late_one_overwrites_nothing(
        self, stores: tuple[Store, Store]
    ) -> None:
        first, second = stores
        webhook, _ = await begun(first)
        late = await claimed(first, webhook)
        assert await second.claim(webhook.webhook_id, NOW + CLAIM_FOR - timedelta(seconds=1)) is None
        taken = await claimed(second, webhook, NOW + CLAIM_FOR)
        assert await second.end(taken, TAKEN, MADE, NOW, 0) is not None
        assert await first.end(late, FAILED, MADE, NOW, 0) is None
        stored = await first.delivery("org", webhook.webhook_id, taken.delivery_id)
        assert stored is not None
        assert (stored.state, stored.attempts, stored.next_at) == ("delivered", 1, None)

    async def test_is_void_when_the_delivery_is_asked_for_again(self, stores: tuple[Store, Store]) -> None:
        store, _ = stores
        webhook, _ = await begun(store)
        under_way = await claimed(store, webhook)
        anew = msgspec.structs.replace(under_way, attempts=0, next_at=NOW, token=under_way.token + 1)
        await store.change("org", webhook.webhook_id, NOW, lambda same: same, delivery=anew)
        assert await store.end(under_way, FAILED, MADE, NOW, 0) is None
        assert await claimed(store, webhook) is not None

    async def test_is_given_up_by_the_process_that_had_it_and_no_other(
        self, stores: tuple[Store, Store]
    ) -> None:
        first, second = stores
        webhook, _ = await begun(first)
        mine = await claimed(first, webhook, datetime.now(UTC))
        later = datetime.now(UTC) + timedelta(seconds=1)
        await second.take_up_again()
        assert await first.claim(webhook.webhook_id, later) is None
        await first.take_up_again(webhook.webhook_id, under_way=[mine.delivery_id])
        assert await first.claim(webhook.webhook_id, later) is None
        await first.take_up_again()
        assert (await claimed(second, webhook, later)).delivery_id == mine.delivery_id

    async def test_leaves_what_waits_for_its_next_attempt_alone(self, stores: tuple[Store, Store]) -> None:
        store, _ = stores
        webhook, _ = await begun(store)
        after = await store.end(await claimed(store, webhook), FAILED, MADE, NOW + timedelta(hours=1), 0)
        assert after is not None
        await store.take_up_again()
        assert await store.claim(webhook.webhook_id, NOW + timedelta(hours=1)) is None


class TestTheQueue:
    async def test_is_the_oldest_first(self, stores: tuple[Store, Store]) -> None:
        store, _ = stores
        webhook, newer = await begun(store)
        older = await queued(store, webhook, next_at=NOW - timedelta(minutes=1))
        assert (await claimed(store, webhook)).delivery_id == older.delivery_id
        assert (await claimed(store, webhook)).delivery_id == newer.delivery_id

    async def test_of_an_endpoint_that_is_off_or_left_alone_waits(self, stores: tuple[Store, Store]) -> None:
        store, _ = stores
        on, _ = await begun(store)
        off, _ = await begun(store)
        alone, _ = await begun(store)
        busy, _ = await begun(store)
        await store.change(
            "org", off.webhook_id, NOW, lambda known: msgspec.structs.replace(known, enabled=False)
        )
        health = Health(failures=10, failing_since=NOW, open_until=NOW + timedelta(minutes=1))
        await store.fared_badly(alone.webhook_id, lambda known: msgspec.structs.replace(known, health=health))
        assert await store.due(NOW, [busy.webhook_id]) == [on.webhook_id]
        assert await store.claim(off.webhook_id, NOW) is None
        assert await store.claim(alone.webhook_id, NOW) is None
        assert await store.claim(alone.webhook_id, NOW + timedelta(minutes=1)) is not None

    async def test_goes_with_its_endpoint(self, stores: tuple[Store, Store]) -> None:
        store, _ = stores
        webhook, delivery = await begun(store)
        assert await store.delete("org", webhook.webhook_id)
        assert await store.delivery("org", webhook.webhook_id, delivery.delivery_id) is None
        assert not await store.delete("org", webhook.webhook_id)


class TestHealth:
    async def test_counts_every_failure_of_two_processes_at_once(self, stores: tuple[Store, Store]) -> None:
        webhook, _ = await begun(stores[0])

        def worse(known: Webhook) -> Webhook:
            return msgspec.structs.replace(known, health=health_after(known.health, FAILED, NOW))

        async def fail(store: Store) -> None:
            while True:
                try:
                    await store.fared_badly(webhook.webhook_id, worse)
                    return
                except StaleWrite:
                    continue

        await asyncio.gather(*(fail(store) for store in stores * 4))
        found = await stores[0].webhook("org", webhook.webhook_id)
        assert found is not None
        assert found.health.failures == 8

    async def test_begins_anew_with_another_url(self, stores: tuple[Store, Store]) -> None:
        store, _ = stores
        webhook, _ = await begun(store)
        await store.fared_badly(
            webhook.webhook_id,
            lambda known: msgspec.structs.replace(known, health=health_after(known.health, FAILED, NOW)),
        )
        moved = await store.change(
            "org",
            webhook.webhook_id,
            NOW,
            lambda known: msgspec.structs.replace(known, url="https://example.org"),
        )
        found = await store.webhook("org", moved.webhook_id)
        assert found is not None
        assert found.health == Health()
