"""The replica: what checkins remembers of mentorships and goals."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from services.checkins.domain.known import Goal, GoalEvent, MentorshipEvent, goal_after, mentorship_after
from shared import events as contract
from tests.builders import NOW, Pair

PAIR = Pair()
GOAL_ID = "g-1"
OWNED = {**PAIR.common, "goal_id": GOAL_ID, "owner_id": PAIR.mentee_id, "owner_role": "mentee", "revision": 1}


def goal_of(*events: GoalEvent) -> Goal:
    goal = None
    for number, event in enumerate(events):
        goal = goal_after(goal, event, NOW + timedelta(days=number))
    assert goal is not None
    return goal


def proposed() -> contract.RevisionProposed:
    return contract.RevisionProposed(
        **PAIR.common,
        goal_id=GOAL_ID,
        proposal_id="p-1",
        revision=0,
        proposed_by=PAIR.mentor_id,
        waits_for=PAIR.mentee_id,
        eased=False,
        proposed_at=NOW,
    )


def declined(proposal_id: str) -> contract.RevisionDeclined:
    return contract.RevisionDeclined(
        **PAIR.common, goal_id=GOAL_ID, proposal_id=proposal_id, declined_by=PAIR.mentee_id, declined_at=NOW
    )


def missed() -> contract.GoalMissed:
    return contract.GoalMissed(**OWNED, due_at=NOW, missed_at=NOW, fraction=0.0)


def revised(**changes: object) -> contract.GoalRevised:
    set_ = PAIR.goal_set(GOAL_ID, **{"revision": 2, **changes})
    fields = {name: getattr(set_, name) for name in set_.__struct_fields__}
    return contract.GoalRevised(
        **fields, changed=["title"], eased=False, revised_by=PAIR.mentee_id, agreed_by=[PAIR.mentee_id]
    )


class TestGoals:
    def test_a_goal_that_is_set_is_active(self) -> None:
        goal = goal_of(PAIR.goal_set(GOAL_ID))
        assert (goal.state, goal.owner_id, goal.counterpart_id) == ("active", PAIR.mentee_id, PAIR.mentor_id)

    def test_a_goal_set_for_somebody_waits_for_them_as_its_owner(self) -> None:
        goal = goal_of(proposed())
        assert (goal.state, goal.owner_id) == ("proposed", PAIR.mentee_id)
        assert goal_of(proposed(), PAIR.goal_set(GOAL_ID)).state == "active"

    def test_a_declined_goal_is_none_and_a_declined_change_changes_nothing(self) -> None:
        assert goal_of(proposed(), declined("p-1")).state == "declined"
        assert goal_of(PAIR.goal_set(GOAL_ID), declined("p-2")).state == "active"

    def test_a_miss_a_revival_and_a_drop(self) -> None:
        history: list[GoalEvent] = [PAIR.goal_set(GOAL_ID), missed(), revised()]
        assert goal_of(*history[:2]).state == "missed"
        assert goal_of(*history).state == "active"
        dropped = contract.GoalDropped(**OWNED, dropped_at=NOW)
        assert goal_of(*history, dropped).state == "dropped"

    def test_a_new_title_is_no_fact_of_the_cadence_and_a_revival_always_is(self) -> None:
        titled = goal_of(PAIR.goal_set(GOAL_ID), revised(title="Read eight papers"))
        assert titled.title == "Read eight papers"
        assert [fact.kind for fact in titled.facts] == ["set"]
        revived = goal_of(PAIR.goal_set(GOAL_ID), missed(), revised())
        assert [fact.kind for fact in revived.facts] == ["set", "missed", "revised"]

    def test_what_is_told_of_an_unknown_goal_is_left(self) -> None:
        assert goal_after(None, missed(), NOW) is None


class TestMentorships:
    def test_people_change_and_the_agreed_contact_stays(self) -> None:
        agreed = contract.ExpectationsAgreed(
            **PAIR.common,
            version=1,
            agreed_by=[PAIR.mentor_id, PAIR.mentee_id],
            review_on="2027-01-04",
            escalate_to_coordinator=False,
            support_contact_id="contact",
        )
        started = PAIR.started()
        fields = {name: getattr(started, name) for name in started.__struct_fields__}
        changed = contract.MentorshipChanged(**{**fields, "leader_id": "leader"}, changed=["leader_id"])
        mentorship = None
        steps: list[MentorshipEvent] = [started, agreed, changed]
        for event in steps:
            mentorship = mentorship_after(mentorship, event, NOW)
        assert mentorship is not None
        assert (mentorship.leader_id, mentorship.support_contact_id) == ("leader", "contact")
        assert mentorship.role_of("leader") == "leader"
        assert mentorship.counterpart_of("leader") == PAIR.mentee_id

    def test_pauses_and_the_end_are_facts_of_the_cadence(self) -> None:
        at = datetime(2026, 11, 3, tzinfo=UTC)
        mentorship = mentorship_after(None, PAIR.started(), NOW)
        for event in (
            contract.MentorshipPaused(**PAIR.common, at=at),
            contract.MentorshipResumed(**PAIR.common, at=at),
            contract.MentorshipEnded(**PAIR.common, at=at),
        ):
            mentorship = mentorship_after(mentorship, event, at)
        assert mentorship is not None
        assert mentorship.ended
        assert [fact.kind for fact in mentorship.facts] == ["paused", "resumed", "ended"]
