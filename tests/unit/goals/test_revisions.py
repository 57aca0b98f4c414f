"""Rule 6: changing a goal. Renegotiated is not missed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from services.goals.domain.evidence import CheckIn
from services.goals.domain.goal import Dropped, Goal, Met, Missed, Revised, evolved
from services.goals.domain.mentorship import Mentorship
from services.goals.domain.pause import resume
from services.goals.domain.progress import Measure, Progress
from services.goals.domain.revision import Revise, accept, decline, eased, revise
from services.goals.domain.rules import MAX_REVISIONS
from services.goals.domain.verdict import weigh
from shared.errors import Conflict, Forbidden, NotFound, Unprocessable
from tests.unit.goals.world import (
    DAY,
    DEADLINE,
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
    asked,
    belated,
    due_on,
    ended,
    kinds,
    paused,
    terms,
    value,
    words,
)

LATER = due_on(date(2027, 1, 15))
HORIZON = datetime(2026, 12, 16, 16, tzinfo=UTC)
"""The cutoff, 17:00 in Berlin, on the second workday before Friday the 18th."""


def revised(
    goal: Goal, command: Revise, *check_ins: CheckIn, mentorship: Mentorship | None = None
) -> tuple[Goal, list[Any]]:
    facts = revise(goal, mentorship or a_mentorship(), command, check_ins, rules=RULES)
    return evolved(goal, facts), list(facts)


def accepted(
    goal: Goal,
    *check_ins: CheckIn,
    by: str = "mentor",
    at: datetime = NOW,
    mentorship: Mentorship | None = None,
    proposal_id: str | None = None,
) -> tuple[Goal, list[Any]]:
    proposal_id = proposal_id or goal.open_proposals[-1].proposal_id
    facts = accept(goal, mentorship or a_mentorship(), proposal_id, check_ins, by=by, now=at, rules=RULES)
    return evolved(goal, facts), list(facts)


class TestRule6Eased:
    def number(self, target: float, baseline: float | None = None) -> Measure:
        return Measure(kind="number", unit="papers", baseline=baseline, target=target)

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ({}, {"deadline": LATER}, True),
            ({}, {"deadline": due_on(date(2026, 12, 18), "17:01")}, True),
            ({}, {"deadline": due_on(date(2026, 12, 17))}, False),
            ({}, {"deadline": replace(DEADLINE, time_zone="Europe/Lisbon")}, True),
            ({}, {"deadline": replace(DEADLINE, time_zone="Europe/Helsinki")}, False),
            ({}, {"measure": Measure(kind="number", target=6.0)}, True),
            ({}, {"measure": Measure(kind="number", target=8.0)}, False),
            ({}, {"measure": Measure(kind="number", unit="books", target=7.0)}, False),
            ({}, {"measure": Measure(kind="number", baseline=3.0, target=7.0)}, False),
            ({}, {"measure": Measure(kind="done")}, True),
            ({}, {"measure": Measure(kind="milestones", milestones=("a", "b"))}, True),
            ({}, {"title": "Read seven papers twice", "check_in_every_days": 30}, False),
            ({"measure": Measure(kind="done")}, {"measure": Measure(kind="number", target=100.0)}, True),
        ],
    )
    def test_means_less_or_later(self, old: dict[str, Any], new: dict[str, Any], expected: bool) -> None:
        assert eased(terms(**{**old, **new}), terms(**old)) is expected

    @pytest.mark.parametrize(("target", "expected"), [(5.0, True), (3.0, False), (1.0, False), (4.0, False)])
    def test_a_target_is_eased_towards_the_old_baseline_also_counting_down(
        self, target: float, expected: bool
    ) -> None:
        assert eased(terms(measure=self.number(target, 10)), terms(measure=self.number(4, 10))) is expected

    @pytest.mark.parametrize(
        ("milestones", "expected"),
        [(("a", "b"), True), (("x", "y", "z"), False), (("a", "b", "c", "d"), False)],
    )
    def test_fewer_milestones_are_other_ones_are_not(
        self, milestones: tuple[str, ...], expected: bool
    ) -> None:
        old = terms(measure=Measure(kind="milestones", milestones=("a", "b", "c")))
        assert eased(terms(measure=Measure(kind="milestones", milestones=milestones)), old) is expected


class TestRule6Owner:
    def test_revises_an_active_goal_at_once(self) -> None:
        goal, (fact,) = revised(a_goal(), asked(title="Read seven papers aloud", check_in_every_days=14))
        assert isinstance(fact, Revised)
        assert (fact.changed, fact.eased, fact.by, fact.agreed_by) == (
            ("title", "check_in_every_days"),
            False,
            "mentee",
            (),
        )
        assert (goal.state, goal.revision, goal.terms.title) == ("active", 2, "Read seven papers aloud")
        assert goal.terms.deadline == DEADLINE

    def test_eases_it_alone_until_the_cutoff_on_the_second_workday_before_its_date(self) -> None:
        command = asked(deadline=LATER, at=HORIZON - MS)
        goal, (fact,) = revised(a_goal(), command)
        assert isinstance(fact, Revised)
        assert (goal.state, fact.eased) == ("active", True)

    def test_from_then_on_easing_waits_for_the_counterpart(self) -> None:
        goal, facts = revised(a_goal(), asked(deadline=LATER, at=HORIZON, reason="Ill."))
        assert kinds(facts) == ["RevisionProposed"]
        (proposal,) = goal.open_proposals
        assert (proposal.waits_for, proposal.eased, proposal.revision) == ("mentor", True, 1)
        assert (goal.state, goal.terms.deadline) == ("active", DEADLINE)

    def test_weekends_are_no_workdays_for_that(self) -> None:
        goal = a_goal(deadline=due_on(date(2026, 12, 14)))  # a Monday: the second workday before is Thursday
        thursday = datetime(2026, 12, 10, 16, tzinfo=UTC)
        assert kinds(revised(goal, asked(deadline=LATER, at=thursday - MS))[1]) == ["Revised"]
        assert kinds(revised(goal, asked(deadline=LATER, at=thursday))[1]) == ["RevisionProposed"]

    def test_what_is_not_eased_never_waits(self) -> None:
        command = asked(title="Read them all", at=DUE - MS)
        assert kinds(revised(a_goal(), command)[1]) == ["Revised"]

    def test_what_changes_nothing_is_no_revision(self) -> None:
        assert revised(a_goal(), asked(title="Read seven papers", deadline=DEADLINE))[1] == []

    def test_a_revised_goal_is_weighed_at_once_by_its_new_measure_and_deadline(self) -> None:
        known = a_check_in(NOW, progress=value(5))
        goal, facts = revised(
            a_goal(), asked(measure=Measure(kind="number", target=5.0), at=NOW + DAY), known
        )
        assert kinds(facts) == ["Revised", "Met"]
        assert (goal.state, goal.revision, goal.met_at) == ("met", 2, NOW)

    def test_what_was_reported_by_the_old_measure_does_not_fit_another_kind(self) -> None:
        _, facts = revised(a_goal(), asked(measure=Measure(kind="done")), a_check_in(progress=value(5)))
        assert kinds(facts) == ["Revised"]

    def test_check_ins_logged_before_it_that_were_not_seen_are_weighed_by_the_new_revision(self) -> None:
        """Rule 2."""
        seven = a_check_in(NOW + DAY)
        goal, _ = revised(a_goal(), asked(measure=Measure(kind="number", target=9.0), at=NOW + 2 * DAY))
        assert weigh(goal, [seven], grace=GRACE, now=NOW + 3 * DAY) == []


class TestRule6Counterpart:
    def test_what_they_want_waits_for_the_owner(self) -> None:
        goal, facts = revised(a_goal(), asked("mentor", measure=Measure(kind="number", target=9.0)))
        assert kinds(facts) == ["RevisionProposed"]
        assert goal.open_proposals[0].waits_for == "mentee"
        goal, (fact,) = accepted(goal, by="mentee", at=NOW + DAY)
        assert isinstance(fact, Revised)
        assert (fact.by, fact.agreed_by, fact.eased) == ("mentor", ("mentee",), False)
        assert goal.proposals[0].state == "accepted"
        assert goal.proposals[0].decided_by == "mentee"

    @pytest.mark.parametrize(("owner", "other"), [("mentee", "leader"), ("leader", "mentor")])
    def test_other_participants_are_refused(self, owner: str, other: str) -> None:
        with pytest.raises(Forbidden):
            revised(a_goal(owner), asked(other, title="Read less"))


class TestRule6Revival:
    def test_needs_a_new_deadline(self) -> None:
        for command in (asked(title="Again", at=DECIDED), asked(deadline=DEADLINE, at=DECIDED)):
            with pytest.raises(Unprocessable) as refused:
                revised(a_missed_goal(), command)
            assert [error.pointer for error in refused.value.errors] == ["/deadline"]

    @pytest.mark.parametrize(("by", "other"), [("mentee", "mentor"), ("mentor", "mentee")])
    def test_needs_both(self, by: str, other: str) -> None:
        goal, facts = revised(a_missed_goal(), asked(by, deadline=LATER, at=DECIDED))
        assert kinds(facts) == ["RevisionProposed"]
        assert (goal.state, goal.open_proposals[0].waits_for) == ("missed", other)
        goal, _ = accepted(goal, by=other, at=DECIDED + DAY)
        assert (goal.state, goal.revision, goal.miss) == ("active", 2, None)

    def test_the_miss_of_the_earlier_revision_is_taken_back_no_more(self) -> None:
        goal, _ = revised(a_missed_goal(), asked(deadline=LATER, at=DECIDED))
        goal, _ = accepted(goal, at=DECIDED)
        facts = weigh(goal, [belated("mentor")], grace=GRACE, now=DUE + DAY)
        assert kinds(facts) == ["Met"]

    def test_it_may_be_met_at_once_by_what_is_known(self) -> None:
        goal, _ = revised(a_missed_goal(), asked(deadline=LATER, at=DECIDED))
        unacknowledged = belated()
        goal, facts = accepted(goal, unacknowledged, at=DUE + DAY)
        assert kinds(facts) == ["Revised", "Met"]
        assert goal.met_at == unacknowledged.occurred_at

    def test_is_not_for_a_leader_who_has_left(self) -> None:
        facts = replace(a_mentorship().facts, leader_id="another")
        without = a_mentorship(facts=facts)
        goal = a_missed_goal("leader")
        command = asked("mentee", deadline=LATER, at=DECIDED)
        # Without a deadline it is wrong in both ways, and conflicts come first.
        for each in (command, asked("mentee", title="Again", at=DECIDED)):
            with pytest.raises(Conflict):
                revised(goal, each, mentorship=without)
        goal, _ = revised(goal, command)
        with pytest.raises(Conflict):
            accepted(goal, by="leader", at=DECIDED, mentorship=without)

    def test_an_early_miss_is_revived_with_another_deadline_too(self) -> None:
        early = a_missed_goal(at=DUE - 10 * DAY)
        with pytest.raises(Unprocessable):
            revised(early, asked(deadline=DEADLINE, at=DUE - 9 * DAY))
        assert kinds(revised(early, asked(deadline=LATER, at=DUE - 9 * DAY))[1]) == ["RevisionProposed"]


class TestRule6Acceptance:
    def proposed(self, **changes: Any) -> Goal:
        return revised(a_goal(), asked("mentor", **{"title": "Read nine papers", **changes}))[0]

    def test_is_of_who_it_waits_for(self) -> None:
        for by in ("mentor", "leader"):
            with pytest.raises(Forbidden):
                accepted(self.proposed(), by=by)

    def test_is_once(self) -> None:
        goal, _ = accepted(self.proposed(), by="mentee")
        with pytest.raises(Conflict):
            accepted(goal, by="mentee", proposal_id=goal.proposals[0].proposal_id)

    def test_of_what_is_not_there_is_refused(self) -> None:
        with pytest.raises(NotFound):
            accepted(a_goal(), proposal_id="p-none")

    def test_after_a_revision_of_a_persons_is_refused(self) -> None:
        goal, _ = revised(self.proposed(), asked(title="Read six papers"))
        with pytest.raises(Conflict):
            accepted(goal, by="mentee")

    def test_after_a_revision_of_the_systems_holds_and_its_deadline_has_moved_too(self) -> None:
        goal = self.proposed(deadline=LATER)
        goal = evolved(goal, resume(goal, NOW, [], grace=GRACE, now=NOW + 2 * DAY))
        assert goal.revision == 2
        goal, _ = accepted(goal, by="mentee", at=NOW + 3 * DAY)
        assert goal.terms.deadline == due_on(date(2027, 1, 17))

    def test_after_its_deadline_is_refused(self) -> None:
        goal = self.proposed(deadline=due_on(date(2026, 11, 20)))
        with pytest.raises(Conflict):
            accepted(goal, by="mentee", at=goal.open_proposals[0].changes.deadline.due_at)  # type: ignore[union-attr]

    def test_of_a_goal_missed_meanwhile_revives_it_if_it_brings_a_deadline(self) -> None:
        missed = Missed(by="system", at=DECIDED, fraction=0.0, last_check_in_at=None)
        with pytest.raises(Conflict):
            accepted(evolved(self.proposed(), [missed]), by="mentee", at=DECIDED)
        goal, _ = accepted(evolved(self.proposed(deadline=LATER), [missed]), by="mentee", at=DECIDED)
        assert (goal.state, goal.revision) == ("active", 2)

    @pytest.mark.parametrize("fact", [Dropped(by="mentee", at=NOW), Met(by="mentee", at=NOW, met_at=NOW)])
    def test_of_a_goal_that_was_closed_meanwhile_is_refused(self, fact: Any) -> None:
        with pytest.raises(Conflict):
            accepted(evolved(self.proposed(), [fact]), by="mentee")

    def test_whether_it_eases_is_told_by_the_terms_as_they_are_then(self) -> None:
        goal = self.proposed(measure=Measure(kind="number", target=7.5))
        assert not goal.open_proposals[0].eased
        goal, (fact,) = accepted(goal, by="mentee")
        assert not fact.eased


class TestRule6Decline:
    @pytest.mark.parametrize("by", ["mentee", "mentor"])
    def test_is_of_who_it_waits_for_and_of_the_proposer(self, by: str) -> None:
        goal, _ = revised(a_goal(), asked("mentor", title="Read more"))
        proposal_id = goal.proposals[0].proposal_id
        facts = decline(goal, a_mentorship(), proposal_id, by=by, now=NOW)
        goal = evolved(goal, facts)
        assert (goal.state, goal.proposals[0].state, goal.proposals[0].decided_by) == (
            "active",
            "declined",
            by,
        )
        with pytest.raises(Conflict):
            decline(goal, a_mentorship(), proposal_id, by=by, now=NOW)

    def test_is_not_of_others(self) -> None:
        goal, _ = revised(a_goal(), asked("mentor", title="Read more"))
        with pytest.raises(Forbidden):
            decline(goal, a_mentorship(), goal.proposals[0].proposal_id, by="leader", now=NOW)


class TestRule6Refused:
    @pytest.mark.parametrize(
        "goal",
        [
            evolved(a_goal(), [Dropped(by="mentee", at=NOW)]),
            evolved(a_goal(), [Met(by="mentee", at=NOW, met_at=NOW)]),
            replace(a_goal(), state="proposed"),
            replace(a_goal(), state="declined"),
        ],
    )
    def test_a_goal_that_is_neither_active_nor_missed_is_not_revised(self, goal: Goal) -> None:
        with pytest.raises(Conflict):
            revised(goal, asked(title="Other"))

    def test_from_its_deadline_until_it_is_decided_it_is_not_revised(self) -> None:
        """Rule 3."""
        revised(a_goal(), asked(title="Other", at=DUE - MS))
        for at in (DUE, DECIDED, DECIDED + DAY):
            with pytest.raises(Conflict) as refused:
                revised(a_goal(), asked(title="Other", at=at))
            assert refused.value.retry_after

    @pytest.mark.parametrize("mentorship", [paused(NOW), ended(NOW)])
    def test_while_the_mentorship_is_paused_or_over_it_is_not_revised(self, mentorship: Mentorship) -> None:
        """Rule 7."""
        with pytest.raises(Conflict):
            revised(a_goal(), asked(title="Other"), mentorship=mentorship)

    def test_a_goal_has_at_most_500_revisions(self) -> None:
        revised(replace(a_goal(), revision=MAX_REVISIONS - 1), asked(title="Other"))
        with pytest.raises(Conflict):
            revised(replace(a_goal(), revision=MAX_REVISIONS), asked(title="Other"))


class TestWhatChanged:
    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            ({"why": words("Because.")}, ("why",)),
            ({"measure": Measure(kind="done"), "title": "Other"}, ("title", "measure")),
            ({"deadline": LATER, "check_in_every_days": 7}, ("deadline",)),
        ],
    )
    def test_is_named_in_the_order_of_the_terms(
        self, changes: dict[str, Any], expected: tuple[str, ...]
    ) -> None:
        _, (fact,) = revised(a_goal(), asked(**changes))
        assert fact.changed == expected

    def test_removing_the_why_is_a_change_and_writing_the_same_is_none(self) -> None:
        goal = a_goal(why=words("Because."))
        assert revised(goal, asked(why=words("Because.", by="mentor")))[1] == []
        after, (fact,) = revised(goal, asked(why=None))
        assert (fact.changed, after.terms.why) == (("why",), None)

    def test_done_or_not_is_measured_again_by_progress_that_fits(self) -> None:
        done = a_check_in(progress=Progress(done=True))
        _, facts = revised(a_goal(), asked(measure=Measure(kind="done")), done)
        assert kinds(facts) == ["Revised", "Met"]
