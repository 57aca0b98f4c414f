"""Logging a check-in: who may, on what, and what the world hears of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.checkins.domain.check_in import Help, occurred
from shared import events as contract
from shared.errors import Conflict, Forbidden, NotFound, Unprocessable
from tests.unit.checkins.world import NOW, a_command, a_goal, a_mentorship, logged

SEVEN_DAYS = timedelta(days=7)


def names(events: list[contract.Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def pointers(refused: pytest.ExceptionInfo[Unprocessable]) -> list[str | None]:
    return [error.pointer for error in refused.value.errors]


class TestWho:
    @pytest.mark.parametrize("author", ["mentor", "mentee", "leader"])
    def test_every_participant_checks_in_on_the_mentorship_in_their_role(self, author: str) -> None:
        check_in, (event,) = logged(author)
        assert check_in.author_role == author
        assert isinstance(event, contract.CheckInLogged)
        assert (event.author_id, event.author_role, event.goal_id) == (author, author, None)

    def test_to_who_is_no_participant_there_is_no_such_mentorship(self) -> None:
        with pytest.raises(NotFound):
            logged("coordinator")

    @pytest.mark.parametrize("author", ["mentee", "mentor"])
    def test_owner_and_counterpart_check_in_on_a_goal(self, author: str) -> None:
        check_in, _ = logged(author, goal=a_goal(), progress=contract.Progress(value=3.0))
        assert check_in.pair == ("mentee", "mentor")

    def test_another_participant_does_not_check_in_on_it(self) -> None:
        with pytest.raises(Forbidden):
            logged("leader", goal=a_goal())

    def test_the_leaders_counterpart_is_the_mentee(self) -> None:
        goal = a_goal(owner_id="leader", owner_role="leader", counterpart_id="mentee")
        logged("mentee", goal=goal)
        with pytest.raises(Forbidden):
            logged("mentor", goal=goal)

    def test_a_goal_of_another_mentorship_is_not_there(self) -> None:
        with pytest.raises(NotFound):
            logged(goal=a_goal(mentorship_id="m-2"))


class TestWhen:
    def test_what_is_not_said_to_have_occurred_before_occurs_now(self) -> None:
        assert occurred(a_command(), NOW, SEVEN_DAYS) == NOW

    @pytest.mark.parametrize("at", [NOW + timedelta(minutes=5), NOW - SEVEN_DAYS])
    def test_the_bounds_themselves_are_allowed(self, at: object) -> None:
        assert occurred(a_command(occurred_at=at), NOW, SEVEN_DAYS) == at

    @pytest.mark.parametrize(
        "at", [NOW + timedelta(minutes=5, milliseconds=1), NOW - SEVEN_DAYS - timedelta(milliseconds=1)]
    )
    def test_beyond_the_bounds_is_not(self, at: object) -> None:
        with pytest.raises(Unprocessable) as refused:
            occurred(a_command(occurred_at=at), NOW, SEVEN_DAYS)
        assert pointers(refused) == ["/occurred_at"]


class TestState:
    @pytest.mark.parametrize("state", ["active", "met", "missed"])
    def test_goals_that_are_set_take_check_ins_also_when_they_are_decided(self, state: str) -> None:
        logged(goal=a_goal(state=state))

    @pytest.mark.parametrize("state", ["proposed", "declined", "dropped"])
    def test_others_do_not(self, state: str) -> None:
        with pytest.raises(Conflict):
            logged(goal=a_goal(state=state))

    def test_of_a_proposed_goal_owner_and_counterpart_are_told_the_conflict_and_others_that_it_is_not_theirs(
        self,
    ) -> None:
        goal = a_goal(state="proposed", owner_id="mentor", owner_role=None, counterpart_id=None, measure=None)
        for author in ("mentor", "mentee"):
            with pytest.raises(Conflict):
                logged(author, goal=goal)
        with pytest.raises(Forbidden):
            logged("leader", goal=goal)

    def test_an_ended_mentorship_takes_none(self) -> None:
        with pytest.raises(Conflict):
            logged(mentorship=a_mentorship(ended=True))


class TestProgress:
    """Rule 1: it fits the measure."""

    @pytest.mark.parametrize(
        ("measure", "progress"),
        [
            (contract.Measure(kind="number", target=7.0), contract.Progress(value=-0.5)),
            (contract.Measure(kind="milestones", milestones=["draft"]), contract.Progress(milestones=[])),
            (contract.Measure(kind="done"), contract.Progress(done=False)),
        ],
    )
    def test_of_the_measures_kind_it_is_kept_and_told(
        self, measure: contract.Measure, progress: contract.Progress
    ) -> None:
        check_in, (event,) = logged(goal=a_goal(measure=measure), progress=progress)
        assert check_in.progress == progress
        assert isinstance(event, contract.CheckInLogged)
        assert event.progress == progress

    def test_of_another_kind_it_is_refused(self) -> None:
        with pytest.raises(Unprocessable) as refused:
            logged(goal=a_goal(), progress=contract.Progress(done=True))
        assert pointers(refused) == ["/progress"]

    def test_an_unknown_milestone_is_pointed_at(self) -> None:
        measure = contract.Measure(kind="milestones", milestones=["draft", "review"])
        with pytest.raises(Unprocessable) as refused:
            logged(goal=a_goal(measure=measure), progress=contract.Progress(milestones=["draft", "printed"]))
        assert pointers(refused) == ["/progress/milestones/1"]

    def test_a_milestone_named_twice_counts_once(self) -> None:
        measure = contract.Measure(kind="milestones", milestones=["draft", "review"])
        check_in, _ = logged(
            goal=a_goal(measure=measure), progress=contract.Progress(milestones=["review", "draft", "review"])
        )
        assert check_in.progress == contract.Progress(milestones=["draft", "review"])


class TestHelp:
    @pytest.mark.parametrize(
        ("author", "counterpart"), [("mentee", "mentor"), ("mentor", "mentee"), ("leader", "mentee")]
    )
    def test_goes_to_the_authors_counterpart_by_default(self, author: str, counterpart: str) -> None:
        check_in, events = logged(author, help=Help("stuck"))
        assert names(events) == ["CheckInLogged", "HelpRequested"]
        assert isinstance(events[1], contract.HelpRequested)
        assert events[1].route_to == check_in.routed_to == counterpart
        assert not events[1].sensitive

    @pytest.mark.parametrize("person", ["mentor", "leader", "coordinator", "contact"])
    def test_goes_where_it_is_sent_within_the_mentorships_people(self, person: str) -> None:
        check_in, _ = logged(
            mentorship=a_mentorship(support_contact_id="contact"), help=Help(route_to=person)
        )
        assert check_in.routed_to == person

    @pytest.mark.parametrize("person", ["mentee", "stranger", "contact"])
    def test_goes_neither_to_the_author_nor_to_strangers(self, person: str) -> None:
        with pytest.raises(Unprocessable) as refused:
            logged(help=Help(route_to=person))
        assert pointers(refused) == ["/help/route_to"]

    def test_no_event_carries_private_words(self) -> None:
        _, events = logged(help=Help("PRIVATE"), note="PRIVATE", feeling="bad")
        told = str([contract.to_document(event) for event in events])
        assert "PRIVATE" not in told
        assert "bad" not in told


class TestSensitive:
    """Rule 10: always routed, and nothing is heard of it but that help was asked for."""

    def test_goes_to_the_support_contact_first(self) -> None:
        check_in, events = logged(
            mentorship=a_mentorship(support_contact_id="contact"), sensitive=True, note="hm"
        )
        assert names(events) == ["HelpRequested"]
        assert check_in.routed_to == "contact"

    def test_goes_to_the_coordinator_where_there_is_no_contact(self) -> None:
        assert logged(sensitive=True)[0].routed_to == "coordinator"

    def test_never_goes_to_its_own_author(self) -> None:
        check_in, _ = logged("mentor", mentorship=a_mentorship(support_contact_id="mentor"), sensitive=True)
        assert check_in.routed_to == "coordinator"

    def test_is_refused_where_there_is_nobody_for_it(self) -> None:
        with pytest.raises(Unprocessable) as refused:
            logged(mentorship=a_mentorship(coordinator_id=None), sensitive=True)
        assert pointers(refused) == ["/help/route_to"]

    def test_the_call_for_help_says_that_it_is_sensitive(self) -> None:
        _, (event,) = logged(sensitive=True, goal=a_goal(), help=Help("please", "leader"))
        assert isinstance(event, contract.HelpRequested)
        assert (event.sensitive, event.route_to, event.goal_id) == (True, "leader", "g-1")
