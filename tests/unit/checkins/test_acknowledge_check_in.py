"""Acknowledging a check-in: by whom it concerns, once each, never by its author."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.checkins.domain.check_in import Help, acknowledge
from shared import events as contract
from shared.errors import Conflict, Forbidden
from tests.unit.checkins.world import NOW, a_goal, a_mentorship, logged

LATER = NOW + timedelta(hours=1)


def test_the_counterpart_takes_notice_of_the_owners_check_in() -> None:
    check_in, _ = logged(goal=a_goal())
    after, (event,) = acknowledge(check_in, a_mentorship(), "mentor", "Well done", LATER)
    assert isinstance(event, contract.CheckInAcknowledged)
    assert (event.acknowledged_by, event.acknowledger_role, event.acknowledged_at) == (
        "mentor",
        "mentor",
        LATER,
    )
    assert "Well done" not in str(contract.to_document(event))
    assert [each.comment for each in after.acknowledgements] == ["Well done"]


def test_each_does_so_once() -> None:
    check_in, _ = logged("leader", help=Help(route_to="coordinator"))
    for person in ("mentor", "mentee", "coordinator"):
        check_in, _ = acknowledge(check_in, a_mentorship(), person, None, LATER)
        with pytest.raises(Conflict):
            acknowledge(check_in, a_mentorship(), person, None, LATER)
    assert [each.role for each in check_in.acknowledgements] == ["mentor", "mentee", None]


def test_who_is_no_participant_acknowledges_in_no_role() -> None:
    check_in, _ = logged(help=Help(route_to="coordinator"))
    _, (event,) = acknowledge(check_in, a_mentorship(), "coordinator", None, LATER)
    assert "acknowledger_role" not in contract.to_document(event)


def test_never_the_author() -> None:
    check_in, _ = logged()
    with pytest.raises(Forbidden):
        acknowledge(check_in, a_mentorship(), "mentee", None, LATER)


def test_a_goals_check_in_is_not_for_other_participants() -> None:
    check_in, _ = logged(goal=a_goal())
    with pytest.raises(Forbidden):
        acknowledge(check_in, a_mentorship(), "leader", None, LATER)


def test_a_mentorships_check_in_is_not_for_the_leader() -> None:
    check_in, _ = logged()
    with pytest.raises(Forbidden):
        acknowledge(check_in, a_mentorship(), "leader", None, LATER)


def test_of_a_sensitive_one_nothing_is_told() -> None:
    check_in, _ = logged(sensitive=True)
    after, events = acknowledge(check_in, a_mentorship(), "coordinator", "I will call you", LATER)
    assert events == []
    assert len(after.acknowledgements) == 1


def test_after_the_end_it_still_goes_on() -> None:
    check_in, _ = logged()
    acknowledge(check_in, a_mentorship(ended=True), "mentor", None, LATER)
