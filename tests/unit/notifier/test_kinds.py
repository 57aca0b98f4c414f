"""The table of nudges: when each kind is said, and to whom. Times are on Berlin's clocks."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import pytest

from services.notifier.domain.ledger import shown_to_others
from shared import events as contract
from shared.ids import uuid7
from tests.unit.notifier.story import (
    BERLIN,
    COORDINATOR,
    LEADER,
    MENTEE,
    MENTOR,
    Story,
    all_of,
    berlin,
)

GOAL = uuid7()
MONDAY = berlin("2026-11-02 10:00")
DUE = berlin("2026-11-13 17:00")
"""A Friday."""


@pytest.fixture
def story() -> Story:
    """A pair that began on a Monday at 10, both of whom can be written to at any time of their workdays."""
    story = Story()
    all_of(
        story, (MENTOR, MENTEE, LEADER, COORDINATOR), quiet_from="00:00", quiet_to="00:00", daily_budget=20
    )
    story.begins(MONDAY, coordinator_id=COORDINATOR)
    return story


def goal(story: Story, **changes: Any) -> contract.GoalSet:
    """A goal of the mentee's, due on Friday of next week at 17:00, with weekly check-ins."""
    values: dict[str, Any] = {
        "deadline": contract.Deadline(date="2026-11-13", time_zone=BERLIN, cutoff="17:00"),
        "due_at": DUE,
    }
    return story.pair.goal_set(GOAL, **{**values, **changes})


def revised(before: contract.GoalSet, **changes: Any) -> contract.GoalRevised:
    fields = {name: getattr(before, name) for name in contract.GoalSet.__struct_fields__}
    values: dict[str, Any] = {
        "revision": before.revision + 1,
        "changed": sorted(changes),
        "eased": False,
        "revised_by": before.owner_id,
        "agreed_by": [before.owner_id],
    }
    return contract.GoalRevised(**{**fields, **values, **changes})


def of_owner(story: Story) -> dict[str, Any]:
    return {**story.pair.common, "goal_id": GOAL, "owner_id": MENTEE, "owner_role": "mentee", "revision": 1}


def missed(story: Story, at: datetime) -> contract.GoalMissed:
    return contract.GoalMissed(**of_owner(story), due_at=DUE, missed_at=at, fraction=0.0)


def met(story: Story, at: datetime) -> contract.GoalMet:
    return contract.GoalMet(**of_owner(story), met_at=at, due_at=DUE, days_early=0.0)


def retracted(story: Story, at: datetime) -> contract.GoalMissRetracted:
    return contract.GoalMissRetracted(
        **of_owner(story), due_at=DUE, missed_at=DUE, retracted_at=at, because="late_evidence"
    )


def checked_in(story: Story, at: datetime, **changes: Any) -> contract.CheckInLogged:
    return story.pair.logged(goal_id=GOAL, occurred_at=at, logged_at=at, **changes)


def lapsed(story: Story, period: str, at: datetime) -> contract.CheckInLapsed:
    of_goal = {name: value for name, value in of_owner(story).items() if name != "revision"}
    return contract.CheckInLapsed(**of_goal, expected_by=at, period=period)


class TestExpectations:
    def test_both_are_reminded_two_workdays_after_they_began_without_any(self, story: Story) -> None:
        story.passes(berlin("2026-11-06 00:00"))
        assert story.said("agree_expectations") == [
            (MENTEE, "sent", "2026-11-04 10:00"),
            (MENTOR, "sent", "2026-11-04 10:00"),
        ]

    def test_who_has_not_signed_is_reminded_of_that_version_alone(self, story: Story) -> None:
        story.happens(
            berlin("2026-11-03 16:00"),
            contract.ExpectationsProposed(
                **story.pair.common, version=1, proposed_by=MENTEE, waits_for=MENTOR, review_on="2026-12-01"
            ),
        )
        story.passes(berlin("2026-11-06 00:00"))
        assert story.said("agree_expectations") == [
            (MENTEE, "superseded", "2026-11-04 10:00"),
            (MENTOR, "superseded", "2026-11-04 10:00"),
            (MENTOR, "sent", "2026-11-05 16:00"),
        ]

    def test_nobody_is_reminded_of_what_was_signed(self, story: Story) -> None:
        self._agree(story)
        story.passes(berlin("2026-11-06 00:00"))
        assert {reason for _, reason, _ in story.said("agree_expectations")} == {"closed"}

    def test_both_review_them_on_the_day_they_set(self, story: Story) -> None:
        self._agree(story)
        story.passes(berlin("2026-12-02 00:00"))
        assert story.said("review_expectations") == [
            (MENTEE, "sent", "2026-12-01 09:00"),
            (MENTOR, "sent", "2026-12-01 09:00"),
        ]

    @staticmethod
    def _agree(story: Story) -> None:
        story.happens(
            berlin("2026-11-03 16:00"),
            contract.ExpectationsAgreed(
                **story.pair.common,
                version=1,
                agreed_by=[MENTOR, MENTEE],
                review_on="2026-12-01",
                escalate_to_coordinator=False,
            ),
        )


class TestCheckInDue:
    def test_is_said_on_the_morning_of_the_period_s_date(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.passes(berlin("2026-11-10 00:00"))
        assert story.said("check_in_due") == [(MENTEE, "sent", "2026-11-09 09:00")]

    def test_is_said_on_the_last_workday_before_a_weekend(self, story: Story) -> None:
        story.happens(MONDAY, goal(story, check_in_every_days=6))
        story.passes(berlin("2026-11-10 00:00"))
        assert story.said("check_in_due") == [(MENTEE, "sent", "2026-11-06 09:00")]

    def test_is_not_said_when_its_morning_was_over_before_it_was_expected(self, story: Story) -> None:
        friday = berlin("2026-11-06 15:00")
        story.happens(friday, goal(story, check_in_every_days=1))
        story.passes(berlin("2026-11-08 00:00"))
        assert story.said("check_in_due") == []

    def test_each_check_in_moves_it(self, story: Story) -> None:
        due = contract.Deadline(date="2026-12-18", time_zone=BERLIN)
        story.happens(MONDAY, goal(story, deadline=due, due_at=berlin("2026-12-19 00:00")))
        story.happens(berlin("2026-11-04 12:00"), checked_in(story, berlin("2026-11-04 12:00")))
        story.passes(berlin("2026-11-12 00:00"))
        assert story.said("check_in_due") == [
            (MENTEE, "checked_in", "2026-11-09 09:00"),
            (MENTEE, "sent", "2026-11-11 09:00"),
        ]

    def test_a_second_one_on_the_same_day_leaves_it_where_it_is(self, story: Story) -> None:
        story.happens(MONDAY, goal(story, check_in_every_days=5))
        for hour in ("11:00", "12:00"):
            at = berlin(f"2026-11-03 {hour}")
            story.happens(at, checked_in(story, at, author_id=MENTOR, author_role="mentor"))
        story.passes(berlin("2026-11-08 23:00"))
        # Saturday's was answered, Sunday's is due: both on Friday, the last workday.
        assert story.said("check_in_due") == [
            (MENTEE, "checked_in", "2026-11-06 09:00"),
            (MENTEE, "sent", "2026-11-06 09:00"),
        ]

    def test_a_request_for_help_counts_as_one(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        at = berlin("2026-11-04 12:00")
        story.happens(
            at,
            contract.HelpRequested(
                **story.pair.common,
                checkin_id=uuid7(),
                goal_id=GOAL,
                author_id=MENTEE,
                route_to=COORDINATOR,
                sensitive=True,
            ),
        )
        story.passes(berlin("2026-11-12 00:00"))
        assert story.said("check_in_due") == [
            (MENTEE, "checked_in", "2026-11-09 09:00"),
            (MENTEE, "sent", "2026-11-11 09:00"),
        ]

    def test_somebody_else_s_does_not_count(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        at = berlin("2026-11-04 12:00")
        story.happens(at, checked_in(story, at, author_id=LEADER, author_role="leader"))
        story.passes(berlin("2026-11-12 00:00"))
        assert story.said("check_in_due") == [(MENTEE, "sent", "2026-11-09 09:00")]

    def test_after_a_lapse_the_next_is_counted_from_its_date(self, story: Story) -> None:
        due = contract.Deadline(date="2026-12-18", time_zone=BERLIN)
        story.happens(MONDAY, goal(story, deadline=due, due_at=berlin("2026-12-19 00:00")))
        story.happens(berlin("2026-11-10 00:01"), lapsed(story, "2026-11-09", berlin("2026-11-10 00:00")))
        story.passes(berlin("2026-11-17 00:00"))
        assert story.said("check_in_due")[-1] == (MENTEE, "sent", "2026-11-16 09:00")

    def test_none_is_expected_after_the_deadline(self, story: Story) -> None:
        # The period's day ends at midnight, seven hours after the deadline.
        story.happens(MONDAY, goal(story, check_in_every_days=11))
        story.passes(berlin("2026-11-14 00:00"))
        assert story.said("check_in_due") == []

    def test_a_deadline_that_moves_away_makes_room_for_one(self, story: Story) -> None:
        set_ = goal(story, check_in_every_days=11)
        later = contract.Deadline(date="2026-12-18", time_zone=BERLIN)
        story.happens(MONDAY, set_)
        story.happens(
            berlin("2026-11-05 12:00"),
            revised(set_, deadline=later, due_at=berlin("2026-12-19 00:00"), changed=["deadline"]),
        )
        story.passes(berlin("2026-11-14 00:00"))
        assert story.said("check_in_due") == [(MENTEE, "sent", "2026-11-13 09:00")]

    @pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
    def test_is_of_use_until_its_day_ends_in_the_zone_that_the_deadline_has_by_then(
        self, story: Story, zone: str
    ) -> None:
        story.somebody(MENTEE, time_zone="America/Los_Angeles", quiet_from="00:00", quiet_to="00:00")
        set_ = goal(story, deadline=contract.Deadline(date="2026-12-18", time_zone="Asia/Tokyo"))
        set_ = msgspec.structs.replace(set_, due_at=berlin("2026-12-18 16:00"))
        story.happens(MONDAY, set_)
        there = contract.Deadline(date="2026-12-18", time_zone=zone)
        story.happens(
            berlin("2026-11-03 12:00"),
            revised(set_, deadline=there, due_at=berlin("2026-12-18 16:00"), changed=["deadline"]),
        )
        story.passes(berlin("2026-11-10 12:00"))
        # 09:00 in Los Angeles is after Tokyo's midnight, and before New York's.
        expected = "stale" if zone == "Asia/Tokyo" else "sent"
        assert story.said("check_in_due") == [(MENTEE, expected, "2026-11-09 18:00")]

    def test_is_counted_anew_when_the_mentorship_resumes(self, story: Story) -> None:
        due = contract.Deadline(date="2026-12-18", time_zone=BERLIN)
        story.happens(MONDAY, goal(story, deadline=due, due_at=berlin("2026-12-19 00:00")))
        paused, resumed = berlin("2026-11-04 09:00"), berlin("2026-11-11 09:00")
        story.happens(paused, contract.MentorshipPaused(**story.pair.common, at=paused))
        story.happens(resumed, contract.MentorshipResumed(**story.pair.common, at=resumed))
        story.passes(berlin("2026-11-19 00:00"))
        assert story.said("check_in_due") == [
            (MENTEE, "paused", "2026-11-09 09:00"),
            (MENTEE, "sent", "2026-11-18 09:00"),
        ]


class TestCheckInLapsed:
    LAPSE = berlin("2026-11-10 00:01")

    def test_the_owner_hears_at_once_and_the_counterpart_two_workdays_later(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(self.LAPSE, lapsed(story, "2026-11-09", berlin("2026-11-10 00:00")))
        story.passes(berlin("2026-11-13 00:00"))
        assert story.said("check_in_lapsed") == [
            (MENTEE, "sent", "2026-11-10 00:01"),
            (MENTOR, "sent", "2026-11-12 00:01"),
        ]

    def test_the_counterpart_does_not_if_one_came(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(self.LAPSE, lapsed(story, "2026-11-09", berlin("2026-11-10 00:00")))
        at = berlin("2026-11-10 08:00")
        story.happens(at, checked_in(story, at))
        story.passes(berlin("2026-11-13 00:00"))
        assert story.said("check_in_lapsed", MENTOR) == [(MENTOR, "checked_in", "2026-11-12 00:01")]


class TestGoalDueSoon:
    def test_is_said_two_workdays_before_the_deadline_s_date(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.passes(DUE)
        assert story.said("goal_due_soon") == [(MENTEE, "sent", "2026-11-11 09:00")]

    def test_is_not_said_for_a_deadline_nearer_than_that(self, story: Story) -> None:
        story.happens(berlin("2026-11-11 09:01"), goal(story))
        story.passes(DUE)
        assert story.said("goal_due_soon") == []

    def test_each_revision_has_its_own(self, story: Story) -> None:
        set_ = goal(story)
        story.happens(MONDAY, set_)
        later = contract.Deadline(date="2026-11-20", time_zone=BERLIN)
        story.happens(
            berlin("2026-11-04 12:00"),
            revised(set_, deadline=later, due_at=berlin("2026-11-21 00:00"), changed=["deadline"]),
        )
        story.passes(berlin("2026-11-19 00:00"))
        assert story.said("goal_due_soon") == [
            (MENTEE, "superseded", "2026-11-11 09:00"),
            (MENTEE, "sent", "2026-11-18 09:00"),
        ]

    def test_is_not_said_of_a_goal_that_was_met(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(berlin("2026-11-05 12:00"), met(story, berlin("2026-11-05 12:00")))
        story.passes(DUE)
        assert story.said("goal_due_soon") == [(MENTEE, "met", "2026-11-11 09:00")]


class TestGoalMissed:
    MISS = berlin("2026-11-13 17:01")

    def test_climbs_from_owner_to_counterpart(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(self.MISS, missed(story, self.MISS))
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed") == [
            (MENTEE, "sent", "2026-11-13 17:01"),
            (MENTOR, "sent", "2026-11-17 17:01"),
        ]

    def test_climbs_to_the_coordinator_only_where_the_expectations_say_so(self, story: Story) -> None:
        TestGoalMissed._escalates(story)
        story.happens(self.MISS, missed(story, self.MISS))
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed", COORDINATOR) == [(COORDINATOR, "sent", "2026-11-19 17:01")]

    def test_goes_to_who_coordinates_by_then(self, story: Story) -> None:
        story.somebody("coordinator-2")
        TestGoalMissed._escalates(story)
        story.happens(self.MISS, missed(story, self.MISS))
        self._coordinates(story, "coordinator-2", "2026-11-16 12:00")
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed", COORDINATOR) == [(COORDINATOR, "superseded", "2026-11-19 17:01")]
        assert story.said("goal_missed", "coordinator-2") == [("coordinator-2", "sent", "2026-11-19 17:01")]

    def test_goes_to_who_coordinates_again_by_then(self, story: Story) -> None:
        TestGoalMissed._escalates(story)
        story.happens(self.MISS, missed(story, self.MISS))
        self._coordinates(story, "coordinator-2", "2026-11-16 12:00")
        self._coordinates(story, COORDINATOR, "2026-11-17 12:00")
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed", COORDINATOR) == [(COORDINATOR, "sent", "2026-11-19 17:01")]
        assert [said for _, said, _ in story.said("goal_missed", "coordinator-2")] == ["superseded"]

    def test_goes_to_who_coordinates_by_then_where_nobody_did_at_the_miss(self, story: Story) -> None:
        self._coordinates(story, None, "2026-11-02 10:00")
        TestGoalMissed._escalates(story)
        story.happens(self.MISS, missed(story, self.MISS))
        self._coordinates(story, COORDINATOR, "2026-11-19 17:00")
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed", COORDINATOR) == [(COORDINATOR, "sent", "2026-11-19 17:01")]

    def test_goes_to_the_coordinator_where_the_expectations_say_so_by_then(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(self.MISS, missed(story, self.MISS))
        story.passes(berlin("2026-11-16 12:00"))
        TestGoalMissed._escalates(story, at=berlin("2026-11-16 12:00"))
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed", COORDINATOR) == [(COORDINATOR, "sent", "2026-11-19 17:01")]

    def test_is_not_said_to_who_coordinates_only_afterwards(self, story: Story) -> None:
        TestGoalMissed._escalates(story)
        story.happens(self.MISS, missed(story, self.MISS))
        self._coordinates(story, "coordinator-2", "2026-11-19 17:02")
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed", COORDINATOR) == [(COORDINATOR, "sent", "2026-11-19 17:01")]
        assert story.said("goal_missed", "coordinator-2") == []

    def test_is_not_said_to_who_coordinates_by_then_of_a_goal_that_was_met(self, story: Story) -> None:
        TestGoalMissed._escalates(story)
        story.happens(self.MISS, missed(story, self.MISS), met(story, self.MISS))
        self._coordinates(story, "coordinator-2", "2026-11-16 12:00")
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed", "coordinator-2") == []

    @pytest.mark.parametrize("reason", ["met", "withdrawn", "superseded", "in dispute"])
    def test_stops_climbing_once_it_does_not_stand(self, story: Story, reason: str) -> None:
        set_ = goal(story)
        story.happens(MONDAY, set_)
        story.happens(self.MISS, missed(story, self.MISS))
        at = berlin("2026-11-16 12:00")
        later = contract.Deadline(date="2026-12-18", time_zone=BERLIN)
        happened: dict[str, list[contract.Event]] = {
            "met": [met(story, at)],
            "withdrawn": [retracted(story, at), met(story, at)],
            "superseded": [revised(set_, deadline=later, due_at=berlin("2026-12-19 00:00"))],
            "in dispute": [
                contract.MissDisputed(**story.pair.common, goal_id=GOAL, revision=1, by=MENTEE, at=at)
            ],
        }
        story.happens(at, *happened[reason])
        story.passes(berlin("2026-11-18 00:00"))
        expected = "withdrawn" if reason == "in dispute" else reason
        assert story.said("goal_missed", MENTOR) == [(MENTOR, expected, "2026-11-17 17:01")]

    @staticmethod
    def _coordinates(story: Story, person_id: str | None, when: str) -> None:
        changed = story.pair.started(coordinator_id=person_id)
        facts = {name: getattr(changed, name) for name in contract.MentorshipStarted.__struct_fields__}
        story.happens(berlin(when), contract.MentorshipChanged(**facts, changed=["coordinator_id"]))

    @staticmethod
    def _escalates(story: Story, at: datetime = MONDAY) -> None:
        story.happens(
            at,
            contract.ExpectationsAgreed(
                **story.pair.common,
                version=1,
                agreed_by=[MENTOR, MENTEE],
                review_on="2027-06-01",
                escalate_to_coordinator=True,
            ),
            *([goal(story)] if at == MONDAY else []),
        )


class TestGoalMetAndMissWithdrawn:
    MISS = berlin("2026-11-13 17:01")

    def test_the_counterpart_hears_of_what_was_met(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        at = berlin("2026-11-05 12:00")
        story.happens(at, met(story, at))
        story.passes(berlin("2026-11-06 00:00"))
        assert story.said("goal_met") == [(MENTOR, "sent", "2026-11-05 12:00")]

    def test_a_goal_met_twice_is_said_once(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(self.MISS, missed(story, self.MISS))
        for day in ("16", "17"):
            at = berlin(f"2026-11-{day} 12:00")
            story.happens(at, met(story, at))
        story.passes(berlin("2026-11-18 00:00"))
        assert len(story.said("goal_met")) == 1

    def test_a_miss_is_withdrawn_from_those_who_were_told_of_it(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(self.MISS, missed(story, self.MISS))
        at = berlin("2026-11-16 12:00")
        story.happens(at, retracted(story, at), met(story, at))
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("miss_withdrawn") == [(MENTEE, "sent", "2026-11-16 12:00")]
        assert story.said("goal_missed", MENTOR) == [(MENTOR, "withdrawn", "2026-11-17 17:01")]

    def test_a_miss_is_withdrawn_from_who_coordinated_then_too(self, story: Story) -> None:
        TestGoalMissed._escalates(story)
        story.happens(self.MISS, missed(story, self.MISS))
        story.passes(berlin("2026-11-20 12:00"))
        successor = story.pair.started(coordinator_id="coordinator-2")
        facts = {name: getattr(successor, name) for name in contract.MentorshipStarted.__struct_fields__}
        at = berlin("2026-11-23 12:00")
        story.happens(at, contract.MentorshipChanged(**facts, changed=["coordinator_id"]))
        story.happens(at, retracted(story, at), met(story, at))
        story.passes(berlin("2026-11-30 00:00"))
        assert {person for person, _, _ in story.said("miss_withdrawn")} == {MENTEE, MENTOR, COORDINATOR}

    def test_nobody_is_told_of_a_miss_that_was_taken_back_in_their_quiet_hours(self, story: Story) -> None:
        story.somebody(MENTEE)
        story.happens(MONDAY, goal(story, due_at=berlin("2026-11-13 23:00")))
        night = berlin("2026-11-13 23:01")
        story.happens(night, missed(story, night))
        at = berlin("2026-11-15 12:00")
        story.happens(at, retracted(story, at), met(story, at))
        story.passes(berlin("2026-11-30 00:00"))
        assert story.said("goal_missed", MENTEE) == [(MENTEE, "withdrawn", "2026-11-16 08:00")]
        assert story.said("miss_withdrawn") == []


class TestWhatWaitsForSomebody:
    def test_a_check_in_of_the_owner_s_for_the_counterpart_s_word(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        friday = berlin("2026-11-06 15:00")
        story.happens(friday, checked_in(story, friday))
        story.passes(berlin("2026-11-10 00:00"))
        assert story.said("acknowledge_check_in") == [(MENTOR, "sent", "2026-11-09 15:00")]

    def test_one_that_was_acknowledged_does_not(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        friday = berlin("2026-11-06 15:00")
        logged = checked_in(story, friday)
        story.happens(friday, logged)
        story.happens(
            berlin("2026-11-06 16:00"),
            contract.CheckInAcknowledged(
                **story.pair.common,
                checkin_id=logged.checkin_id,
                goal_id=GOAL,
                acknowledged_by=MENTOR,
                acknowledger_role="mentor",
                acknowledged_at=berlin("2026-11-06 16:00"),
            ),
        )
        story.passes(berlin("2026-11-10 00:00"))
        assert story.said("acknowledge_check_in") == [(MENTOR, "acknowledged", "2026-11-09 15:00")]

    def test_the_counterpart_s_own_check_in_waits_for_nobody(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        friday = berlin("2026-11-06 15:00")
        story.happens(friday, checked_in(story, friday, author_id=MENTOR, author_role="mentor"))
        story.passes(berlin("2026-11-12 00:00"))
        assert story.said("acknowledge_check_in") == []

    def test_a_proposed_goal_for_its_owner(self, story: Story) -> None:
        at = berlin("2026-11-03 12:00")
        story.happens(at, self._proposed(story, at, revision=0))
        story.passes(berlin("2026-11-04 00:00"))
        assert story.said("proposal_waiting") == [(MENTOR, "sent", "2026-11-03 12:00")]

    def test_a_proposal_that_was_decided_in_the_night_is_not_mentioned(self, story: Story) -> None:
        story.somebody(MENTOR)
        story.happens(MONDAY, goal(story))
        at = berlin("2026-11-03 21:00")
        proposed = self._proposed(story, at, revision=1)
        story.happens(at, proposed)
        story.happens(
            berlin("2026-11-03 22:00"),
            contract.RevisionDeclined(
                **story.pair.common,
                goal_id=GOAL,
                proposal_id=proposed.proposal_id,
                declined_by=MENTEE,
                declined_at=berlin("2026-11-03 22:00"),
            ),
        )
        story.passes(berlin("2026-11-04 09:00"))
        assert story.said("proposal_waiting") == [(MENTOR, "closed", "2026-11-04 08:00")]

    def test_a_proposal_about_a_goal_that_was_met_meanwhile_is_not_mentioned(self, story: Story) -> None:
        story.somebody(MENTOR)
        story.happens(MONDAY, goal(story))
        at = berlin("2026-11-03 21:00")
        story.happens(at, self._proposed(story, at, revision=1), met(story, at))
        story.passes(berlin("2026-11-04 09:00"))
        assert story.said("proposal_waiting") == [(MENTOR, "met", "2026-11-04 08:00")]

    def test_a_dispute_for_the_counterpart(self, story: Story) -> None:
        miss = berlin("2026-11-13 17:01")
        story.happens(MONDAY, goal(story))
        story.happens(miss, missed(story, miss))
        at = berlin("2026-11-16 12:00")
        story.happens(
            at, contract.MissDisputed(**story.pair.common, goal_id=GOAL, revision=1, by=MENTEE, at=at)
        )
        story.passes(berlin("2026-11-17 00:00"))
        assert story.said("dispute_waiting") == [(MENTOR, "sent", "2026-11-16 12:00")]

    @staticmethod
    def _proposed(story: Story, at: datetime, *, revision: int) -> contract.RevisionProposed:
        return contract.RevisionProposed(
            **story.pair.common,
            goal_id=GOAL,
            proposal_id=uuid7(),
            revision=revision,
            proposed_by=MENTEE,
            waits_for=MENTOR,
            eased=False,
            proposed_at=at,
        )


class TestRenegotiate:
    AT = berlin("2026-11-06 15:00")

    @pytest.mark.parametrize(
        "says", [{"realistic": False}, {"attainable": False}, {"confidence": 3}, {"confidence": 0}]
    )
    def test_takes_the_place_of_reminders_for_three_workdays(
        self, story: Story, says: dict[str, Any]
    ) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(self.AT, checked_in(story, self.AT, **says))
        story.passes(DUE)
        assert story.said("renegotiate") == [(MENTEE, "sent", "2026-11-06 15:00")]
        assert story.said("goal_due_soon") == [(MENTEE, "superseded", "2026-11-11 09:00")]

    def test_lets_reminders_pass_again_afterwards(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(berlin("2026-11-05 15:00"), checked_in(story, berlin("2026-11-05 15:00"), confidence=2))
        story.passes(DUE)
        # Until Tuesday at 15:00.
        assert story.said("goal_due_soon") == [(MENTEE, "sent", "2026-11-11 09:00")]

    def test_is_said_when_confidence_falls_by_three(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        for day, confidence in (("03", 9), ("04", 7), ("05", 6)):
            at = berlin(f"2026-11-{day} 15:00")
            story.happens(at, checked_in(story, at, confidence=confidence))
        story.passes(berlin("2026-11-06 00:00"))
        assert story.said("renegotiate") == [(MENTEE, "sent", "2026-11-05 15:00")]

    def test_is_said_once_a_revision(self, story: Story) -> None:
        set_ = goal(story)
        story.happens(MONDAY, set_)
        for day in ("03", "04"):
            at = berlin(f"2026-11-{day} 15:00")
            story.happens(at, checked_in(story, at, realistic=False))
        story.happens(berlin("2026-11-05 10:00"), revised(set_, title="Read five papers"))
        at = berlin("2026-11-05 15:00")
        story.happens(at, checked_in(story, at, realistic=False))
        story.passes(berlin("2026-11-06 00:00"))
        assert [when for _, _, when in story.said("renegotiate")] == ["2026-11-03 15:00", "2026-11-05 15:00"]

    @pytest.mark.parametrize("says", [{"realistic": True}, {"confidence": 4}, {}])
    def test_is_not_said_without_a_reason(self, story: Story, says: dict[str, Any]) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(self.AT, checked_in(story, self.AT, **says))
        story.passes(berlin("2026-11-10 00:00"))
        assert story.said("renegotiate") == []

    def test_is_not_said_for_the_counterpart_s_doubts(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        doubts = checked_in(story, self.AT, confidence=0, author_id=MENTOR, author_role="mentor")
        story.happens(self.AT, doubts)
        story.passes(berlin("2026-11-10 00:00"))
        assert story.said("renegotiate") == []


class TestHelpRequested:
    AT = berlin("2026-11-06 22:00")

    def ask(self, story: Story, **changes: Any) -> contract.HelpRequested:
        values: dict[str, Any] = {
            "checkin_id": uuid7(),
            "goal_id": GOAL,
            "author_id": MENTEE,
            "route_to": MENTOR,
            "sensitive": False,
        }
        return contract.HelpRequested(**story.pair.common, **{**values, **changes})

    def test_waits_for_the_end_of_quiet_hours(self, story: Story) -> None:
        story.somebody(MENTOR)
        story.happens(MONDAY, goal(story))
        story.happens(self.AT, self.ask(story))
        story.passes(berlin("2026-11-10 00:00"))
        assert story.said("help_requested") == [(MENTOR, "sent", "2026-11-09 08:00")]

    def test_does_not_wait_for_who_wants_to_help_at_any_time(self, story: Story) -> None:
        story.somebody(MENTOR, help_any_time=True, daily_budget=0)
        story.happens(MONDAY, goal(story))
        story.happens(self.AT, self.ask(story))
        story.passes(berlin("2026-11-07 00:00"))
        assert story.said("help_requested") == [(MENTOR, "sent", "2026-11-06 22:00")]

    def test_does_not_wait_for_the_daily_message(self, story: Story) -> None:
        story.somebody(MENTOR, delivery="daily")
        story.happens(MONDAY, goal(story))
        story.happens(berlin("2026-11-05 12:00"), self.ask(story))
        story.passes(berlin("2026-11-06 00:00"))
        assert story.said("help_requested") == [(MENTOR, "sent", "2026-11-05 12:00")]

    def test_is_not_told_by_what_the_ledger_shows_to_others(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(berlin("2026-11-06 12:00"), self.ask(story, sensitive=True))
        story.passes(DUE)
        of_mentee = {(made.kind, made.reason): made for made in story.ledger if made.recipient_id == MENTEE}
        held_back = of_mentee["goal_due_soon", "superseded"]
        answered = of_mentee["check_in_due", "checked_in"]
        assert held_back.because["by"] == "help_requested"
        assert answered.because["checked_in_at"] == "2026-11-06T11:00:00Z"
        for made in (held_back, answered):
            assert set(shown_to_others(made)) == {"event", "event_id", "event_at"}

    @pytest.mark.parametrize("author", [MENTEE, MENTOR])
    def test_is_its_author_s_alone_where_it_leads_to_another_reminder(
        self, story: Story, author: str
    ) -> None:
        story.happens(MONDAY, goal(story, check_in_every_days=3))
        at = berlin("2026-11-03 12:00")
        story.happens(at, self.ask(story, author_id=author, route_to=COORDINATOR, sensitive=True))
        story.passes(berlin("2026-11-07 00:00"))
        asked = next(m for m in story.ledger if (m.kind, m.period) == ("check_in_due", "2026-11-06"))
        assert asked.recipient_id == MENTEE
        assert asked.because.get("event") == ("HelpRequested" if author == MENTEE else None)
        assert asked.because.get("event_at") == ("2026-11-03T11:00:00Z" if author == MENTEE else None)
        assert shown_to_others(asked) == {}
        to_coordinator = next(made for made in story.ledger if made.kind == "help_requested")
        assert to_coordinator.because["event"] == "HelpRequested"

    @pytest.mark.parametrize("sensitive", [True, False])
    @pytest.mark.parametrize("author", [MENTEE, MENTOR])
    def test_that_is_sensitive_is_its_author_s_alone_where_it_answers_a_reminder(
        self, story: Story, author: str, sensitive: bool
    ) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(berlin("2026-11-10 00:01"), lapsed(story, "2026-11-09", berlin("2026-11-10 00:00")))
        at = berlin("2026-11-10 08:00")
        asked = self.ask(story, author_id=author, route_to=COORDINATOR, sensitive=sensitive)
        story.happens(at, *([asked] if sensitive else [asked, checked_in(story, at, author_id=author)]))
        story.passes(berlin("2026-11-13 00:00"))
        made = next(m for m in story.ledger if (m.kind, m.recipient_id) == ("check_in_lapsed", MENTOR))
        told = not sensitive or author == MENTOR
        assert made.reason == "checked_in"
        assert made.because.get("checked_in_at") == ("2026-11-10T07:00:00Z" if told else None)
        assert "checked_in_at" not in shown_to_others(made)

    def test_that_is_sensitive_takes_nothing_from_what_is_known_of_later_check_ins(
        self, story: Story
    ) -> None:
        story.happens(MONDAY, goal(story))
        first, then = berlin("2026-11-04 12:00"), berlin("2026-11-05 12:00")
        story.happens(first, self.ask(story, author_id=MENTOR, route_to=COORDINATOR, sensitive=True))
        story.happens(then, checked_in(story, then))
        story.passes(berlin("2026-11-09 12:00"))
        answered = next(made for made in story.ledger if made.reason == "checked_in")
        assert answered.because["checked_in_at"] == "2026-11-05T11:00:00Z"

    def test_gives_no_event(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        story.happens(berlin("2026-11-06 12:00"), self.ask(story))
        story.passes(berlin("2026-11-07 00:00"))
        asked = [made for made in story.ledger if made.kind == "help_requested"]
        assert [made.event() for made in asked] == [None]

    def test_holds_back_the_author_s_other_nudges_about_that_goal(self, story: Story) -> None:
        story.happens(MONDAY, goal(story))
        at = berlin("2026-11-09 12:00")
        story.happens(at, self.ask(story))
        story.passes(DUE)
        assert story.said("goal_due_soon") == [(MENTEE, "superseded", "2026-11-11 09:00")]

    def test_is_exempt_from_absence_snooze_budget_and_holdout(self, story: Story) -> None:
        story.holdout = 1.0
        story.somebody(MENTOR, daily_budget=0)
        story.change(
            MENTOR, lambda person: msgspec.structs.replace(person, snoozes={"*": berlin("2026-12-01 00:00")})
        )
        story.happens(berlin("2026-11-06 12:00"), self.ask(story))
        story.passes(berlin("2026-11-07 00:00"))
        assert story.kinds(MENTOR) == ["help_requested"]
