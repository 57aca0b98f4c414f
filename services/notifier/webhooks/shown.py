"""Endpoints and deliveries as they are told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from services.notifier.webhooks.rules import Delivery, Try, Webhook
from shared.time import format_instant


def webhook(made: Webhook) -> dict[str, Any]:
    """An endpoint as it is told: never with a secret."""
    body: dict[str, Any] = {
        "webhook_id": made.webhook_id,
        "url": made.url,
        "event_types": list(made.event_types),
        "enabled": made.enabled,
        "created_at": format_instant(made.created_at),
        "created_by": made.created_by,
    }
    if made.description is not None:
        body["description"] = made.description
    if made.off_because is not None and made.off_at is not None:
        body["disabled"] = {"because": made.off_because, "at": format_instant(made.off_at)}
    return body


def delivery(made: Delivery, ahead: timedelta) -> dict[str, Any]:
    """A delivery as the log tells it: the last attempt's request and answer, and all attempts in short.

    `ahead` is how far domain time is ahead of the real one, by which schedules go.
    """
    body: dict[str, Any] = {
        **in_short(made),
        "attempts": [_attempt(each) for each in made.tries],
        "request": {"body": json.loads(made.body)},
    }
    if made.next_at is not None:
        body["next_attempt_at"] = format_instant(made.next_at + ahead)
    if made.tries:
        last = made.tries[-1]
        body["request"] |= {
            "url": last.url,
            "headers": {
                "webhook-id": made.event_id,
                "webhook-timestamp": last.timestamp,
                "webhook-signature": last.signature,
            },
        }
        body |= _came_back(last)
    return body


def in_short(delivery: Delivery) -> dict[str, Any]:
    """A delivery without what was sent and came back."""
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
