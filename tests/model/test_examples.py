"""Histories that were found, or nearly missed, by chance: each is played the same every time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.model.pair import Pair
from tests.model.steps import (
    Acknowledge,
    Answer,
    Deadline,
    Dispute,
    Log,
    Measure,
    Progress,
    Revise,
    Rule,
    Say,
    SetGoal,
    Terms,
    Turn,
)

MONDAY = datetime(2026, 10, 19, 9, 30, tzinfo=UTC)
DONE = Progress("done")
MENTOR, MENTEE = "mentor-1", "mentee-1"
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


def at(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """An instant of that October."""
    return datetime(2026, 10, day, hour, minute, second, tzinfo=UTC)


def until(day: int, zone: str = "UTC", cutoff: str = "24:00") -> Deadline:
    return Deadline(date(2026, 10, day), zone, cutoff)


@pytest.fixture
def pair() -> Pair:
    """The mentee has a goal until Friday, and checks in on it daily."""
    pair = Pair(MONDAY)
    terms = Terms("Write a paper", Measure("done"), until(23), every=1)
    assert pair.take(SetGoal(MENTEE, "goal", MENTEE, terms, "own")) == 200
    return pair


def log(pair: Pair, by: str = MENTEE, name: str = "check-in", occurred_at: datetime | None = None) -> None:
    assert pair.take(Log(by, name, "goal", occurred_at, DONE)) == 200


def passes(pair: Pair, to: datetime) -> None:
    pair.passes(to)
    pair.decides()
    pair.holds()


class TestDeadlines:
    def test_ten_years_after_a_leap_day_end_in_february(self) -> None:
        pair = Pair(datetime(2028, 2, 29, 9, 30, tzinfo=UTC))

        def ends(day: date, cutoff: str) -> int:
            terms = Terms("Write a paper", Measure("done"), Deadline(day, "UTC", cutoff), every=1)
            return pair.take(SetGoal(MENTEE, f"goal {day} {cutoff}", MENTEE, terms, "own"))

        assert ends(date(2038, 2, 28), "09:30") == 200
        assert ends(date(2038, 2, 28), "09:30:01") == 422

    def test_a_check_in_of_the_last_instant_of_the_grace_meets_the_goal(self, pair: Pair) -> None:
        pair.passes(at(24, 0, 0, 59))
        log(pair, occurred_at=at(23, 23, 59, 59))
        pair.all_arrives()
        passes(pair, at(24, 0, 5))
        assert pair.of("goal") == ["GoalSet", "GoalMet"]

    def test_one_instant_later_it_is_belated_and_waits_for_the_mentor(self, pair: Pair) -> None:
        pair.passes(at(24, 0, 1))
        log(pair, occurred_at=at(23, 23, 59, 59))
        pair.all_arrives()
        passes(pair, at(24, 0, 5))
        assert pair.of("goal") == ["GoalSet", "GoalMissed"]
        assert pair.take(Acknowledge(MENTOR, "check-in")) == 200
        pair.all_arrives()
        assert pair.of("goal") == ["GoalSet", "GoalMissed", "GoalMissRetracted", "GoalMet"]

    def test_a_miss_waits_for_a_check_in_that_is_on_its_way(self, pair: Pair) -> None:
        pair.passes(at(23, 12))
        log(pair)
        passes(pair, at(24, 12))
        assert pair.of("goal") == ["GoalSet"]
        pair.all_arrives()
        assert pair.of("goal") == ["GoalSet", "GoalMet"]


class TestEnds:
    @pytest.fixture
    def ended(self, pair: Pair) -> Pair:
        """The mentorship ended a second after the goal was due, and checkins has not heard of it."""
        pair.passes(at(24, 0, 0, 1))
        assert pair.take(Turn("ended")) == 200
        return pair

    @pytest.mark.parametrize("second", [1, 2, 59])
    def test_a_check_in_answered_after_one_within_the_grace_meets_what_was_due(
        self, ended: Pair, second: int
    ) -> None:
        ended.passes(at(24, 0, 0, second))
        log(ended, occurred_at=at(23, 23, 59, 55))
        ended.all_arrives()
        passes(ended, at(24, 0, 5))
        assert ended.of("goal") == ["GoalSet", "GoalMet"]

    def test_after_the_grace_none_counts(self, ended: Pair) -> None:
        ended.passes(at(24, 0, 1))
        log(ended, MENTOR, occurred_at=at(23, 23, 59, 55))
        ended.all_arrives()
        passes(ended, at(24, 0, 5))
        assert ended.of("goal") == ["GoalSet", "GoalMissed"]

    def test_one_after_a_pause_leaves_what_was_due_before_the_pause_its_grace(self, pair: Pair) -> None:
        pair.passes(at(24))
        for second, turn in ((1, Turn("paused")), (2, Turn("ended"))):
            pair.passes(at(24, 0, 0, second))
            assert pair.take(turn) == 200
        pair.passes(SECOND)
        log(pair, occurred_at=at(23, 23, 59, 55))
        pair.all_arrives()
        passes(pair, at(24, 0, 5))
        assert pair.of("goal") == ["GoalSet", "GoalMet"]

    def test_none_is_answered_once_checkins_has_heard_of_it(self, ended: Pair) -> None:
        passes(ended, at(24, 0, 5))
        assert ended.take(Log(MENTEE, "check-in", "goal", at(23, 23, 59, 55), DONE)) == 409


class TestDeadLetters:
    def test_a_replayed_one_takes_the_miss_back_at_once(self, pair: Pair) -> None:
        pair.passes(at(23, 12))
        log(pair)
        pair.loses(pair.sent[0])
        passes(pair, at(24, 12))
        assert pair.of("goal") == ["GoalSet", "GoalMissed"]
        pair.arrives(pair.lost[0])
        assert pair.of("goal") == ["GoalSet", "GoalMissed", "GoalMissRetracted", "GoalMet"]

    def test_an_acknowledgement_of_one_waits_until_it_is_replayed(self, pair: Pair) -> None:
        passes(pair, at(24, 12))
        log(pair, occurred_at=at(23, 12))
        pair.loses(pair.sent[0])
        assert pair.take(Acknowledge(MENTOR, "check-in")) == 200
        pair.all_arrives()
        pair.arrives(pair.lost[0])
        assert pair.of("goal") == ["GoalSet", "GoalMissed"]
        pair.all_arrives()
        assert pair.of("goal") == ["GoalSet", "GoalMissed", "GoalMissRetracted", "GoalMet"]


class TestDisputes:
    def test_a_miss_is_disputed_once(self, pair: Pair) -> None:
        passes(pair, at(24, 12))
        assert pair.take(Dispute(MENTEE, "goal", at(23, 12))) == 200
        assert pair.take(Rule(MENTOR, "goal", upheld=False)) == 200
        assert pair.take(Dispute(MENTEE, "goal", at(23, 12))) == 409
        pair.holds()

    @pytest.mark.parametrize(("beside", "status"), [(timedelta(0), 200), (timedelta(milliseconds=1), 409)])
    def test_for_fourteen_days(self, pair: Pair, beside: timedelta, status: int) -> None:
        passes(pair, at(24, 12))
        pair.passes(at(24, 12) + 14 * DAY + beside)
        assert pair.take(Dispute(MENTEE, "goal", at(23, 12))) == status

    def test_evidence_that_comes_meanwhile_closes_an_open_one(self, pair: Pair) -> None:
        passes(pair, at(24, 12))
        assert pair.take(Dispute(MENTEE, "goal", at(23, 12))) == 200
        log(pair, MENTOR, occurred_at=at(23, 13))
        pair.all_arrives()
        pair.holds()
        assert pair.take(Rule(MENTOR, "goal", upheld=True)) == 409


class TestRevisions:
    @pytest.mark.parametrize(
        ("beside", "revised"), [(timedelta(milliseconds=1), True), (timedelta(0), False)]
    )
    def test_a_deadline_is_eased_alone_up_to_the_second_workday_before(
        self, pair: Pair, beside: timedelta, revised: bool
    ) -> None:
        pair.passes(at(22) - beside)
        assert pair.take(Revise(MENTEE, "goal", "proposal", deadline=until(26))) == 200
        assert pair.of("goal")[-1] == ("GoalRevised" if revised else "RevisionProposed")

    def test_a_proposal_falls_with_a_revision_that_somebody_made_since(self, pair: Pair) -> None:
        assert pair.take(Revise(MENTOR, "goal", "proposal", deadline=until(26))) == 200
        assert pair.take(Revise(MENTEE, "goal", "other", title="Write two papers")) == 200
        assert pair.take(Answer(MENTEE, "goal", "proposal", accepts=True)) == 409

    def test_a_proposal_stands_though_a_pause_moved_the_goal(self, pair: Pair) -> None:
        assert pair.take(Revise(MENTOR, "goal", "proposal", deadline=until(26))) == 200
        assert pair.take(Turn("paused")) == 200
        pair.passes(DAY + SECOND)
        assert pair.take(Turn("resumed")) == 200
        pair.holds()
        assert pair.take(Answer(MENTEE, "goal", "proposal", accepts=True)) == 200
        assert pair.model.goals["goal"].due_at == at(29)

    def test_a_goal_missed_meanwhile_is_revived_by_a_proposal_with_a_deadline(self, pair: Pair) -> None:
        assert pair.take(Revise(MENTOR, "goal", "proposal", deadline=until(26))) == 200
        passes(pair, at(24, 12))
        assert pair.take(Answer(MENTEE, "goal", "proposal", accepts=True)) == 200
        assert pair.of("goal") == ["GoalSet", "RevisionProposed", "GoalMissed", "GoalRevised"]
        log(pair, MENTOR, occurred_at=at(23, 12))
        pair.all_arrives()
        assert pair.of("goal")[-1] == "GoalMet"


class TestCadence:
    def test_another_zone_can_end_a_period_in_the_past_and_it_lapses_once(self, pair: Pair) -> None:
        pair.passes(at(21))
        assert pair.take(Revise(MENTEE, "goal", "own", deadline=until(22, "Europe/Berlin"))) == 200
        passes(pair, at(21, 0, 5))
        assert pair.lapses("goal") == [(date(2026, 10, 20), at(20, 22))]

    def test_a_pause_within_the_grace_saves_nothing_and_the_next_is_counted_from_its_end(
        self, pair: Pair
    ) -> None:
        pair.passes(at(21))
        assert pair.take(Turn("paused")) == 200
        assert pair.take(Turn("resumed")) == 200
        passes(pair, at(22, 0, 5))
        assert pair.lapses("goal") == [(date(2026, 10, 20), at(21))]
        passes(pair, at(23, 0, 5))
        assert [period for period, _ in pair.lapses("goal")] == [date(2026, 10, 20), date(2026, 10, 22)]

    def test_being_met_within_the_grace_saves_the_period(self, pair: Pair) -> None:
        pair.passes(at(21, 0, 1))
        assert pair.take(Say(MENTEE, "goal", "met", "said")) == 200
        passes(pair, at(22, 0, 5))
        assert pair.lapses("goal") == []


class TestNumbers:
    def test_a_retracted_miss_is_restated_where_it_had_counted(self, pair: Pair) -> None:
        passes(pair, at(26, 12))
        log(pair, MENTOR, occurred_at=at(23, 12))
        pair.all_arrives()
        for first, last in ((19, 22), (23, 23), (24, 25), (26, 26), (19, 26)):
            for as_of in (23, 26):
                pair.counts(date(2026, 10, first), date(2026, 10, last), date(2026, 10, as_of))
