"""Rule 9: what owner and counterpart may say of a goal."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import Dropped, Goal, Met, Missed, evolved
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.outcome import drop, require_reportable, say_met, say_missed
from services.goals.domain.verdict import weigh
from shared.errors import Conflict, Forbidden, Unprocessable
from tests.unit.goals.world import (
    DAY,
    DECIDED,
    DUE,
    GRACE,
    MS,
    NOW,
    RULES,
    a_check_in,
    a_goal,
    a_mentorship,
    a_missed_goal,
    ended,
    kinds,
    late,
    paused,
    value,
)

SEVEN_DAYS = 7 * DAY


def dropped(goal: Goal, *, by: str = "mentee", at: datetime = NOW, of: Mentorship | None = None) -> list[Any]:
    return list(drop(goal, of or a_mentorship(), by=by, note="No time.", now=at, grace=GRACE))


def missed(
    goal: Goal, *check_ins: CheckIn, by: str = "mentee", at: datetime = NOW, of: Mentorship | None = None
) -> list[Any]:
    mentorship = of or a_mentorship()
    return list(say_missed(goal, mentorship, check_ins, by=by, note="Too much.", now=at, grace=GRACE))


def met(
    goal: Goal,
    *,
    by: str = "mentee",
    occurred_at: datetime | None = None,
    at: datetime = NOW,
    of: Mentorship | None = None,
) -> list[Any]:
    _, facts = say_met(
        goal,
        of or a_mentorship(),
        [],
        id="s-1",
        by=by,
        occurred_at=occurred_at or at,
        note="It is out.",
        now=at,
        rules=RULES,
    )
    return list(facts)


class TestRule9Dropped:
    def test_the_owner_drops_an_active_goal(self) -> None:
        goal = a_goal()
        (fact,) = dropped(goal)
        assert isinstance(fact, Dropped)
        assert (evolved(goal, [fact]).state, fact.reason) == ("dropped", "No time.")

    @pytest.mark.parametrize("by", ["mentor", "leader"])
    def test_others_do_not(self, by: str) -> None:
        with pytest.raises(Forbidden):
            dropped(a_goal(), by=by)

    def test_one_that_was_missed_or_met_is_not_dropped(self) -> None:
        for goal in (a_missed_goal(), evolved(a_goal(), [Met(by="mentee", at=NOW, met_at=NOW)])):
            with pytest.raises(Conflict):
                dropped(goal, at=DECIDED)

    def test_nor_one_whose_deadline_is_being_decided(self) -> None:
        dropped(a_goal(), at=DUE - MS)
        with pytest.raises(Conflict) as refused:
            dropped(a_goal(), at=DUE)
        assert refused.value.retry_after

    def test_in_a_pause_it_may_be_dropped_after_the_end_not(self) -> None:
        assert dropped(a_goal(), of=paused(NOW))
        assert dropped(a_goal(), at=DUE + DAY, of=paused(DUE - DAY))
        with pytest.raises(Conflict):
            dropped(a_goal(), of=ended(NOW))

    def test_evidence_that_comes_to_be_seen_afterwards_changes_nothing(self) -> None:
        """Rule 2."""
        goal = evolved(a_goal(), dropped(a_goal()))
        assert weigh(goal, [a_check_in(NOW - DAY)], grace=GRACE, now=NOW + DAY) == []


class TestRule9SaidMissed:
    def test_the_owner_says_early_that_it_will_be_missed(self) -> None:
        goal = a_goal()
        (fact,) = missed(goal, a_check_in(NOW, progress=value(3.5)), at=NOW + DAY)
        assert isinstance(fact, Missed)
        assert (fact.by, fact.fraction, fact.last_check_in_at) == ("mentee", 0.5, NOW)
        after = evolved(goal, [fact])
        assert after.standing_miss is not None
        assert (after.state, after.standing_miss.early) == ("missed", True)

    def test_others_do_not(self) -> None:
        with pytest.raises(Forbidden):
            missed(a_goal(), by="mentor")

    def test_not_of_a_goal_that_is_not_active(self) -> None:
        with pytest.raises(Conflict):
            missed(a_missed_goal())

    def test_not_while_it_is_being_decided(self) -> None:
        with pytest.raises(Conflict) as refused:
            missed(a_goal(), at=DUE)
        assert refused.value.retry_after

    @pytest.mark.parametrize("of", [paused(NOW), ended(NOW)])
    def test_not_in_a_pause_nor_after_the_end(self, of: Mentorship) -> None:
        with pytest.raises(Conflict):
            missed(a_goal(), of=of)


class TestRule9Met:
    @pytest.mark.parametrize("by", ["mentee", "mentor"])
    def test_owner_and_counterpart_say_that_an_active_goal_is_met(self, by: str) -> None:
        (fact,) = met(a_goal(), by=by, occurred_at=NOW - DAY)
        assert isinstance(fact, Met)
        assert (fact.by, fact.met_at, fact.reason) == (by, NOW - DAY, "It is out.")

    def test_others_do_not(self) -> None:
        with pytest.raises(Forbidden):
            met(a_goal(), by="leader")

    def test_of_a_missed_goal_the_counterpart_alone_and_that_takes_the_miss_back(self) -> None:
        with pytest.raises(Forbidden):
            met(a_missed_goal(), at=DUE + DAY)
        facts = met(a_missed_goal(), by="mentor", occurred_at=DUE - MS, at=DUE + DAY)
        assert kinds(facts) == ["Retracted", "Met"]

    def test_said_of_a_time_after_the_deadline_it_is_met_late(self) -> None:
        goal = a_missed_goal()
        facts = met(goal, by="mentor", at=DUE + DAY)
        assert kinds(facts) == ["Met"]
        assert evolved(goal, facts).standing_miss is not None

    def test_the_counterpart_may_say_so_also_after_a_late_met(self) -> None:
        goal = a_missed_goal()
        goal = evolved(goal, weigh(goal, [late()], grace=GRACE, now=DUE + 2 * DAY))
        facts = met(goal, by="mentor", occurred_at=DUE - DAY, at=DUE + 2 * DAY)
        assert kinds(facts) == ["Retracted", "Met"]

    def test_while_it_is_being_decided_timely_evidence_still_meets_it(self) -> None:
        assert kinds(met(a_goal(), occurred_at=DUE - MS, at=DECIDED - MS)) == ["Met"]
        assert met(a_goal(), occurred_at=DUE - MS, at=DECIDED) == []

    def test_of_a_goal_that_is_closed_nothing_is_said(self) -> None:
        gone = evolved(a_goal(), [Dropped(by="mentee", at=NOW)])
        done = evolved(a_goal(), [Met(by="mentee", at=NOW, met_at=NOW)])
        for goal in (gone, done):
            for by in ("mentee", "mentor"):
                with pytest.raises(Conflict):
                    met(goal, by=by)

    def test_in_a_pause_it_may_be_said_after_the_end_not(self) -> None:
        assert met(a_goal(), of=paused(NOW))
        with pytest.raises(Conflict):
            met(a_goal(), of=ended(NOW))

    @pytest.mark.parametrize("at", [NOW - SEVEN_DAYS, NOW])
    def test_it_occurred_at_most_seven_days_ago(self, at: datetime) -> None:
        require_reportable(at, NOW, SEVEN_DAYS)

    @pytest.mark.parametrize("at", [NOW - SEVEN_DAYS - MS, NOW + DAY])
    def test_and_neither_longer_ago_nor_ahead(self, at: datetime) -> None:
        with pytest.raises(Unprocessable) as refused:
            require_reportable(at, NOW, SEVEN_DAYS)
        assert [error.pointer for error in refused.value.errors] == ["/occurred_at"]
