"""Why something is not sent: the first reason that holds, and what only postpones."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import combinations
from typing import Any

import msgspec
import pytest

from services.notifier.domain.person import Absence, Channel
from services.notifier.domain.reasons import REASONS
from services.notifier.domain.recipients import deleted, provided
from shared import events as contract
from tests.unit.notifier.story import BERLIN, MENTEE, MENTOR, Story, berlin
from tests.unit.notifier.test_kinds import GOAL, checked_in, goal, lapsed, met, missed, revised

SET = berlin("2026-11-02 10:00")
MORNING = berlin("2026-11-11 09:00")
"""When the goal of these tests is said to be due soon."""
SAID = "2026-11-11 09:00"


@pytest.fixture
def story() -> Story:
    """A goal of the mentee's that is due soon on a Wednesday at 9, and no check-in due."""
    story = Story()
    story.somebody(MENTEE)
    story.somebody(MENTOR)
    story.begins(SET)
    story.happens(SET, goal(story, check_in_every_days=30))
    story.passes(berlin("2026-11-10 12:00"))
    story.ledger.clear()
    return story


def away(story: Story, first: str, last: str) -> None:
    absence = Absence(absence_id="a", first=date.fromisoformat(first), last=date.fromisoformat(last))
    story.change(MENTEE, lambda person: msgspec.structs.replace(person, absences=(absence,)))


def snooze(story: Story, until: str, about: str = "*") -> None:
    story.change(MENTEE, lambda person: msgspec.structs.replace(person, snoozes={about: berlin(until)}))


def happen(story: Story, *events: contract.Event) -> None:
    story.happens(berlin("2026-11-10 15:00"), *events)


def erase(story: Story) -> None:
    happen(
        story,
        contract.PersonErased(org_id=story.pair.org_id, person_id=MENTEE, at=berlin("2026-11-10 15:00")),
    )


def end(story: Story) -> None:
    happen(story, contract.MentorshipEnded(**story.pair.common, at=berlin("2026-11-10 15:00")))


def pause(story: Story) -> None:
    happen(story, contract.MentorshipPaused(**story.pair.common, at=berlin("2026-11-10 15:00")))


def drop(story: Story) -> None:
    happen(
        story,
        contract.GoalDropped(
            **story.pair.common, goal_id=GOAL, owner_id=MENTEE, owner_role="mentee", revision=1,
            dropped_at=berlin("2026-11-10 15:00"),
        ),
    )  # fmt: skip


def hold_out(story: Story) -> None:
    story.holdout = 1.0


CASES: list[tuple[str, Any]] = [
    ("erased", erase),
    ("ended", end),
    ("closed", drop),
    ("met", lambda story: happen(story, met(story, berlin("2026-11-10 15:00")))),
    ("superseded", lambda story: happen(story, revised(goal(story), title="Read five papers"))),
    ("paused", pause),
    ("absent", lambda story: away(story, "2026-11-09", "2026-11-11")),
    ("snoozed", lambda story: snooze(story, "2026-11-11 10:00")),
    ("holdout", hold_out),
    ("no_channel", lambda story: story.change(MENTEE, deleted)),
    ("budget", lambda story: story.somebody(MENTEE, daily_budget=0)),
]


class TestEachReason:
    @pytest.mark.parametrize(("reason", "comes_about"), CASES, ids=[reason for reason, _ in CASES])
    def test_is_told_at_the_moment_of_sending(self, story: Story, reason: str, comes_about: Any) -> None:
        comes_about(story)
        story.passes(MORNING)
        assert story.said("goal_due_soon", MENTEE)[0] == (MENTEE, reason, SAID)

    def test_stale_is_what_comes_after_its_use(self, story: Story) -> None:
        story.sleeps(berlin("2026-11-13 18:00"))
        story.passes(berlin("2026-11-16 09:00"))
        assert story.said("goal_due_soon", MENTEE) == [(MENTEE, "stale", "2026-11-13 18:00")]

    @pytest.mark.parametrize("missed_first", [True, False])
    def test_stale_is_what_comes_after_its_use_whether_or_not_the_miss_is_known(
        self, story: Story, missed_first: bool
    ) -> None:
        back = berlin("2026-11-30 12:00")
        story.sleeps(back)
        if missed_first:
            story.arrives(back, missed(story, back))
        story.passes(back + timedelta(minutes=1))
        assert story.said("goal_due_soon", MENTEE) == [(MENTEE, "stale", "2026-11-30 12:00")]

    @pytest.mark.parametrize("lapsed_first", [True, False])
    def test_a_check_in_is_not_asked_for_after_its_day_whether_or_not_the_lapse_is_known(
        self, lapsed_first: bool
    ) -> None:
        story = Story()
        story.somebody(MENTEE)
        story.begins(SET)
        story.happens(SET, goal(story))
        back = berlin("2026-11-12 12:00")
        story.sleeps(back)
        if lapsed_first:
            story.arrives(back, lapsed(story, "2026-11-09", berlin("2026-11-10 00:00")))
        story.passes(back + timedelta(minutes=1))
        assert story.said("check_in_due", MENTEE) == [(MENTEE, "stale", "2026-11-12 12:00")]

    @pytest.mark.parametrize(
        ("earlier", "later"),
        list(combinations(CASES, 2)),
        ids=[f"{earlier}-{later}" for (earlier, _), (later, _) in combinations(CASES, 2)],
    )
    def test_stands_where_the_contract_s_order_puts_it(
        self, story: Story, earlier: tuple[str, Any], later: tuple[str, Any]
    ) -> None:
        # What is later in the order comes about first, since it may undo the other: preferences that are put
        # replace what was chosen before, and nothing is paused once it has ended.
        later[1](story)
        earlier[1](story)
        story.passes(MORNING)
        assert story.said("goal_due_soon", MENTEE)[0][1] == earlier[0]

    def test_is_in_the_contract_s_order(self) -> None:
        assert REASONS == (
            "erased", "ended", "closed", "withdrawn", "met", "checked_in", "acknowledged", "superseded", "paused",
            "absent", "snoozed", "holdout", "no_channel", "budget", "stale",
        )  # fmt: skip


class TestWhatOnlySeemsAReason:
    def test_a_snooze_of_another_goal(self, story: Story) -> None:
        snooze(story, "2026-12-01 00:00", about="another")
        story.passes(MORNING)
        assert story.said("goal_due_soon") == [(MENTEE, "sent", SAID)]

    def test_a_snooze_that_is_over(self, story: Story) -> None:
        snooze(story, SAID)
        story.passes(MORNING)
        assert story.said("goal_due_soon") == [(MENTEE, "sent", SAID)]

    def test_an_absence_until_yesterday(self, story: Story) -> None:
        away(story, "2026-11-02", "2026-11-10")
        story.passes(MORNING)
        assert story.said("goal_due_soon") == [(MENTEE, "sent", SAID)]

    def test_an_erasure_before_they_were_provided_anew(self, story: Story) -> None:
        erase(story)
        story.somebody(MENTEE)
        story.passes(MORNING)
        assert story.said("goal_due_soon") == [(MENTEE, "sent", SAID)]

    def test_an_erasure_that_arrives_after_they_were_provided_anew(self, story: Story) -> None:
        story.passes(berlin("2026-11-10 16:00"))
        story.somebody(MENTEE)
        story.arrives(
            berlin("2026-11-10 15:00"),
            contract.PersonErased(org_id=story.pair.org_id, person_id=MENTEE, at=berlin("2026-11-10 15:00")),
        )
        story.passes(MORNING)
        assert story.said("goal_due_soon") == [(MENTEE, "sent", SAID)]


class TestQuietHoursAndDaysOff:
    MISS = berlin("2026-11-13 21:00")

    def test_postpone_and_never_suppress(self, story: Story) -> None:
        story.happens(self.MISS, missed(story, self.MISS))
        story.passes(berlin("2026-11-16 09:00"))
        assert story.said("goal_missed", MENTEE) == [(MENTEE, "sent", "2026-11-16 08:00")]

    def test_are_for_those_who_can_be_written_to(self, story: Story) -> None:
        story.change(MENTEE, deleted)
        story.happens(self.MISS, missed(story, self.MISS))
        story.passes(self.MISS + timedelta(seconds=2))
        assert story.said("goal_missed", MENTEE) == [(MENTEE, "no_channel", "2026-11-13 21:00")]

    def test_hold_after_an_outage_too(self, story: Story) -> None:
        story.sleeps(berlin("2026-11-11 20:30"))
        story.passes(berlin("2026-11-12 09:00"))
        assert story.said("goal_due_soon", MENTEE) == [(MENTEE, "sent", "2026-11-12 08:00")]

    def test_follow_who_moves_to_another_zone(self, story: Story) -> None:
        story.somebody(MENTEE, time_zone="America/New_York")
        story.passes(berlin("2026-11-12 00:00"))
        assert story.said("goal_due_soon", MENTEE) == [(MENTEE, "sent", "2026-11-11 15:00")]


class TestTheBudget:
    def test_counts_messages_and_not_what_is_in_them(self, story: Story) -> None:
        story.somebody(MENTEE, daily_budget=1)
        others = [f"goal-{number}" for number in range(3)]
        for goal_id in others:
            story.arrives(SET, story.pair.goal_set(goal_id, **_same(goal(story, check_in_every_days=30))))
        story.passes(MORNING)
        assert story.messages[-1] == (MENTEE, ("goal_due_soon",) * 4)

    def test_lets_what_exceeds_it_wait_for_the_next_day(self, story: Story) -> None:
        story.somebody(MENTEE, daily_budget=1)
        story.passes(MORNING)
        at = berlin("2026-11-11 12:00")
        story.happens(at, missed(story, at))
        story.passes(berlin("2026-11-12 09:00"))
        assert story.said("goal_missed", MENTEE) == [(MENTEE, "sent", "2026-11-12 08:00")]

    def test_is_the_reason_when_it_made_something_wait_past_its_use(self, story: Story) -> None:
        story.somebody(MENTEE, daily_budget=1)
        second = goal(story, check_in_every_days=30)
        story.passes(berlin("2026-11-10 18:00"))
        # Due on Thursday: its reminder comes on Tuesday, and a message has gone on that day already.
        deadline = contract.Deadline(date="2026-11-12", time_zone=BERLIN, cutoff="01:00")
        changes = {**_same(second), "deadline": deadline, "due_at": berlin("2026-11-11 07:00")}
        story.change(MENTEE, lambda person: msgspec.structs.replace(person, spent={"2026-11-10": 1}))
        story.arrives(SET, story.pair.goal_set("goal-2", **changes))
        story.passes(berlin("2026-11-11 08:30"))
        assert story.said("goal_due_soon", MENTEE) == [(MENTEE, "budget", "2026-11-11 08:00")]

    @pytest.mark.parametrize("meanwhile", ["nothing", "a check-in of that day", "another title", "a pause"])
    @pytest.mark.parametrize("lapse_known", [True, False])
    def test_is_the_reason_whatever_came_meanwhile_that_did_not_move_the_check_in(
        self, meanwhile: str, lapse_known: bool
    ) -> None:
        story = self._spends_on_tuesday()
        at = SET + timedelta(minutes=1)
        if meanwhile == "a check-in of that day":
            story.happens(at, checked_in(story, at))
        if meanwhile == "another title":
            story.happens(at, revised(goal(story, check_in_every_days=1), title="Read five papers"))
        if meanwhile == "a pause":
            story.happens(at, contract.MentorshipPaused(**story.pair.common, at=at))
            story.happens(at, contract.MentorshipResumed(**story.pair.common, at=at))
        assert self._of_tuesday(story, lapse_known) == "budget"

    @pytest.mark.parametrize(
        ("reason", "change"),
        [
            ("superseded", {"check_in_every_days": 3}),
            ("superseded", {"due_at": berlin("2026-11-03 20:00")}),
            ("budget", {"due_at": berlin("2026-11-20 20:00")}),
        ],
    )
    def test_gives_way_to_a_revision_that_moves_the_check_in(
        self, reason: str, change: dict[str, Any]
    ) -> None:
        story = self._spends_on_tuesday()
        at = SET + timedelta(minutes=1)
        story.happens(at, checked_in(story, at))
        story.happens(at, revised(goal(story, check_in_every_days=1), **change))
        assert self._of_tuesday(story, lapse_known=reason == "budget") == reason

    @pytest.mark.parametrize(
        ("reason", "when"), [("checked_in", "2026-11-03 08:00"), ("budget", "2026-11-04 07:00")]
    )
    def test_gives_way_to_a_check_in_of_its_day_and_not_to_a_later_one(self, reason: str, when: str) -> None:
        story = self._spends_on_tuesday()
        answered = reason == "checked_in"
        if not answered:
            self._lapses(story)
        story.happens(berlin(when), checked_in(story, berlin(when)))
        assert self._of_tuesday(story, lapse_known=False) == reason

    @staticmethod
    def _spends_on_tuesday() -> Story:
        """A check-in is due on Tuesday, when the one message of the day has gone before 9."""
        story = Story()
        story.somebody(MENTEE, daily_budget=1)
        story.begins(SET)
        story.happens(SET, goal(story, check_in_every_days=1))
        story.change(MENTEE, lambda person: msgspec.structs.replace(person, spent={"2026-11-03": 1}))
        return story

    @staticmethod
    def _lapses(story: Story) -> None:
        story.happens(berlin("2026-11-04 00:01"), lapsed(story, "2026-11-03", berlin("2026-11-04 00:00")))

    def _of_tuesday(self, story: Story, lapse_known: bool) -> str:
        """Why the reminder of that day was not sent, when it could be on Wednesday."""
        if lapse_known:
            self._lapses(story)
        story.passes(berlin("2026-11-04 08:00"))
        (made,) = [m for m in story.ledger if (m.kind, m.period) == ("check_in_due", "2026-11-03")]
        return str(made.reason)

    def test_is_not_spent_by_requests_for_help(self, story: Story) -> None:
        story.somebody(MENTOR, daily_budget=1)
        at = berlin("2026-11-10 15:00")
        ask = contract.HelpRequested(
            **story.pair.common, checkin_id="c", author_id=MENTEE, route_to=MENTOR, sensitive=False
        )
        story.happens(at, ask)
        story.happens(at + timedelta(minutes=1), met(story, at))
        story.passes(at + timedelta(minutes=2))
        assert story.kinds(MENTOR) == ["help_requested", "goal_met"]


class TestTheDailyMessage:
    def test_gathers_what_came_about_since_the_last(self, story: Story) -> None:
        story.somebody(MENTEE, delivery="daily")
        at = berlin("2026-11-11 12:00")
        story.happens(at, missed(story, at))
        story.passes(berlin("2026-11-12 10:00"))
        assert [message for message in story.messages if message[0] == MENTEE][-2:] == [
            (MENTEE, ("goal_due_soon",)),
            (MENTEE, ("goal_missed",)),
        ]
        assert story.said("goal_missed", MENTEE) == [(MENTEE, "sent", "2026-11-12 09:00")]


class TestHoldout:
    def test_is_a_share_by_chance(self) -> None:
        from services.notifier.domain.person import Person
        from services.notifier.domain.reasons import held_out

        story = Story()
        story.begins(SET)
        story.happens(SET, goal(story))
        reminder = story.people[MENTEE].reminders[0]
        people = [Person(person_id=f"p{number}", org_id="o") for number in range(4000)]
        share = sum(held_out(person, reminder, 0.2) for person in people) / len(people)
        assert 0.17 < share < 0.23
        assert not any(held_out(person, reminder, 0.0) for person in people)
        assert all(held_out(person, reminder, 1.0) for person in people)


class TestProvidedAgain:
    def test_is_a_new_version(self, story: Story) -> None:
        person = story.people[MENTEE]
        assert person.recipient is not None
        again = provided(person, person.recipient)
        assert again.recipient is not None
        assert again.recipient.version == person.recipient.version + 1

    def test_a_person_with_a_chat_alone_is_reached_by_it(self, story: Story) -> None:
        chat = Channel(kind="chat", url="https://chat.example.com/hook")
        story.somebody(MENTEE, channels=(chat,))
        story.passes(MORNING)
        assert story.said("goal_due_soon", MENTEE) == [(MENTEE, "sent", SAID)]


def _same(event: contract.GoalSet) -> dict[str, Any]:
    return {
        "deadline": event.deadline,
        "due_at": event.due_at,
        "check_in_every_days": event.check_in_every_days,
    }
