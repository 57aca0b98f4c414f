"""When a delivery is tried again, and when an endpoint is left alone or switched off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.notifier.webhooks.rules import (
    AGAIN_AFTER,
    CIRCUIT_AFTER,
    CIRCUIT_LONGEST,
    EVENT_TYPES,
    OFF_AFTER,
    Delivery,
    Health,
    Outcome,
    Webhook,
    ended,
    health_after,
    off_because,
    retry_after,
    rotated,
    wants,
)
from shared import events as contract

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
TAKEN = Outcome(delivered=True, status=200)
REFUSED = Outcome(delivered=False, status=500)
UNREACHED = Outcome(delivered=False)
GONE = Outcome(delivered=False, status=410)


def delivery() -> Delivery:
    return Delivery(
        delivery_id="d",
        org_id="org",
        webhook_id="w",
        event_id="e",
        event_type="onbelay.GoalMet.v1",
        body="{}",
        created_at=NOW,
        queued_at=NOW,
        next_at=NOW,
    )


def webhook(**changes: object) -> Webhook:
    values: dict[str, object] = {
        "webhook_id": "w",
        "org_id": "org",
        "url": "https://example.com",
        "event_types": ("onbelay.GoalMet.v1",),
        "secret": "whsec_bmV3",
        "created_at": NOW,
        "created_by": "ops",
    }
    return Webhook(**{**values, **changes})  # type: ignore[arg-type]


class TestADelivery:
    def test_that_keeps_failing_is_tried_on_the_recommended_schedule_and_then_no_more(self) -> None:
        waits, now, tried = [], NOW, delivery()
        while tried.state == "pending":
            tried = ended(tried, UNREACHED, now, jitter=0)
            if tried.next_at is not None:
                waits.append(tried.next_at - now)
                now = tried.next_at
        hours = timedelta(hours=1)
        assert waits == [
            timedelta(seconds=5),
            timedelta(minutes=5),
            timedelta(minutes=30),
            *(n * hours for n in (2, 5, 10, 14, 20, 24)),
        ]
        assert (tried.state, tried.attempts) == ("failed", 10)
        assert now - NOW == timedelta(hours=75, minutes=35, seconds=5)

    def test_waits_a_little_longer_at_random(self) -> None:
        tried = [ended(delivery(), REFUSED, NOW, jitter).next_at for jitter in (0, 0.5, 1)]
        assert tried == [NOW + timedelta(seconds=s) for s in (5, 5.25, 5.5)]

    def test_waits_for_as_long_as_the_endpoint_asks_but_a_day_at_most(self) -> None:
        def asked(after: timedelta) -> datetime | None:
            return ended(delivery(), Outcome(delivered=False, status=503, retry_after=after), NOW, 0).next_at

        assert asked(timedelta(minutes=2)) == NOW + timedelta(minutes=2)
        assert asked(timedelta(seconds=1)) == NOW + timedelta(seconds=5)
        assert asked(timedelta(days=365)) == NOW + timedelta(hours=24)

    def test_that_was_held_up_for_longer_than_the_schedule_is_tried_once_more_at_most(self) -> None:
        late = ended(delivery(), UNREACHED, NOW + timedelta(days=4), 0)
        assert (late.state, late.next_at) == ("failed", None)

    def test_ends_when_it_is_taken_or_the_endpoint_is_gone(self) -> None:
        assert ended(delivery(), TAKEN, NOW, 0).state == "delivered"
        assert ended(delivery(), GONE, NOW, 0).state == "failed"


class TestAnEndpoint:
    def test_wants_the_types_it_asked_for_of_its_organization_while_it_is_on(self) -> None:
        assert wants(webhook(), "org", "onbelay.GoalMet.v1")
        assert not wants(webhook(), "org", "onbelay.GoalSet.v1")
        assert not wants(webhook(), "another", "onbelay.GoalMet.v1")
        assert not wants(webhook(enabled=False), "org", "onbelay.GoalMet.v1")

    def test_can_ask_for_all_types_but_help_and_watermarks(self) -> None:
        left_out = {contract.type_name(name) for name in contract.TYPES} - EVENT_TYPES
        assert left_out == {"onbelay.HelpRequested.v1", "onbelay.CheckInsWatermark.v1"}

    def test_is_switched_off_after_five_days_of_nothing_but_failure(self) -> None:
        first = health_after(Health(), REFUSED, NOW)
        assert off_because(first, REFUSED, NOW) is None
        later = health_after(first, UNREACHED, NOW + OFF_AFTER - timedelta(seconds=1))
        assert off_because(later, UNREACHED, NOW + OFF_AFTER - timedelta(seconds=1)) is None
        assert off_because(later, UNREACHED, NOW + OFF_AFTER) == "failing"

    def test_begins_anew_with_each_success(self) -> None:
        failing = health_after(Health(), REFUSED, NOW)
        well = health_after(failing, TAKEN, NOW + timedelta(days=4))
        again = health_after(well, REFUSED, NOW + timedelta(days=6))
        assert off_because(again, REFUSED, NOW + timedelta(days=6)) is None

    def test_that_says_gone_is_switched_off_at_once(self) -> None:
        assert off_because(health_after(Health(), GONE, NOW), GONE, NOW) == "gone"

    def test_that_fails_many_times_in_a_row_is_left_alone_for_longer_each_time(self) -> None:
        health = Health()
        for _ in range(CIRCUIT_AFTER - 1):
            health = health_after(health, UNREACHED, NOW)
        assert not health.left_alone(NOW)
        pauses = []
        for _ in range(40):
            health = health_after(health, UNREACHED, NOW)
            assert health.open_until is not None
            pauses.append(health.open_until - NOW)
        assert pauses[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
        assert pauses[-1] == CIRCUIT_LONGEST
        assert health.left_alone(NOW)
        assert not health.left_alone(NOW + CIRCUIT_LONGEST)
        assert not health_after(health, TAKEN, NOW).left_alone(NOW)

    def test_that_asks_for_less_haste_gets_it_at_once(self) -> None:
        for status in (429, 502, 504):
            throttled = health_after(Health(), Outcome(delivered=False, status=status), NOW)
            assert throttled.open_until == NOW + timedelta(seconds=5)
        asked = Outcome(delivered=False, status=429, retry_after=timedelta(minutes=1))
        assert health_after(Health(), asked, NOW).open_until == NOW + timedelta(minutes=1)
        assert health_after(Health(), REFUSED, NOW).open_until is None

    def test_signs_with_the_old_secret_too_until_its_day_is_over(self) -> None:
        once = rotated(webhook(secret="old"), "new", NOW)
        assert once.secrets(NOW) == ("new", "old")
        assert once.secrets(NOW + timedelta(hours=24) - timedelta(milliseconds=1)) == ("new", "old")
        assert once.secrets(NOW + timedelta(hours=24)) == ("new",)
        assert webhook(secret="old").secrets(NOW) == ("old",)

    def test_that_is_rotated_again_at_once_keeps_each_for_its_day(self) -> None:
        hour = timedelta(hours=1)
        twice = rotated(rotated(webhook(secret="a"), "b", NOW), "c", NOW + hour)
        assert twice.secrets(NOW + hour) == ("c", "b", "a")
        assert twice.secrets(NOW + 24 * hour) == ("c", "b")
        thrice = rotated(twice, "d", NOW + 26 * hour)
        assert [old.secret for old in thrice.old_secrets] == ["c"]


def test_the_schedule_spans_three_days() -> None:
    assert timedelta(days=3) <= sum(AGAIN_AFTER, timedelta()) < timedelta(days=4)


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("120", timedelta(minutes=2)),
        ("0", timedelta()),
        ("Mon, 02 Nov 2026 09:05:00 GMT", timedelta(minutes=5)),
        ("Mon, 02 Nov 2026 08:00:00 GMT", timedelta()),
        ("-5", None),
        ("9" * 40, None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_an_endpoint_says_when_to_come_back_in_seconds_or_by_a_date(
    text: str | None, asked: timedelta | None
) -> None:
    assert retry_after(text, NOW) == asked
