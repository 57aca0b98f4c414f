"""Mentorships, and the expectations that both discuss first: versioned, signed by mentor and mentee."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from msgspec.structs import replace

from services.goals.domain import expectations as e
from services.goals.domain import mentorship as m
from services.goals.domain.expectations import Draft, Expectations, Item
from services.goals.domain.mentorship import ExpectationsAgreed, ExpectationsProposed, Facts, Mentorship
from shared.errors import Conflict, Forbidden, Unprocessable
from tests.unit.goals.world import DAY, NOW, a_mentorship, ended, kinds, paused

DRAFT = Draft(
    items=(Item(role="mentor", text="Answer within two days."), Item(role="mentee", text="Come prepared.")),
    review_on=date(2027, 2, 1),
    escalate_to_coordinator=True,
    support_contact_id="counsel",
)


def proposed(by: str = "mentor", of: Mentorship | None = None) -> tuple[Mentorship, Expectations, list[Any]]:
    mentorship = of or a_mentorship()
    version, facts = e.propose(mentorship, DRAFT, by=by, now=NOW)
    return m.evolved(mentorship, facts), version, list(facts)


class TestExpectations:
    @pytest.mark.parametrize(("by", "other"), [("mentor", "mentee"), ("mentee", "mentor")])
    def test_one_proposes_signs_by_it_and_the_other_is_waited_for(self, by: str, other: str) -> None:
        mentorship, version, (fact,) = proposed(by)
        assert isinstance(fact, ExpectationsProposed)
        assert (fact.version, fact.proposed_by, fact.waits_for) == (1, by, other)
        assert (version.state, version.signed_by) == ("proposed", (by,))
        assert (mentorship.proposed, mentorship.agreed) == (1, None)

    def test_they_hold_once_both_have_signed(self) -> None:
        mentorship, version, _ = proposed()
        agreed, facts = e.sign(mentorship, version, by="mentee", now=NOW + DAY)
        (fact,) = facts
        assert isinstance(fact, ExpectationsAgreed)
        assert (fact.agreed_by, fact.escalate_to_coordinator, fact.support_contact_id) == (
            ("mentor", "mentee"),
            True,
            "counsel",
        )
        assert (agreed.state, agreed.agreed_at) == ("agreed", NOW + DAY)
        mentorship = m.evolved(mentorship, facts)
        assert (mentorship.proposed, mentorship.agreed) == (None, 1)

    def test_signing_again_changes_nothing(self) -> None:
        mentorship, version, _ = proposed()
        assert e.sign(mentorship, version, by="mentor", now=NOW) == (version, [])
        agreed, _ = e.sign(mentorship, version, by="mentee", now=NOW)
        for by in ("mentor", "mentee"):
            assert e.sign(mentorship, agreed, by=by, now=NOW) == (agreed, [])

    def test_a_new_version_leaves_the_agreed_one_in_force_until_both_have_signed(self) -> None:
        mentorship, version, _ = proposed()
        mentorship = m.evolved(mentorship, e.sign(mentorship, version, by="mentee", now=NOW)[1])
        mentorship, second, _ = proposed("mentee", mentorship)
        assert (second.version, mentorship.proposed, mentorship.agreed) == (2, 2, 1)
        mentorship = m.evolved(mentorship, e.sign(mentorship, second, by="mentor", now=NOW)[1])
        assert (mentorship.proposed, mentorship.agreed) == (None, 2)

    def test_one_that_was_superseded_is_signed_no_more(self) -> None:
        mentorship, version, _ = proposed()
        with pytest.raises(Conflict):
            e.sign(mentorship, e.superseded(version), by="mentee", now=NOW)

    @pytest.mark.parametrize("by", ["leader", "coordinator"])
    def test_they_are_of_mentor_and_mentee_alone(self, by: str) -> None:
        with pytest.raises(Forbidden):
            proposed(by)
        mentorship, version, _ = proposed()
        with pytest.raises(Forbidden):
            e.sign(mentorship, version, by=by, now=NOW)

    def test_they_may_be_agreed_in_a_pause_after_the_end_not(self) -> None:
        """Rule 7."""
        mentorship, version, _ = proposed(of=paused(NOW))
        assert kinds(e.sign(mentorship, version, by="mentee", now=NOW)[1]) == ["ExpectationsAgreed"]
        with pytest.raises(Conflict):
            proposed(of=ended(NOW))
        with pytest.raises(Conflict):
            e.sign(ended(NOW), version, by="mentee", now=NOW)


class TestChangingAMentorship:
    def changed(self, mentorship: Mentorship, holds: bool = False, **changes: Any) -> list[Any]:
        facts: Facts = replace(mentorship.facts, **changes)
        return list(m.change(mentorship, facts, leader_holds_goals=holds, now=NOW))

    def test_tells_what_is_other_than_before(self) -> None:
        (fact,) = self.changed(
            a_mentorship(), time_zone="Asia/Tokyo", coordinator_id=None, leader_id="leader"
        )
        assert fact.changed == ("coordinator_id", "time_zone")

    def test_that_changes_nothing_tells_nothing(self) -> None:
        assert self.changed(a_mentorship()) == []

    @pytest.mark.parametrize("to", [None, "other"])
    def test_a_leader_with_open_goals_stays(self, to: str | None) -> None:
        with pytest.raises(Conflict):
            self.changed(a_mentorship(), holds=True, leader_id=to)
        assert self.changed(a_mentorship(), holds=True, time_zone="Asia/Tokyo")
        assert self.changed(a_mentorship(), leader_id=to)

    @pytest.mark.parametrize("leader", ["mentor", "mentee"])
    def test_the_leader_is_a_third_person(self, leader: str) -> None:
        with pytest.raises(Unprocessable) as refused:
            self.changed(a_mentorship(), leader_id=leader)
        assert [error.pointer for error in refused.value.errors] == ["/leader_id"]

    def test_in_a_pause_it_is_changed_after_the_end_not(self) -> None:
        assert self.changed(paused(NOW), time_zone="Asia/Tokyo")
        with pytest.raises(Conflict):
            self.changed(ended(NOW), time_zone="Asia/Tokyo")

    def test_each_change_is_another_version(self) -> None:
        mentorship = a_mentorship()
        assert mentorship.version == 1
        assert m.evolved(mentorship, self.changed(mentorship, focus="Speaking")).version == 2

    def test_everybody_accounts_to_their_counterpart(self) -> None:
        mentorship = a_mentorship()
        assert [mentorship.counterpart_of(role) for role in ("mentor", "mentee", "leader")] == [
            "mentee",
            "mentor",
            "mentee",
        ]
