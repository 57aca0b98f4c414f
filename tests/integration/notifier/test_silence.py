"""What is not said, and why: each reason of the contract, found in the ledger by who asks about a Monday morning."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from shared.time import format_instant
from tests.integration.goals.world import Pair
from tests.integration.notifier.world import DAY, FRIDAY, MONDAY, Office, at, said_at, text_of
from tests.support.system import System

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]
DUE_SOON = {
    "closed", "met", "superseded", "paused", "ended", "erased", "absent", "snoozed", "no_channel", "budget",
}  # fmt: skip
"""Reasons that are told by a goal that would be said to be due soon, one mentee each."""


@pytest.fixture
async def office(system: System) -> Office:
    return Office(system)


class TestEachReason:
    async def test_is_told_of_what_would_have_been_said_on_monday_morning(self, office: Office) -> None:
        friday = await office.next_(FRIDAY, "10:00")
        monday = (friday + 3 * DAY).date()
        wednesday = {"date": (monday + 2 * DAY).isoformat(), "time_zone": "UTC"}
        await office.provide("mor", "told", *(DUE_SOON - {"budget"}))
        await office.provide("budget", daily_budget=0)
        pairs: dict[str, Pair] = {}
        goals: dict[str, str] = {}
        for mentee in sorted(DUE_SOON | {"told"}):
            pairs[mentee] = await office.pair("mor", mentee)
            goals[mentee] = await pairs[mentee].sets(mentee, deadline=wednesday)

        # A miss on Friday night is taken back before anybody is awake to hear of it.
        active = pairs["told"]
        weekly = await active.sets("told", check_in_every_days=3, deadline=later(monday))
        night = {"date": friday.date().isoformat(), "time_zone": "UTC", "cutoff": "22:00"}
        retracted = await active.sets("told", deadline=night)
        await office.system.move(friday.replace(hour=23))
        await office.becomes(retracted, "missed")
        await active.checks_in(retracted, by="mor", at=friday.replace(hour=21))
        await office.becomes(retracted, "met")
        # A check-in on Saturday answers what is expected on Monday, and is acknowledged before that is asked for.
        await office.system.move(friday + DAY)
        answered = await active.checks_in(weekly, by="told", progress={"value": 1})
        await active.acknowledges(answered, by="mor")

        assert (await pairs["closed"].says(goals["closed"], "dropped", by="closed")).status_code == 200
        await pairs["met"].checks_in(goals["met"], by="met")
        revised = await pairs["superseded"].revises(
            goals["superseded"], by="superseded", title="Read seven books"
        )
        assert revised.status_code == 200, revised.text
        await pairs["paused"].turns("pause")
        await pairs["ended"].turns("end")
        erase = office.hr("onbelay:erase", "goals")
        assert (await erase.post("/v1/people/erased/erasure")).status_code == 202
        away = {"from": monday.isoformat(), "to": monday.isoformat()}
        assert (
            await office.as_("absent").post("/v1/recipients/absent/absences", json=away)
        ).status_code == 201
        until = {"until": format_instant(friday.replace(hour=12) + 3 * DAY), "goal_id": goals["snoozed"]}
        assert (
            await office.as_("snoozed").post("/v1/recipients/snoozed/snooze", json=until)
        ).status_code == 200
        assert (await office.hr().delete("/v1/recipients/no_channel")).status_code == 204

        await office.system.folded()
        await office.system.move(friday.replace(hour=9) + 3 * DAY)
        said = await office.outcomes("goal_due_soon", [*DUE_SOON, "told"])
        assert said == {**{reason: reason for reason in DUE_SOON}, "told": "sent"}
        assert (await office.entry("told", "check_in_due", goal_id=weekly))["reason"] == "checked_in"
        assert (await office.entry("told", "goal_missed", goal_id=retracted))["reason"] == "withdrawn"
        await office.system.move(friday.replace(hour=10, minute=1) + 3 * DAY)
        assert (await office.entry("mor", "acknowledge_check_in", period=answered))[
            "reason"
        ] == "acknowledged"

        # "Why did she not get a message on Monday?"
        asked = {"recipient_id": "absent", "from": f"{monday}T00:00:00Z", "to": f"{monday + DAY}T00:00:00Z"}
        entry = next(made for made in await office.ledger(**asked) if made["kind"] == "goal_due_soon")
        assert entry["rule"] == "09:00, 2 workdays before the deadline's date"
        assert entry["because"]["event"] == "GoalSet"
        assert entry["because"]["from"] == entry["because"]["to"] == monday.isoformat()
        assert await office.ledger(**{**asked, "to": f"{monday}T00:00:00Z"}) == []
        # And the same in an event, without a word of hers.
        events = [event["data"] for event in await office.system.events("nudges", office.org)]
        told = next(data for data in events if data["nudge_id"] == entry["nudge_id"])
        assert (told["recipient_id"], told["kind"], told["reason"]) == ("absent", "goal_due_soon", "absent")
        assert not {"because", "rule", "title"} & told.keys()

        # Nobody but the one who was told got a message about the goal as it was.
        words = "Due soon: Read seven papers"
        for person in (*DUE_SOON, "told"):
            got = [mail for mail in office.mails(person) if words in mail["Subject"] + text_of(mail)]
            assert len(got) == (person == "told"), person


class TestAnOutageOfThreeWeeks:
    async def test_ends_in_one_message_of_what_is_still_worth_saying(self, office: Office) -> None:
        monday = await office.next_(MONDAY, "10:00")
        await office.provide("mor", "mia")
        pair = await office.pair("mor", "mia")
        for week in range(1, 4):
            await pair.sets("mia", deadline=later(monday.date(), 7 * week - 3), check_in_every_days=2)
        lasting = await pair.sets("mia", deadline=later(monday.date(), 24), check_in_every_days=90)
        await office.system.folded()
        # Nothing at all happens for three weeks; it is a Tuesday noon when the lights go on.
        await office.system.move(monday.replace(hour=12) + 22 * DAY)
        soon = await office.entry("mia", "goal_due_soon", goal_id=lasting)
        assert soon["outcome"] == "sent"
        await office.outcomes("goal_missed", ["mia"])
        stale = {
            made["kind"] for made in await office.ledger(recipient_id="mia") if made.get("reason") == "stale"
        }
        assert stale >= {"goal_due_soon", "check_in_due", "agree_expectations"}
        # One message of what was due, one of the misses that were found when all was up again; perhaps one more where
        # these did not come all at once. It is never one a reminder.
        said = [made for made in await office.ledger(recipient_id="mia") if made["outcome"] == "sent"]
        assert len(said) > len({made["message_id"] for made in said})
        assert len({made["message_id"] for made in said}) <= 3
        assert len(office.mails("mia")) <= 3


class TestTheDailyBudget:
    async def test_lets_the_rest_wait_for_tomorrow_and_for_one_message(self, office: Office) -> None:
        monday = await office.next_(MONDAY, "10:00")
        await office.provide("mor", daily_budget=1)
        pair = await office.pair("mor", "mia")
        for number in range(3):
            goal_id = await pair.sets("mia", title=f"Goal {number}")
            await office.system.folded()
            await pair.checks_in(goal_id, by="mia")
            if number == 0:
                first = await office.entry("mor", "goal_met", goal_id=goal_id)
                assert first["outcome"] == "sent"
        await office.system.folded()
        await office.system.move(monday.replace(hour=20))
        assert len(office.mails("mor")) == 1
        await office.system.move((monday + DAY).replace(hour=8))
        await office.mail("mor", "Goal 2")
        both = office.mails("mor")
        assert len(both) == 2
        assert "Goal 1" in text_of(both[1])
        assert both[1]["Subject"].endswith("(and 1 more)")

    async def test_is_for_one_daily_message_at_nine_if_that_was_chosen(self, office: Office) -> None:
        monday = await office.next_(MONDAY, "10:00")
        await office.provide("mor", delivery="daily", time_zone="Europe/Berlin")
        pair = await office.pair("mor", "mia")
        met = [await pair.sets("mia", title=f"Goal {number}") for number in range(2)]
        await office.system.folded()
        for goal_id in met:
            await pair.checks_in(goal_id, by="mia")
        await office.system.folded()
        await office.system.move((monday + DAY).replace(hour=6))
        assert office.mails("mor") == []
        nine = at((monday + DAY).date(), "09:00", "Europe/Berlin")
        await office.system.move(nine)
        for goal_id in met:
            entry = await office.entry("mor", "goal_met", goal_id=goal_id)
            assert nine <= said_at(entry) < nine + timedelta(seconds=20)
        assert len(office.mails("mor")) == 1


def later(day: date, days: int = 60) -> dict[str, str]:
    """A deadline at the end of a day that is so many days after."""
    return {"date": (day + DAY * days).isoformat(), "time_zone": "UTC"}
