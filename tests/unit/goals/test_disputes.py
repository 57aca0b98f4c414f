"""Rule 5: an owner holds that a goal was met in time, and its counterpart rules."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from services.goals.domain.dispute import dispute, reject, uphold
from services.goals.domain.goal import Goal, Met, Retracted, evolved
from services.goals.domain.revision import accept, revise
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
    a_goal,
    a_mentorship,
    a_missed_goal,
    asked,
    belated,
    due_on,
    kinds,
    late,
)

THEN = DUE - DAY


def disputed(
    goal: Goal, *, by: str = "mentee", occurred_at: datetime = THEN, at: datetime = DUE + DAY
) -> Goal:
    facts = dispute(goal, by=by, occurred_at=occurred_at, reason="It was there.", now=at)
    assert kinds(facts) == ["Disputed"]
    return evolved(goal, facts)


class TestRule5Dispute:
    def test_the_owner_disputes_a_miss_and_it_waits_for_the_counterpart(self) -> None:
        goal = disputed(a_missed_goal())
        assert goal.open_dispute is not None
        assert (goal.state, goal.open_dispute.by, goal.open_dispute.occurred_at) == ("missed", "mentee", THEN)

    @pytest.mark.parametrize("by", ["mentor", "leader"])
    def test_others_do_not(self, by: str) -> None:
        with pytest.raises(Forbidden):
            disputed(a_missed_goal(), by=by)

    def test_the_same_holds_for_mentor_and_leader_whose_counterpart_is_the_mentee(self) -> None:
        for owner in ("mentor", "leader"):
            goal = disputed(a_missed_goal(owner), by=owner)
            assert kinds(uphold(goal, by="mentee", now=DUE + DAY)) == ["Retracted", "Met"]

    def test_upheld_it_takes_the_miss_back_and_meets_the_goal_when_the_owner_said(self) -> None:
        goal = disputed(a_missed_goal())
        facts = uphold(goal, by="mentor", now=DUE + 2 * DAY)
        retracted, met = facts
        assert isinstance(retracted, Retracted)
        assert isinstance(met, Met)
        assert (retracted.because, met.met_at) == ("dispute_upheld", THEN)
        after = evolved(goal, facts)
        assert (after.state, after.standing_miss, after.dispute and after.dispute.state) == (
            "met",
            None,
            "upheld",
        )

    def test_rejected_the_miss_stands(self) -> None:
        goal = disputed(a_missed_goal())
        after = evolved(goal, reject(goal, by="mentor", now=DUE + 2 * DAY))
        assert after.state == "missed"
        assert after.standing_miss is not None
        assert after.dispute is not None
        assert after.dispute.state == "rejected"

    @pytest.mark.parametrize("ruling", [uphold, reject])
    def test_only_the_counterpart_rules_and_only_while_it_is_open(self, ruling: Any) -> None:
        with pytest.raises(Conflict):
            ruling(a_missed_goal(), by="mentor", now=DUE + DAY)
        goal = disputed(a_missed_goal())
        for by in ("mentee", "leader"):
            with pytest.raises(Forbidden):
                ruling(goal, by=by, now=DUE + DAY)
        ruled = evolved(goal, ruling(goal, by="mentor", now=DUE + DAY))
        with pytest.raises(Conflict):
            ruling(ruled, by="mentor", now=DUE + DAY)

    def test_a_miss_is_disputed_once_however_it_was_ruled(self) -> None:
        goal = disputed(a_missed_goal())
        with pytest.raises(Conflict):
            disputed(goal)
        with pytest.raises(Conflict):
            disputed(evolved(goal, reject(goal, by="mentor", now=DUE + DAY)))

    def test_up_to_fourteen_days_after_it_was_missed(self) -> None:
        disputed(a_missed_goal(), at=DECIDED + 14 * DAY)
        with pytest.raises(Conflict):
            disputed(a_missed_goal(), at=DECIDED + 14 * DAY + MS)

    def test_it_is_about_what_occurred_before_the_deadline(self) -> None:
        disputed(a_missed_goal(), occurred_at=DUE - MS)
        with pytest.raises(Unprocessable) as refused:
            disputed(a_missed_goal(), occurred_at=DUE)
        assert [error.pointer for error in refused.value.errors] == ["/occurred_at"]

    def test_of_an_early_miss_it_is_about_what_has_occurred(self) -> None:
        early = DUE - 10 * DAY
        disputed(a_missed_goal(at=early), occurred_at=early + DAY, at=early + DAY)
        with pytest.raises(Unprocessable):
            disputed(a_missed_goal(at=early), occurred_at=early + 2 * DAY, at=early + DAY)

    def test_also_after_a_late_met(self) -> None:
        goal = a_missed_goal()
        goal = evolved(goal, weigh(goal, [late()], grace=GRACE, now=DUE + 2 * DAY))
        goal = disputed(goal, at=DUE + 3 * DAY)
        after = evolved(goal, uphold(goal, by="mentor", now=DUE + 3 * DAY))
        assert (after.state, after.met_at) == ("met", THEN)

    @pytest.mark.parametrize("goal", [a_goal(), evolved(a_goal(), [Met(by="mentee", at=NOW, met_at=NOW)])])
    def test_without_a_miss_there_is_nothing_to_dispute(self, goal: Goal) -> None:
        with pytest.raises(Conflict):
            disputed(goal)

    def test_a_retraction_closes_an_open_one_and_it_is_left_out(self) -> None:
        goal = disputed(a_missed_goal())
        after = evolved(goal, weigh(goal, [belated("mentor")], grace=GRACE, now=DUE + 2 * DAY))
        assert (after.state, after.dispute) == ("met", None)
        with pytest.raises(Conflict):
            uphold(after, by="mentor", now=DUE + 2 * DAY)

    def test_a_revision_closes_it_and_the_next_miss_may_be_disputed_again(self) -> None:
        goal = disputed(a_missed_goal())
        command = asked(deadline=due_on(date(2027, 1, 15)), at=DUE + DAY)
        goal = evolved(goal, revise(goal, a_mentorship(), command, [], rules=RULES))
        goal = evolved(
            goal,
            accept(goal, a_mentorship(), command.proposal_id, [], by="mentor", now=DUE + DAY, rules=RULES),
        )
        assert (goal.state, goal.dispute) == ("active", None)
        with pytest.raises(Conflict):
            uphold(goal, by="mentor", now=DUE + DAY)
