"""Setting a goal, and what the world hears of goals: never a private word."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from services.goals.domain import goal as g
from services.goals.domain.announce import goal_event, mentorship_event
from services.goals.domain.deadline import require_ahead
from services.goals.domain.goal import Goal, SetGoal, evolve, evolved, set_goal, without_words
from services.goals.domain.mentorship import Facts, Mentorship, Started
from services.goals.domain.mentorship import evolve as evolve_mentorship
from services.goals.domain.revision import accept, decline, revise
from shared import events as contract
from shared.errors import Conflict, Unprocessable
from tests.unit.goals.world import (
    DAY,
    DEADLINE,
    DECIDED,
    DUE,
    MS,
    NOW,
    RULES,
    a_goal,
    a_mentorship,
    a_missed_goal,
    asked,
    due_on,
    ended,
    kinds,
    paused,
    terms,
    words,
)


def set_by(by: str, owner: str | None = None, of: Mentorship | None = None) -> tuple[Goal, list[g.Fact]]:
    command = SetGoal(goal_id="g-1", proposal_id="p-1", by=by, owner_id=owner or by, terms=terms(), at=NOW)
    goal, facts = set_goal(of or a_mentorship(), command)
    return evolved(goal, facts), facts


class TestSetGoal:
    @pytest.mark.parametrize(
        ("owner", "counterpart"), [("mentee", "mentor"), ("mentor", "mentee"), ("leader", "mentee")]
    )
    def test_of_ones_own_it_is_set_at_once(self, owner: str, counterpart: str) -> None:
        goal, facts = set_by(owner)
        assert kinds(facts) == ["GoalSet"]
        assert (goal.state, goal.revision, goal.owner_role, goal.counterpart_id) == (
            "active",
            1,
            owner,
            counterpart,
        )

    @pytest.mark.parametrize("by", ["mentor", "leader"])
    def test_for_another_it_waits_until_they_accept(self, by: str) -> None:
        goal, facts = set_by(by, "mentee")
        assert kinds(facts) == ["RevisionProposed"]
        assert (goal.state, goal.revision, goal.set_at) == ("proposed", 0, None)
        (proposal,) = goal.open_proposals
        assert (proposal.revision, proposal.proposed_by, proposal.waits_for) == (0, by, "mentee")
        accepted = accept(goal, a_mentorship(), "p-1", [], by="mentee", now=NOW + DAY, rules=RULES)
        goal = evolved(goal, accepted)
        assert kinds(accepted) == ["GoalSet"]
        assert (goal.state, goal.revision, goal.set_at) == ("active", 1, NOW + DAY)

    def test_declined_it_never_was(self) -> None:
        goal, _ = set_by("mentor", "mentee")
        goal = evolved(goal, decline(goal, a_mentorship(), "p-1", by="mentee", now=NOW))
        assert goal.state == "declined"

    def test_accepted_after_its_deadline_it_is_refused(self) -> None:
        goal, _ = set_by("mentor", "mentee")
        accept(goal, a_mentorship(), "p-1", [], by="mentee", now=DUE - MS, rules=RULES)
        with pytest.raises(Conflict):
            accept(goal, a_mentorship(), "p-1", [], by="mentee", now=DUE, rules=RULES)

    def test_its_owner_is_a_participant(self) -> None:
        with pytest.raises(Unprocessable) as refused:
            set_by("mentor", "coordinator")
        assert [error.pointer for error in refused.value.errors] == ["/owner_id"]

    @pytest.mark.parametrize("of", [paused(NOW), ended(NOW)])
    def test_in_a_pause_and_after_the_end_none_is_set_proposed_or_accepted(self, of: Mentorship) -> None:
        """Rule 7."""
        for owner in ("mentor", "mentee"):
            with pytest.raises(Conflict):
                set_by("mentor", owner, of)
        goal, _ = set_by("mentor", "mentee")
        with pytest.raises(Conflict):
            accept(goal, of, "p-1", [], by="mentee", now=NOW, rules=RULES)

    def test_a_deadline_lies_ahead_and_within_ten_years(self) -> None:
        require_ahead(DEADLINE, DUE - MS)
        in_ten_years = due_on(date(2036, 11, 2), "10:00")  # 09:00 UTC, as NOW is
        require_ahead(in_ten_years, NOW)
        for deadline, now in ((DEADLINE, DUE), (in_ten_years, NOW - MS), (due_on(date.max), NOW)):
            with pytest.raises(Unprocessable):
                require_ahead(deadline, now)

    def test_ten_years_from_a_leap_day_end_on_the_28th(self) -> None:
        leap = NOW.replace(year=2028, month=2, day=29)
        require_ahead(due_on(date(2038, 2, 28), "10:00"), leap)
        with pytest.raises(Unprocessable):
            require_ahead(due_on(date(2038, 2, 28), "10:01"), leap)


class TestWhatTheWorldHears:
    def test_a_met_tells_how_early_in_days_unrounded(self) -> None:
        fact = g.Met(by="mentee", at=DUE, met_at=DUE - timedelta(hours=36))
        event = goal_event(evolve(a_goal(), fact), fact)
        assert isinstance(event, contract.GoalMet)
        assert event.days_early == 1.5
        late = g.Met(by="mentee", at=DUE, met_at=DUE + timedelta(hours=6))
        event = goal_event(evolve(a_missed_goal(), late), late)
        assert isinstance(event, contract.GoalMet)
        assert event.days_early == -0.25

    def test_a_retraction_tells_of_the_miss_that_it_takes_back(self) -> None:
        fact = g.Retracted(by="mentor", at=DUE + DAY, because="late_evidence")
        event = goal_event(evolve(a_missed_goal(), fact), fact)
        assert isinstance(event, contract.GoalMissRetracted)
        assert (event.missed_at, event.retracted_at, event.due_at) == (DECIDED, DUE + DAY, DUE)

    def test_no_event_carries_a_private_word(self) -> None:
        secret = "planted-secret"
        goal = replace(a_goal(), terms=terms(why=words(secret)))
        command = asked("mentor", title="Read nine papers", why=words(secret), reason=secret)
        story: list[g.Fact] = [
            g.GoalSet(by="mentee", at=NOW, reason=secret),
            *revise(goal, a_mentorship(), command, [], rules=RULES),
            *revise(goal, a_mentorship(), asked(title="Read", reason=secret), [], rules=RULES),
            g.RevisionDeclined(by="mentee", at=NOW, proposal_id=command.proposal_id, reason=secret),
            g.Missed(by="mentee", at=NOW, reason=secret, fraction=0.0, last_check_in_at=None),
            g.Disputed(by="mentee", at=NOW, occurred_at=NOW, reason=secret),
            g.DisputeRejected(by="mentor", at=NOW, reason=secret),
            g.Retracted(by="mentor", at=NOW, because="late_evidence", reason=secret),
            g.Met(by="mentee", at=NOW, met_at=NOW, reason=secret),
            g.Dropped(by="mentee", at=NOW, reason=secret),
        ]
        told = []
        for fact in story:
            goal = evolve(goal, fact)
            event = goal_event(goal, fact)
            assert event is not None
            told.append(contract.to_document(event))
        assert len(told) == len(story)
        assert secret not in json.dumps(told, default=str)

    def test_nor_does_a_mentorships(self) -> None:
        facts = Facts(time_zone="UTC", check_in_every_days=7, focus="planted-secret")
        mentorship = evolve_mentorship(a_mentorship(facts=facts), Started(at=NOW))
        told = contract.to_document(mentorship_event(mentorship, Started(at=NOW)))
        assert "planted-secret" not in json.dumps(told, default=str)


class TestErasure:
    def goal(self) -> Goal:
        goal = a_goal(why=words("mine", at=NOW))
        command = asked("mentor", title="Read more", why=words("theirs", "mentor"), reason="their reason")
        return evolved(goal, revise(goal, a_mentorship(), command, [], rules=RULES))

    def left(self, goal: Goal) -> set[str]:
        (proposal,) = goal.proposals
        kept = (goal.terms.why, proposal.reason, proposal.changes.why)
        return {each.text for each in kept if each is not None}

    def test_takes_the_words_of_that_person_and_leaves_those_of_others(self) -> None:
        assert self.left(self.goal()) == {"mine", "theirs", "their reason"}
        assert self.left(without_words(self.goal(), "mentee", NOW)) == {"theirs", "their reason"}
        assert self.left(without_words(self.goal(), "mentor", NOW)) == {"mine"}

    @pytest.mark.parametrize("asks", [{"title": "Read more"}, {}])
    def test_of_who_proposed_a_why_leaves_the_owner_their_own(self, asks: dict[str, Any]) -> None:
        """What was asked for is no more; that is not to ask that nothing be there."""
        goal = a_goal(why=words("mine"))
        command = asked("mentor", why=words("theirs", "mentor"), **asks)
        goal = without_words(
            evolved(goal, revise(goal, a_mentorship(), command, [], rules=RULES)), "mentor", NOW
        )
        (proposal,) = goal.proposals
        assert proposal.changes.names == tuple(asks)
        accepted = accept(goal, a_mentorship(), proposal.proposal_id, [], by="mentee", now=NOW, rules=RULES)
        assert evolved(goal, accepted).terms.why == words("mine")

    def test_leaves_a_proposal_to_remove_the_why_as_it_is(self) -> None:
        goal = a_goal(why=words("mine"))
        asks = evolved(goal, revise(goal, a_mentorship(), asked("mentor", why=None), [], rules=RULES))
        assert without_words(asks, "mentor", NOW) == asks

    def test_leaves_what_was_written_after_it(self) -> None:
        assert self.left(without_words(self.goal(), "mentee", NOW - MS)) == {"mine", "theirs", "their reason"}

    def test_changes_nothing_else(self) -> None:
        goal = without_words(self.goal(), "mentee", NOW)
        assert replace(goal, terms=replace(goal.terms, why=words("mine"))) == replace(
            self.goal(), proposals=goal.proposals
        )
