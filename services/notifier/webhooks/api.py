"""`/v1/webhooks`: where events are posted to, and how that went."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query

from services.notifier.webhooks.manage import Webhooks
from services.notifier.webhooks.shapes import WebhookIn, WebhookPatch
from shared.http import WEBHOOKS, Caller, Id, Idem, IfMatch, Page, Params, Reply, Router

SCOPES = (WEBHOOKS,)


class DeliveryFilters(Params):
    """How far they are."""

    state: Literal["pending", "delivered", "failed"] | None = None


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
        return await webhooks.deliveries(caller, webhook_id, filters.state, page)

    @router.post("/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", scopes=SCOPES)
    async def redeliver(webhook_id: Id, delivery_id: Id, caller: Caller, idem: Idem | None) -> Reply:
        """Deliver once more, with the same `webhook-id`."""
        return await webhooks.redeliver(caller, webhook_id, delivery_id, idem)

    return router
