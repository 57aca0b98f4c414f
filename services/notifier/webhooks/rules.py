"""What is delivered to whom, when it is tried again, and when an endpoint is left alone. No clock, no I/O.

All instants here are of the real clock but those that users see: `created_at`, `off_at`, `at`, `until`.

Source: Standard Webhooks 1.0, "Operational considerations".
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Literal

import msgspec
from msgspec import Struct

from shared.events import TYPES, type_name

EVENT_TYPES = frozenset(type_name(name) for name in TYPES) - {
    type_name("HelpRequested"),
    type_name("CheckInsWatermark"),
}
"""What an endpoint can ask for: a request for help is its recipient's alone, and a watermark is no news."""
TEST_TYPE = "onbelay.WebhookTest.v1"

AGAIN_AFTER = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
"""The waits between attempts that the standard recommends: three days and some hours in all."""
JITTER = 0.1
"""Each wait is longer by up to this share, so that what failed together does not come back together."""
TRIED_FOR = sum(AGAIN_AFTER, timedelta()) * (1 + JITTER)
MAX_WAIT = timedelta(hours=24)
"""The longest `Retry-After` that is followed."""

OFF_AFTER = timedelta(days=5)
"""An endpoint at which nothing but failure was seen for so long is switched off."""

CIRCUIT_AFTER = 10
"""So many failures in a row, and an endpoint is left alone for a while, then asked by one delivery at a time."""
CIRCUIT_FIRST = timedelta(seconds=30)
CIRCUIT_LONGEST = timedelta(minutes=10)
THROTTLE = timedelta(seconds=5)
THROTTLING = frozenset({429, 502, 504})
GONE = 410

OLD_SECRET_FOR = timedelta(hours=24)
OLD_SECRETS = 5
"""Each is one more signature in a header."""
ANSWER_KEPT_BYTES = 1024
TRIES_KEPT = 20


class Health(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an endpoint fared since its last success: `failures` in a row, since when, until when it is left alone."""

    failures: int = 0
    failing_since: datetime | None = None
    open_until: datetime | None = None

    @property
    def broken(self) -> bool:
        """Whether it is asked by one delivery at a time."""
        return self.failures >= CIRCUIT_AFTER

    def left_alone(self, now: datetime) -> bool:
        """Whether nothing is sent to it at present."""
        return self.open_until is not None and self.open_until > now


class OldSecret(Struct, frozen=True, kw_only=True):
    """A secret that was rotated away, and until when it signs, too."""

    secret: str
    until: datetime


class Webhook(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An endpoint. `version` is that of what users see of it; `off_because` tells who or what switched it off."""

    webhook_id: str
    org_id: str
    url: str
    event_types: tuple[str, ...]
    description: str | None = None
    enabled: bool = True
    off_because: Literal["failing", "gone", "asked"] | None = None
    off_at: datetime | None = None
    secret: str
    old_secrets: tuple[OldSecret, ...] = ()
    created_at: datetime
    created_by: str
    version: int = 1
    health: Health = Health()

    def secrets(self, now: datetime) -> tuple[str, ...]:
        """Those that sign at a domain instant: the present one, and for a day each that was before it."""
        return (self.secret, *(old.secret for old in self.old_secrets if old.until > now))


class Try(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One attempt: what was sent beside the body, and what came back: a status, or an `error` in a word."""

    at: datetime
    url: str
    timestamp: str
    signature: str
    ms: int
    status: int | None = None
    answer: str | None = None
    error: str | None = None


class Delivery(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event on its way to an endpoint. `body` is what is posted, the same each time.

    `attempts` counts since `queued_at`, when it was made or last asked for again. `next_at` is when it is due, or
    until when a worker has it; none once it has ended. `token` tells the claims on it apart.
    """

    delivery_id: str
    org_id: str
    webhook_id: str
    event_id: str
    event_type: str
    body: str
    created_at: datetime
    queued_at: datetime
    state: Literal["pending", "delivered", "failed"] = "pending"
    next_at: datetime | None = None
    attempts: int = 0
    token: int = 0
    tries: tuple[Try, ...] = ()


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of an attempt. `retry_after` is what the endpoint asked for."""

    delivered: bool
    status: int | None = None
    retry_after: timedelta | None = None


def rotated(webhook: Webhook, secret: str, now: datetime) -> Webhook:
    """The endpoint with a new secret."""
    old = OldSecret(secret=webhook.secret, until=now + OLD_SECRET_FOR)
    kept = [each for each in webhook.old_secrets if each.until > now]
    return msgspec.structs.replace(
        webhook, secret=secret, old_secrets=(old, *kept)[:OLD_SECRETS], version=webhook.version + 1
    )


def wants(webhook: Webhook, org_id: str, event_type: str) -> bool:
    """Whether an organization's events of that type go to the endpoint."""
    return webhook.enabled and webhook.org_id == org_id and event_type in webhook.event_types


def ended(delivery: Delivery, outcome: Outcome, now: datetime, jitter: float) -> Delivery:
    """The delivery after an attempt; `jitter` is random, from 0 to 1."""
    attempts = delivery.attempts + 1
    change = msgspec.structs.replace
    if outcome.delivered:
        return change(delivery, state="delivered", attempts=attempts, next_at=None)
    late = now - delivery.queued_at >= TRIED_FOR
    if outcome.status == GONE or attempts > len(AGAIN_AFTER) or late:
        return change(delivery, state="failed", attempts=attempts, next_at=None)
    wait = AGAIN_AFTER[attempts - 1] * (1 + JITTER * jitter)
    asked = min(outcome.retry_after or timedelta(), MAX_WAIT)
    return change(delivery, attempts=attempts, next_at=now + max(wait, asked))


def with_try(tries: Sequence[Try], made: Try) -> tuple[Try, ...]:
    """The last attempts."""
    return (*tries, made)[-TRIES_KEPT:]


def health_after(health: Health, outcome: Outcome, now: datetime) -> Health:
    """How the endpoint fares after an attempt.

    A circuit opens after failures in a row, for longer each time; 429, 502 and 504 ask for a little less haste.
    """
    if outcome.delivered:
        return Health()
    failures = health.failures + 1
    open_until = health.open_until
    pauses = []
    if failures >= CIRCUIT_AFTER:
        # The shift is bounded, since a number of failures is not.
        pauses.append(min(CIRCUIT_FIRST * 2 ** min(failures - CIRCUIT_AFTER, 10), CIRCUIT_LONGEST))
    if outcome.status in THROTTLING:
        pauses.append(max(THROTTLE, min(outcome.retry_after or THROTTLE, CIRCUIT_LONGEST)))
    if pauses:
        open_until = max(now + max(pauses), open_until or now)
    return Health(failures=failures, failing_since=health.failing_since or now, open_until=open_until)


def off_because(health: Health, outcome: Outcome, now: datetime) -> Literal["failing", "gone"] | None:
    """Why an endpoint is switched off after an attempt, or None; `health` is that after it."""
    if outcome.status == GONE:
        return "gone"
    since = health.failing_since
    return "failing" if since is not None and now - since >= OFF_AFTER else None


def retry_after(text: str | None, now: datetime) -> timedelta | None:
    """What a `Retry-After` asks for: seconds, or a date (RFC 9110, 10.2.3); None when it asks for neither."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9:
        return timedelta(seconds=int(text))
    try:
        asked = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(asked.astimezone(UTC) - now, timedelta()) if asked.tzinfo is not None else None
