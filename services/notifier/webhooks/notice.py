"""The mail about an endpoint that was switched off, to who made it.

Delivery: at least once, under the same Message-ID; tried again until it is taken or refused for good. Idempotency key:
the endpoint's version. Who is no recipient, or is reached by nothing, is not told; the endpoint shows it all the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import structlog
from pymongo.errors import PyMongoError

from services.notifier.compose import Composer
from services.notifier.domain.person import Person
from services.notifier.senders import NotDelivered, Senders
from services.notifier.webhooks.rules import Webhook
from services.notifier.webhooks.store import Store
from shared.clock import Clock

log = structlog.get_logger(__name__)

POLL_S = 1.0
AGAIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Notices:
    """Tells creators.

    Args:
        store: knows whom nobody has told yet.
        person: finds a person by organization and id.
        composer: writes messages.
        senders: send them.
        clock: domain time.
        message_domain: that of the Message-IDs.
    """

    store: Store
    person: Callable[[str, str], Awaitable[Person | None]]
    composer: Composer
    senders: Senders
    clock: Clock
    message_domain: str

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            wait = POLL_S
            try:
                for webhook in await self.store.untold():
                    await self._tell(webhook)
            except NotDelivered as failure:
                log.warning("creator not told yet", reason=failure.reason)
                wait = AGAIN_S
            except PyMongoError as error:
                log.warning("endpoints not read", error=repr(error))
            await asyncio.sleep(wait)

    async def _tell(self, webhook: Webhook) -> None:
        person = await self.person(webhook.org_id, webhook.created_by)
        if person is not None and person.recipient is not None and person.recipient.reachable:
            recipient, now = person.recipient, self.clock.now()
            off_at: datetime = webhook.off_at or now
            facts = {
                "webhook_id": webhook.webhook_id,
                "description": webhook.description,
                "host": urlsplit(webhook.url).hostname,
                "because": webhook.off_because,
                "off_at": recipient.rhythm.wall(off_at),
            }
            message = self.composer.notice(person, recipient, "webhook_off", facts, now)
            message_id = f"<webhook-{webhook.webhook_id}-{webhook.version}@{self.message_domain}>"
            try:
                await self.senders.send(recipient, message, message_id, now)
            except NotDelivered as failure:
                if not failure.for_good:
                    raise
                log.warning("creator cannot be told", webhook_id=webhook.webhook_id, reason=failure.reason)
        await self.store.told(webhook)
