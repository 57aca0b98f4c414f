"""Rule 7: what a pause, a resumption and an end do to goals."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from services.goals.domain import mentorship as m
from services.goals.domain.goal import Dropped, Goal, Missed, ProposedMoved, Revised, evolved
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.pause import days_paused, decision_at, end, resume
from services.goals.domain.revision import revise
from services.goals.domain.verdict import weigh
from shared.errors import Conflict
from tests.unit.goals.world import (
    DAY,
    DEADLINE,
    DECIDED,
    DUE,
    GRACE,
    MS,
    NOW,
    RULES,
    SECOND,
    a_check_in,
    a_goal,
    a_mentorship,
    a_missed_goal,
    asked,
    decided,
    due_on,
    ended,
    kinds,
    paused,
    resumed,
    value,
)

LATER = due_on(date(2027, 1, 15))


def proposed(**changes: Any) -> Goal:
    goal = a_goal()
    return evolved(goal, revise(goal, a_mentorship(), asked("mentor", **changes), [], rules=RULES))


def gone_on(goal: Goal, paused_at: datetime, at: datetime) -> tuple[Goal, list[object]]:
    facts = resume(goal, paused_at, [], grace=GRACE, now=at)
    return evolved(goal, facts), list(facts)


class TestRule7TheMentorship:
    def test_is_paused_resumed_and_ended_in_turn(self) -> None:
        mentorship = a_mentorship()
        for step, state in ((m.pause, "paused"), (m.resume, "active"), (m.pause, "paused"), (m.end, "ended")):
            mentorship = m.evolved(mentorship, step(mentorship, NOW))
            assert mentorship.state == state

    @pytest.mark.parametrize(
        ("mentorship", "step"),
        [
            (paused(NOW), m.pause),
            (a_mentorship(), m.resume),
            (ended(NOW), m.pause),
            (ended(NOW), m.resume),
            (ended(NOW), m.end),
        ],
    )
    def test_does_not_take_a_step_that_its_state_does_not_allow(
        self, mentorship: Mentorship, step: object
    ) -> None:
        with pytest.raises(Conflict):
            step(mentorship, NOW)  # type: ignore[operator]


class TestRule7Pause:
    def test_what_was_due_at_or_before_its_beginning_is_decided_as_ever(self) -> None:
        for at in (DUE, DUE + timedelta(seconds=30)):
            assert decision_at(a_goal(), paused(at), GRACE) == DECIDED
            _, facts = decided(a_goal(), mentorship=paused(at), now=DECIDED)
            assert kinds(facts) == ["Missed"]

    def test_what_falls_due_in_it_is_not_decided(self) -> None:
        assert decision_at(a_goal(), paused(DUE - MS), GRACE) is None
        assert decided(a_goal(), mentorship=paused(DUE - MS), now=DUE + 30 * DAY)[1] == []

    def test_evidence_that_comes_in_it_counts(self) -> None:
        goal, facts = decided(a_goal(), [a_check_in(NOW + DAY)], mentorship=paused(NOW), now=NOW + 2 * DAY)
        assert (kinds(facts), goal.state) == (["Met"], "met")

    def test_only_active_goals_wait_for_a_decision(self) -> None:
        assert decision_at(a_missed_goal(), a_mentorship(), GRACE) is None
        assert decision_at(a_goal(), a_mentorship(), GRACE) == DECIDED


class TestRule7Resume:
    @pytest.mark.parametrize(
        ("duration", "days"),
        [
            (timedelta(0), 0),
            (MS, 1),
            (DAY, 1),
            (DAY + MS, 2),
            (7 * DAY, 7),
            (7 * DAY + timedelta(hours=1), 8),
        ],
    )
    def test_every_started_24_hours_are_a_day(self, duration: timedelta, days: int) -> None:
        assert days_paused(NOW, NOW + duration) == days

    def test_the_deadline_of_an_active_goal_moves_by_the_days_paused_not_eased_by_the_system(self) -> None:
        goal, (fact,) = gone_on(a_goal(), NOW, NOW + timedelta(days=3, hours=1))
        assert isinstance(fact, Revised)
        assert (fact.by, fact.eased, fact.changed, fact.agreed_by) == ("system", False, ("deadline",), ())
        assert goal.terms.deadline == due_on(date(2026, 12, 22))
        assert (goal.revision, goal.person_revision) == (2, 1)

    def test_it_keeps_its_time_of_day_when_the_clocks_change(self) -> None:
        goal = a_goal(deadline=due_on(date(2027, 3, 26)))
        moved, _ = gone_on(goal, NOW, NOW + 7 * DAY)
        assert moved.due_at - goal.due_at == 7 * DAY - timedelta(hours=1)

    def test_what_was_due_at_or_before_the_pause_does_not_move(self) -> None:
        assert gone_on(a_goal(), DUE, DUE + DAY)[1] == []
        assert kinds(gone_on(a_goal(), DUE - MS, DUE + DAY)[1]) == ["Revised"]

    def test_goals_that_are_not_active_stay_as_they_are(self) -> None:
        assert gone_on(a_missed_goal(), DUE + DAY, DUE + 5 * DAY)[1] == []

    def test_evidence_that_was_late_by_the_old_deadline_meets_the_moved_one(self) -> None:
        in_pause = a_check_in(DUE + DAY)
        facts = resume(a_goal(), DUE - DAY, [in_pause], grace=GRACE, now=DUE + 2 * DAY)
        assert kinds(facts) == ["Revised", "Met"]

    def test_a_deadline_that_is_proposed_moves_too_and_nobody_else_is_told(self) -> None:
        goal, facts = gone_on(proposed(deadline=LATER), NOW, NOW + 2 * DAY)
        assert kinds(facts) == ["ProposedMoved", "Revised"]
        assert isinstance(facts[0], ProposedMoved)
        assert goal.open_proposals[0].changes.deadline == due_on(date(2027, 1, 17))

    def test_so_does_the_deadline_of_a_goal_that_is_proposed_itself(self) -> None:
        goal = replace(proposed(title="Read more"), state="proposed", revision=0)
        moved, _ = gone_on(goal, NOW, NOW + 2 * DAY)
        assert moved.terms.deadline == due_on(date(2026, 12, 20))
        assert (moved.state, moved.revision) == ("proposed", 0)

    def test_a_goal_due_in_the_pause_is_decided_by_its_moved_deadline(self) -> None:
        mentorship = resumed(DUE - DAY, DUE + DAY)
        goal, _ = gone_on(a_goal(), DUE - DAY, DUE + DAY)
        assert decision_at(goal, mentorship, GRACE) == DUE + 2 * DAY + GRACE


class TestRule7End:
    def test_active_goals_are_dropped_once_check_ins_logged_before_it_are_in(self) -> None:
        end_at = NOW + DAY
        assert decision_at(a_goal(), ended(end_at), GRACE) == end_at
        goal, (fact,) = decided(a_goal(), mentorship=ended(end_at), now=end_at)
        assert isinstance(fact, Dropped)
        assert (goal.state, fact.by) == ("dropped", "system")

    def test_evidence_logged_before_it_meets_the_goal(self) -> None:
        end_at = NOW + DAY
        goal, facts = decided(a_goal(), [a_check_in(end_at - MS)], mentorship=ended(end_at), now=end_at)
        assert (kinds(facts), goal.state) == (["Met"], "met")

    def test_what_was_logged_after_it_is_no_evidence(self) -> None:
        end_at = NOW + DAY
        check_in = a_check_in(NOW, end_at)
        assert kinds(decided(a_goal(), [check_in], mentorship=ended(end_at), now=end_at)[1]) == ["Dropped"]

    def test_what_was_due_at_or_before_it_is_missed_as_ever(self) -> None:
        assert decision_at(a_goal(), ended(DUE), GRACE) == DECIDED
        assert kinds(decided(a_goal(), mentorship=ended(DUE), now=DECIDED)[1]) == ["Missed"]

    def test_what_fell_due_in_a_pause_that_turned_into_it_is_dropped(self) -> None:
        mentorship = ended(DUE + 5 * DAY, paused_at=DUE - DAY)
        assert kinds(decided(a_goal(), mentorship=mentorship, now=DUE + 5 * DAY)[1]) == ["Dropped"]

    def test_what_was_due_before_that_pause_is_missed(self) -> None:
        mentorship = ended(DUE + 5 * DAY, paused_at=DUE)
        assert kinds(decided(a_goal(), mentorship=mentorship, now=DUE + 5 * DAY)[1]) == ["Missed"]

    @pytest.mark.parametrize(
        "mentorship", [ended(DUE), ended(DUE + SECOND), ended(DUE + 2 * SECOND, paused_at=DUE + SECOND)]
    )
    def test_a_check_in_answered_within_the_grace_of_what_was_due_before_it_ends_in_no_miss(
        self, mentorship: Mentorship
    ) -> None:
        """Checkins had not heard of the end yet."""
        for logged_at in (DUE + 2 * SECOND, DECIDED - MS):
            timely = a_check_in(DUE - SECOND, logged_at)
            goal, facts = decided(a_goal(), [timely], mentorship=mentorship, now=DECIDED)
            assert (kinds(facts), goal.met_at) == (["Met"], DUE - SECOND)

    def test_a_replayed_one_takes_the_miss_back_at_once(self) -> None:
        timely = a_check_in(DUE - SECOND, DUE + 2 * SECOND)
        facts = weigh(a_missed_goal(), [timely], grace=GRACE, now=DUE + DAY, mentorship=ended(DUE + SECOND))
        assert kinds(facts) == ["Retracted", "Met"]

    def test_a_miss_tells_what_was_reported_within_its_grace_and_nothing_later(self) -> None:
        within = a_check_in(DUE - 2 * SECOND, DUE + 2 * SECOND, progress=value(3.5))
        beyond = a_check_in(DUE - SECOND, DECIDED, progress=value(6))
        _, (fact,) = decided(a_goal(), [within, beyond], mentorship=ended(DUE + SECOND), now=DECIDED + SECOND)
        assert isinstance(fact, Missed)
        assert (fact.fraction, fact.last_check_in_at) == (0.5, DUE - 2 * SECOND)

    def test_what_fell_due_in_a_pause_that_turned_into_it_has_no_grace(self) -> None:
        mentorship = ended(DUE + SECOND, paused_at=DUE - SECOND)
        timely = a_check_in(DUE - SECOND, DUE + 2 * SECOND)
        assert kinds(decided(a_goal(), [timely], mentorship=mentorship, now=DECIDED)[1]) == ["Dropped"]

    def test_what_is_proposed_is_withdrawn_by_the_system(self) -> None:
        goal = proposed(deadline=LATER)
        facts = end(goal, NOW)
        assert kinds(facts) == ["RevisionDeclined"]
        assert facts[0].by == "system"
        assert evolved(goal, facts).open_proposals == ()
        assert evolved(goal, facts).state == "active"

    def test_a_goal_that_is_proposed_itself_is_declined(self) -> None:
        goal = replace(proposed(title="Read more"), state="proposed", revision=0)
        assert evolved(goal, end(goal, NOW)).state == "declined"

    def test_belated_evidence_from_before_it_still_takes_a_miss_back(self) -> None:
        """Acknowledgements go on after the end; what is logged then counts no more."""
        end_at, now = DUE + 2 * DAY, DUE + 3 * DAY
        before, after = (a_check_in(DUE - DAY, at, acknowledged=True) for at in (end_at - MS, end_at))
        taken = weigh(a_missed_goal(), [before], grace=GRACE, now=now, mentorship=ended(end_at))
        assert kinds(taken) == ["Retracted", "Met"]
        assert weigh(a_missed_goal(), [after], grace=GRACE, now=now, mentorship=ended(end_at)) == []


def test_the_deadline_in_this_world_is_the_one_it_says() -> None:
    assert DEADLINE.due_at == DUE
