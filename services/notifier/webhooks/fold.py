"""Events to deliveries: one for each endpoint of the organization that asked for the type.

Delivery and failures are the intake's (`shared.intake`): a delivery is queued exactly once per (endpoint, event), in
the transaction that moves the offset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from services.notifier.webhooks.rules import Delivery, wants
from services.notifier.webhooks.store import Store
from shared import events as contract
from shared.clock import Clock
from shared.ids import uuid7
from shared.intake import Batch, Folded, Received
from shared.mongo import Session

UNTOLD_TOPICS = frozenset({"support"})
"""Nothing of these goes to endpoints."""


@dataclass(frozen=True, slots=True)
class DeliveryFold:
    """Queues deliveries; `queued` tells the worker once they are committed."""

    store: Store
    clock: Clock
    queued: Callable[[], None]

    async def fold(self, batch: Batch, session: Session) -> Folded:
        """Fold a batch; writes only through `session`, and may run again from its start."""
        if batch.topic in UNTOLD_TOPICS or not batch.records:
            return Folded()
        webhooks = await self.store.listening({record.org_id for record in batch.records}, session)
        if not webhooks:
            return Folded()
        now, queued_at = self.clock.now(), datetime.now(UTC)
        made = []
        for record in batch.records:
            type_ = contract.type_name(record.type)
            wanting = [each for each in webhooks if wants(each, record.org_id, type_)]
            body = structured(record) if wanting else ""
            made += [
                Delivery(
                    delivery_id=uuid7(),
                    org_id=record.org_id,
                    webhook_id=webhook.webhook_id,
                    event_id=record.id,
                    event_type=type_,
                    body=body,
                    created_at=now,
                    queued_at=queued_at,
                    next_at=queued_at,
                )
                for webhook in wanting
            ]
        await self.store.queue(made, session)
        return Folded(after_commit=self.queued if made else None)


def structured(record: Received) -> str:
    """The CloudEvent in structured JSON, as it is posted and signed."""
    event = contract.cloudevent(
        type=record.type,
        id=record.id,
        subject=record.subject,
        time=record.time,
        key=record.key,
        sequence=record.sequence,
        org_id=record.org_id,
        traceparent=record.traceparent,
        data=contract.to_document(record.data),
    )
    return msgspec.json.encode(event).decode()
