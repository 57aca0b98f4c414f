"""One program, three weeks: every kind of the contract's table is said at its time, to whom, with its period.

The people are in four zones. The clock is moved to a second before each moment and runs through it, so that what
was said earlier, in another zone or on another day than it should, shows by its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest

from shared.time import format_instant, parse_instant
from tests.integration.notifier.world import (
    AT_ANY_HOUR,
    DAY,
    MONDAY,
    Office,
    at,
    html_of,
    link,
    said_at,
    text_of,
)
from tests.support.system import System

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]
BERLIN, NEW_YORK, TOKYO = "Europe/Berlin", "America/New_York", "Asia/Tokyo"
GRACE = timedelta(seconds=60)
AT_ONCE = timedelta(seconds=20)


@dataclass
class Saying:
    """What is said, and holds it against the ledger."""

    office: Office

    async def is_(self, kind: str, to: str, period: str, due: datetime) -> datetime:
        """Let the moment pass: the reminder is sent then, and not before. When what it tells of was recorded."""
        if await self.office.system.now() < due:
            await self.office.system.move(due - timedelta(seconds=1))
        entry = await self.office.entry(to, kind, period=period)
        assert entry["outcome"] == "sent", entry
        assert due <= said_at(entry) < due + AT_ONCE, f"{kind} to {to}: {entry['at']}, and not {due}"
        return parse_instant(entry["because"]["event_at"])

    async def now(self, kind: str, to: str, period: str) -> None:
        """It is said at once."""
        entry = await self.office.entry(to, kind, period=period)
        assert entry["outcome"] == "sent", entry
        assert said_at(entry) - await self.office.system.now() < AT_ONCE


async def test_says_every_kind_at_its_time(system: System) -> None:
    office = Office(system)
    says = Saying(office)
    monday = (await office.next_(MONDAY)).date()

    def day(number: int) -> date:
        return monday + DAY * number

    # mor has quiet hours as they are unless said otherwise; who can be written to at any hour hears at the moment.
    await office.provide("mor", time_zone=BERLIN, daily_budget=20, display_name="Mor")
    await office.provide("mia", time_zone=NEW_YORK, daily_budget=20, display_name="Mia", **AT_ANY_HOUR)
    await office.provide("lee", time_zone=TOKYO, daily_budget=20, **AT_ANY_HOUR)
    await office.provide("cora", daily_budget=20, **AT_ANY_HOUR)

    # Monday: it begins. Papers are due on Friday, with a check-in expected by Thursday; a talk next Wednesday.
    pair = await office.pair("mor", "mia", leader_id="lee", coordinator_id="cora", time_zone=BERLIN)
    began = await office.recorded("MentorshipStarted")
    papers = await pair.sets(
        "mia",
        title="Read seven papers",
        deadline={"date": day(4).isoformat(), "time_zone": BERLIN, "cutoff": "17:00"},
        check_in_every_days=3,
    )
    talk = await pair.sets(
        "lee",
        title="Open a door",
        measure={"kind": "done"},
        deadline={"date": day(9).isoformat(), "time_zone": TOKYO},
    )

    # Tuesday: doubts about the talk, a cry for help, and a goal that mor would like mia to have.
    await system.move(at(day(1), "10:00"))
    doubts = await pair.as_("lee", "checkins").post(
        "/v1/checkins", json={"mentorship_id": pair.mentorship_id, "goal_id": talk, "realistic": False}
    )
    await says.now("renegotiate", "lee", "1")
    help_ = await pair.as_("mia", "checkins").post(
        "/v1/checkins", json={"mentorship_id": pair.mentorship_id, "help": {"text": "I am stuck."}}
    )
    own = await office.mail("mor", "asks for your help")
    assert "I am stuck" not in text_of(own) + html_of(own), "private words in a mail"
    proposed = await pair.as_("mor").post(
        "/v1/goals", json=await pair.goal(owner_id="mia", title="Give a talk")
    )
    await says.now("proposal_waiting", "mia", proposed.json()["proposal_id"])

    # Wednesday.
    await says.is_("agree_expectations", "mor", "0", began + 2 * DAY)
    await says.is_("agree_expectations", "mia", "0", began + 2 * DAY)
    version = await pair.as_("mor").post(
        f"/v1/mentorships/{pair.mentorship_id}/expectations",
        json=await pair.expectations(review_on=day(14).isoformat(), escalate_to_coordinator=True),
    )
    assert version.status_code == 201, version.text
    proposed_at = await office.recorded("ExpectationsProposed")
    doubted_at = parse_instant(doubts.json()["logged_at"])
    await says.is_("acknowledge_check_in", "mia", doubts.json()["checkin_id"], doubted_at + DAY)
    await says.is_("goal_due_soon", "mia", "1", at(day(2), "09:00", NEW_YORK))
    # Thursday.
    await says.is_("check_in_due", "mia", day(3).isoformat(), at(day(3), "09:00", NEW_YORK))
    mail = await office.mail("mia", "A check-in is due: Read seven papers")
    form = await system.anonymous("checkins").get(link(mail, "/c/"))
    assert form.status_code == 200, "no one-tap form behind the mail's link"
    assert "Read seven papers" in form.text
    lapsed = day(3).isoformat()
    await says.is_("check_in_lapsed", "mia", lapsed, at(day(4), "00:00", BERLIN) + GRACE)
    # Friday.
    await says.is_("agree_expectations", "mia", "1", proposed_at + 2 * DAY)
    signed = await pair.as_("mia").post(f"/v1/mentorships/{pair.mentorship_id}/expectations/1/agreements")
    assert signed.status_code == 200, signed.text
    missed_at = await says.is_("goal_missed", "mia", "1", at(day(4), "17:00", BERLIN) + GRACE)
    # Monday: a talk is due soon for whom mornings begin in Tokyo.
    await says.is_("goal_due_soon", "lee", "1", at(day(7), "09:00", TOKYO))
    # Tuesday: two workdays after the lapse, at 00:01, is in mor's quiet hours.
    await says.is_("check_in_lapsed", "mor", lapsed, at(day(8), "08:00", BERLIN))
    await says.is_("goal_missed", "mor", "1", missed_at + 4 * DAY)
    # Wednesday night in Tokyo the talk is missed; lee disputes it.
    await says.is_("goal_missed", "lee", "1", at(day(10), "00:00", TOKYO) + GRACE)
    disputed = await pair.does(
        talk, "dispute", "lee", occurred_at=format_instant(at(day(9), "12:00", TOKYO)), reason="It was open."
    )
    assert disputed.status_code == 202, disputed.text
    await says.now("dispute_waiting", "mia", "1")
    # Thursday: the coordinator hears what the pair agreed to tell; the mentor's belated word takes it back.
    await says.is_("goal_missed", "cora", "1", missed_at + 6 * DAY)
    await system.move(at(day(11), "10:00", BERLIN))
    await pair.checks_in(papers, by="mor", at=at(day(4), "16:00", BERLIN))
    for person in ("mia", "mor", "cora"):
        await says.now("miss_withdrawn", person, "1")
    await says.now("goal_met", "mor", "1")
    # Monday, two weeks after it began.
    await says.is_("review_expectations", "mor", "1", at(day(14), "09:00", BERLIN))
    await says.is_("review_expectations", "mia", "1", at(day(14), "09:00", NEW_YORK))

    # Who would have been told of the miss in dispute was not; and why is written.
    await system.move(at(day(16), "10:00"))
    for person in ("mia", "cora"):
        entry = await office.entry(person, "goal_missed", goal_id=talk)
        assert (entry["outcome"], entry["reason"]) == ("suppressed", "withdrawn")

    # What the ledger says was sent lies in the mailbox, each message once, and nothing else does.
    ledger = await office.ledger()
    assert {made["kind"] for made in ledger if made["outcome"] == "sent"} >= KINDS - {"help_requested"}
    for person in ("mor", "mia", "lee", "cora"):
        told = {
            made["message_id"]
            for made in await office.entries(office.as_(person))
            if made["outcome"] == "sent"
        }
        got = [mail["Message-ID"] for mail in office.mails(person)]
        assert sorted(got) == sorted(told)

    # A request for help is its recipient's alone: in no event, and in nobody else's list.
    assert [made["kind"] for made in ledger if made["kind"] == "help_requested"] == []
    own_entries = await office.entries(office.as_("mor"))
    assert [made["period"] for made in own_entries if made["kind"] == "help_requested"] == [
        help_.json()["checkin_id"]
    ]
    told_of = {event["data"]["kind"] for event in await system.events("nudges", office.org)}
    assert told_of == KINDS - {"help_requested"}


KINDS = {
    "agree_expectations", "review_expectations", "check_in_due", "check_in_lapsed", "goal_due_soon", "goal_missed",
    "goal_met", "miss_withdrawn", "acknowledge_check_in", "proposal_waiting", "dispute_waiting", "renegotiate",
    "help_requested",
}  # fmt: skip


async def test_tells_of_a_miss_who_coordinates_by_then(system: System) -> None:
    office = Office(system)
    says = Saying(office)
    await office.next_(MONDAY)
    await office.provide("old", "new", **AT_ANY_HOUR)
    pair = await office.pair("mor", "mia", coordinator_id="old")
    expectations = f"/v1/mentorships/{pair.mentorship_id}/expectations"
    body = await pair.expectations(escalate_to_coordinator=True)
    version = (await pair.as_("mor").post(expectations, json=body)).json()["version"]
    await pair.as_("mia").post(f"{expectations}/{version}/agreements")
    goal_id = await pair.sets("mia")
    assert (await pair.says(goal_id, "missed", by="mia")).status_code == 200
    missed_at = await office.recorded("GoalMissed")
    await system.folded()

    path = f"/v1/mentorships/{pair.mentorship_id}"
    hr = office.hr(service="goals")
    seen = {"If-Match": (await hr.get(path)).headers["etag"]}
    assert (await hr.patch(path, json={"coordinator_id": "new"}, headers=seen)).status_code == 200
    await system.folded()
    await says.is_("goal_missed", "new", "1", missed_at + 4 * DAY)
    assert (await office.entry("old", "goal_missed"))["reason"] == "superseded"
