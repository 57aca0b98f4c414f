"""What stands in a person's calendar, and how it is written."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest
from icalendar import Calendar

from services.notifier.calendar.entries import Entry, entries
from services.notifier.calendar.feed import Words, feed
from services.notifier.domain import goal as goals
from services.notifier.domain import mentorship as mentorships
from services.notifier.domain.goal import Goal
from shared import events as contract
from tests.builders import NOW, Pair

BERLIN = "Europe/Berlin"
WORDS = Words("Mentoring", "Due: {title}", "Check in: {title}")
DAY = timedelta(days=1)
PAIR = Pair()
SET = PAIR.goal_set("goal-1")


def told(*events: contract.Event, since: datetime = NOW) -> Goal:
    """A goal after it was set and after these events, an hour from one to the next."""
    known = Goal(
        goal_id="goal-1",
        org_id=PAIR.org_id,
        program_id=PAIR.program_id,
        mentorship_id=PAIR.mentorship_id,
    )
    for hours, event in enumerate([SET, *events]):
        known = goals.evolve(known, event, since + timedelta(hours=hours))
    return known


def of_owner(**fields: object) -> dict[str, object]:
    return {
        **PAIR.common,
        "goal_id": "goal-1",
        "owner_id": PAIR.mentee_id,
        "owner_role": "mentee",
        "revision": 1,
        **fields,
    }


MET = contract.GoalMet(**of_owner(met_at=NOW, due_at=SET.due_at, days_early=1.0))  # type: ignore[arg-type]
DROPPED = contract.GoalDropped(**of_owner(dropped_at=NOW))  # type: ignore[arg-type]
MISSED = contract.GoalMissed(**of_owner(due_at=SET.due_at, missed_at=NOW, fraction=0.0))  # type: ignore[arg-type]


def revised(deadline: str, due_at: datetime) -> contract.GoalRevised:
    fields = {
        **msgspec.structs.asdict(SET),
        "deadline": contract.Deadline(date=deadline, time_zone="America/New_York", cutoff="24:00"),
        "due_at": due_at,
        "revision": 2,
        "changed": ["deadline"],
        "eased": True,
        "revised_by": PAIR.mentee_id,
        "agreed_by": [],
    }
    return contract.GoalRevised(**fields)


def by_kind(known: Goal, paused: bool = False) -> dict[str, Entry]:
    around = mentorships.begin(PAIR.started())
    if paused:
        around = mentorships.evolve(around, contract.MentorshipPaused(**PAIR.common, at=NOW))
    return {entry.kind: entry for entry in entries([known], {PAIR.mentorship_id: around})}


def written(known: Goal) -> dict[str, Any]:
    calendar = Calendar.from_ical(feed(list(by_kind(known).values()), WORDS, BERLIN))
    return {str(event["uid"]): event for event in calendar.walk("VEVENT")}


class TestADeadline:
    def test_stands_in_the_zone_that_was_agreed_on_and_ends_when_the_goal_is_due(self) -> None:
        event = written(told())["deadline-goal-1@onbelay"]
        assert event["dtend"].params["tzid"] == "Europe/Berlin"
        assert event.decoded("dtend") == SET.due_at
        assert event.decoded("dtend").strftime("%H:%M") == "17:00"
        assert str(event["summary"]) == "Due: Read seven papers"
        assert event["status"] == "CONFIRMED"

    def test_at_the_end_of_a_day_stands_on_that_day(self) -> None:
        known = told(revised("2027-01-15", datetime(2027, 1, 16, 5, tzinfo=UTC)))
        event = written(known)["deadline-goal-1@onbelay"]
        assert event["dtstart"].params["tzid"] == "America/New_York"
        assert event.decoded("dtstart").date() == date(2027, 1, 15)

    def test_that_is_revised_is_the_same_entry_with_a_greater_sequence(self) -> None:
        before = by_kind(told())["deadline"]
        after = by_kind(told(revised("2027-01-15", datetime(2027, 1, 16, 5, tzinfo=UTC))))["deadline"]
        assert after.uid == before.uid
        assert after.sequence > before.sequence
        assert after.changed_at > before.changed_at

    def test_is_cancelled_when_the_goal_is_closed_however_it_was(self) -> None:
        for event in (MET, MISSED, DROPPED):
            assert by_kind(told(event))["deadline"].cancelled
            assert written(told(event))["deadline-goal-1@onbelay"]["status"] == "CANCELLED"
        assert by_kind(told(MET))["deadline"].sequence > by_kind(told())["deadline"].sequence

    def test_stands_again_when_the_miss_is_taken_back_or_the_goal_revived(self) -> None:
        fields = of_owner(due_at=SET.due_at, missed_at=NOW, retracted_at=NOW, because="late_evidence")
        retracted = contract.GoalMissRetracted(**fields)  # type: ignore[arg-type]
        revival = revised("2027-01-15", datetime(2027, 1, 16, 5, tzinfo=UTC))
        missed = by_kind(told(MISSED))["deadline"]
        for event in (retracted, revival):
            again = by_kind(told(MISSED, event))["deadline"]
            assert not again.cancelled
            assert again.sequence > missed.sequence


class TestACheckIn:
    def test_stands_on_the_date_by_which_it_is_expected(self) -> None:
        event = written(told())["check-in-goal-1@onbelay"]
        assert event.decoded("dtstart") == date(2026, 11, 9)
        assert str(event["summary"]) == "Check in: Read seven papers"

    def test_that_came_moves_to_the_next_date(self) -> None:
        logged = PAIR.logged(goal_id="goal-1", occurred_at=NOW + DAY, logged_at=NOW + DAY)
        before, after = by_kind(told())["check_in"], by_kind(told(logged))["check_in"]
        assert (after.uid, after.on) == (before.uid, date(2026, 11, 10))
        assert after.sequence > before.sequence

    def test_is_moved_by_a_request_for_help_without_a_word_of_when_that_came(self) -> None:
        asked = contract.HelpRequested(
            **PAIR.common, checkin_id="c", goal_id="goal-1", author_id=PAIR.mentor_id, route_to="c", sensitive=True
        )  # fmt: skip
        since = NOW - DAY
        before, after = by_kind(told(since=since)), by_kind(told(*[asked] * 24, since=since))
        assert (before["check_in"].on, after["check_in"].on) == (date(2026, 11, 8), date(2026, 11, 9))
        for kind in ("check_in", "deadline"):
            assert after[kind].changed_at == before[kind].changed_at == since
        assert after["check_in"].sequence == before["check_in"].sequence + 1, "one for each, moved or not"

    def test_is_cancelled_when_none_is_expected_any_more(self) -> None:
        late = datetime(2026, 12, 15, 9, tzinfo=UTC)
        last = PAIR.logged(goal_id="goal-1", occurred_at=late, logged_at=late)
        assert by_kind(told(last))["check_in"].cancelled
        assert by_kind(told(DROPPED))["check_in"].cancelled
        assert by_kind(told(), paused=True)["check_in"].cancelled


class TestTheFeed:
    def test_explains_its_zones_and_is_the_same_for_the_same_goals(self) -> None:
        content = feed(list(by_kind(told()).values()), WORDS, "Asia/Tokyo")
        calendar = Calendar.from_ical(content)
        assert {str(zone["tzid"]) for zone in calendar.walk("VTIMEZONE")} == {"Europe/Berlin"}
        assert calendar.calendar_name == "Mentoring"
        assert content == feed(list(by_kind(told()).values()), WORDS, "Asia/Tokyo")

    def test_says_titles_as_they_are(self) -> None:
        title = 'Read; "seven", {papers}\\n ☕'
        known = msgspec.structs.replace(told(), title=title)
        assert str(written(known)["deadline-goal-1@onbelay"]["summary"]) == f"Due: {title}"

    @pytest.mark.parametrize("title", ["a\x00b", "a\x07b", "a\x1bb", "a\x7fb", "a\x0cb"])
    def test_has_no_control_characters_of_titles(self, title: str) -> None:
        known = msgspec.structs.replace(told(), title=title)
        content = feed(list(by_kind(known).values()), WORDS, BERLIN)
        assert b"SUMMARY:Due: a b\r\n" in content
        assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", content)

    @pytest.mark.parametrize("zone", [BERLIN, "UTC", "Asia/Kolkata"])
    def test_of_nobody_with_goals_has_no_more_than_their_zone(self, zone: str) -> None:
        calendar = Calendar.from_ical(feed([], WORDS, zone))
        assert calendar.walk("VEVENT") == []
        (only,) = calendar.subcomponents
        assert (only.name, str(only["tzid"])) == ("VTIMEZONE", zone)
        assert only.walk("STANDARD")
        assert feed([], WORDS, zone) == feed([], WORDS, zone)

    def test_says_how_often_it_is_read_as_a_duration(self) -> None:
        lines = feed([], WORDS, BERLIN).split(b"\r\n")
        assert b"X-PUBLISHED-TTL:PT1H" in lines
        assert b"REFRESH-INTERVAL;VALUE=DURATION:PT1H" in lines

    def test_leaves_out_what_is_only_proposed(self) -> None:
        assert entries([msgspec.structs.replace(told(), revision=0)], {}) == []
