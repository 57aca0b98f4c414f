"""Rule 10: for whom a check-in exists, and who reads its private words."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.checkins.domain.check_in import Help, acknowledge
from services.checkins.domain.privacy import (
    Reader,
    answer_without_words_of,
    exists_for,
    reads_words,
    without_words_of,
)
from tests.unit.checkins.world import NOW, a_goal, a_mentorship, logged

PARTICIPANTS = a_mentorship().participants
LATER = NOW + timedelta(hours=1)


def a_person(person_id: str) -> Reader:
    return Reader(person_id, in_person=True, participates=True, coordinates=False)


def an_integration(person_id: str) -> Reader:
    return Reader(person_id, in_person=False, participates=True, coordinates=False)


def a_coordinator(person_id: str) -> Reader:
    return Reader(person_id, in_person=True, participates=False, coordinates=True)


def sees(check_in: object, reader: Reader) -> str:
    """`nothing`, `facts` or `words`."""
    if not exists_for(check_in, reader, participant=reader.person_id in PARTICIPANTS):  # type: ignore[arg-type]
        return "nothing"
    return "words" if reads_words(check_in, reader) else "facts"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reader", "what"),
    [
        (a_person("mentee"), "words"),
        (a_person("mentor"), "words"),
        (an_integration("mentor"), "words"),
        (a_person("leader"), "facts"),
        (a_coordinator("hr"), "facts"),
        (a_coordinator("mentor"), "facts"),
        (a_person("stranger"), "nothing"),
    ],
)
def test_a_goals_check_in_is_read_by_owner_and_counterpart(reader: Reader, what: str) -> None:
    assert sees(logged(goal=a_goal(), note="hm")[0], reader) == what


@pytest.mark.parametrize(
    ("reader", "what"),
    [
        (a_person("leader"), "words"),
        (a_person("mentor"), "words"),
        (a_person("mentee"), "words"),
        (an_integration("leader"), "facts"),
    ],
)
def test_a_leaders_on_the_mentorship_also_by_the_leader_in_person(reader: Reader, what: str) -> None:
    assert sees(logged("leader", note="hm")[0], reader) == what


@pytest.mark.parametrize(
    ("reader", "what"),
    [
        (a_person("coordinator"), "words"),
        (a_coordinator("coordinator"), "words"),
        (an_integration("coordinator"), "facts"),
        (a_coordinator("hr"), "facts"),
    ],
)
def test_one_that_is_routed_also_by_whom_it_went_to_in_person(reader: Reader, what: str) -> None:
    assert sees(logged(goal=a_goal(), help=Help("hm", "coordinator"))[0], reader) == what


@pytest.mark.parametrize(
    ("reader", "what"),
    [
        (a_person("mentee"), "words"),
        (a_person("coordinator"), "words"),
        (a_coordinator("coordinator"), "words"),
        (a_person("mentor"), "nothing"),
        (a_person("leader"), "nothing"),
        (a_coordinator("hr"), "nothing"),
        (an_integration("mentee"), "nothing"),
        (an_integration("coordinator"), "nothing"),
    ],
)
def test_a_sensitive_one_exists_for_its_author_and_whom_it_went_to_alone(reader: Reader, what: str) -> None:
    assert sees(logged(goal=a_goal(), sensitive=True, note="hm")[0], reader) == what


class TestErasure:
    """Private words that a person stored up to then go; the rest stays."""

    def test_the_authors_words_go_and_the_acknowledgers_stay(self) -> None:
        check_in, _ = logged(note="mine", feeling="hard", help=Help("help"))
        check_in, _ = acknowledge(check_in, a_mentorship(), "mentor", "theirs", LATER)
        erased = without_words_of(check_in, "mentee", LATER)
        assert (erased.note, erased.feeling, erased.help_text) == (None, None, None)
        assert erased.routed_to == "mentor"
        assert [each.comment for each in erased.acknowledgements] == ["theirs"]

    def test_the_acknowledgers_words_go_and_the_authors_stay(self) -> None:
        check_in, _ = logged(note="mine")
        check_in, _ = acknowledge(check_in, a_mentorship(), "mentor", "theirs", LATER)
        erased = without_words_of(check_in, "mentor", LATER)
        assert erased.note == "mine"
        assert [(each.by, each.comment) for each in erased.acknowledgements] == [("mentor", None)]

    def test_what_is_stored_afterwards_stays(self) -> None:
        check_in, _ = logged(note="mine")
        check_in, _ = acknowledge(check_in, a_mentorship(), "mentor", "theirs", LATER)
        assert without_words_of(check_in, "mentee", NOW - timedelta(milliseconds=1)) == check_in
        assert without_words_of(check_in, "mentor", NOW) == check_in

    def test_kept_answers_lose_them_too(self) -> None:
        answer = {
            "checkin_id": "c-1",
            "author_id": "mentee",
            "logged_at": "2026-11-02T09:00:00Z",
            "note": "mine",
            "feeling": "hard",
            "help": {"text": "help", "route_to": "mentor"},
            "acknowledgements": [
                {
                    "acknowledged_by": "mentor",
                    "acknowledged_at": "2026-11-02T10:00:00Z",
                    "comment": "theirs",
                }
            ],
        }
        assert answer_without_words_of(answer, "mentee", LATER) == {
            "checkin_id": "c-1",
            "author_id": "mentee",
            "logged_at": "2026-11-02T09:00:00Z",
            "help": {"route_to": "mentor"},
            "acknowledgements": answer["acknowledgements"],
        }
        assert "theirs" not in str(answer_without_words_of(answer, "mentor", LATER))
        assert answer_without_words_of({"checkin_id": "c-1"}, "mentee", LATER) == {"checkin_id": "c-1"}
