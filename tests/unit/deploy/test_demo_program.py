"""A program's file: what it says, and that what is wrong in it is told with its place."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.local.demo.__main__ import PROGRAM
from deploy.local.demo.program import Calendar, Program, ProgramError, read

GOAL = {
    "goal": "exams",
    "mentorship": "mara-ben",
    "title": "Finish 40 practice exams",
    "measure": {"kind": "number", "target": 40},
    "due": "week 3 fri",
}
SIX = {
    "people": {name: name for name in ("kim", "mara", "ben", "lena", "jonas", "chidi", "finn")},
    "mentorships": {
        "mara-ben": {"mentor": "mara", "mentee": "ben", "leader": "lena"},
        "jonas-chidi": {"mentor": "jonas", "mentee": "chidi", "leader": "finn"},
    },
}


def document(*steps: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A program that is right: Ben sets a goal, then what the steps say."""
    whole: dict[str, Any] = {
        "organization": "acme",
        "program": "spring",
        "time_zone": "Europe/Berlin",
        "weeks": 4,
        "coordinator": "kim",
        "people": {"kim": "Kim", "mara": "Mara", "ben": "Ben", "lena": "Lena"},
        "mentorships": {"mara-ben": {"mentor": "mara", "mentee": "ben", "leader": "lena"}},
        "expectations": {
            "proposed": "week 1 mon 09:30",
            "signed": "week 1 tue 09:30",
            "review": "week 2 wed",
            "items": [{"role": "mentor", "text": "I make an hour a week."}],
        },
        "steps": [{"at": "week 1 mon 10:00", "who": "ben", "set": GOAL}, *steps],
    }
    return {**whole, **changes}


def written(tmp_path: Path, document: dict[str, Any]) -> Path:
    file = tmp_path / "program.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def step(**deed: Any) -> dict[str, Any]:
    return {"at": "week 2 thu 17:00", "who": "ben", **deed}


class TestReading:
    def test_the_example_is_a_program(self) -> None:
        program = read(PROGRAM)
        assert (program.weeks, len(program.mentorships), len(program.goals)) == (12, 5, 7)

    def test_what_it_says_can_be_asked(self, tmp_path: Path) -> None:
        program = read(written(tmp_path, document(step(check_in={"goal": "exams", "value": 7}))))
        mentorship = program.mentorship_of("exams")
        assert mentorship.participants == {"mentor": "mara", "mentee": "ben", "leader": "lena"}
        assert [mentorship.counterpart(owner) for owner in ("ben", "mara", "lena")] == ["mara", "ben", "ben"]
        assert program.steps[1].check_in is not None
        assert program.steps[1].check_in.progress == {"value": 7}

    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            (
                document(step(check_in={"goal": "exams", "valu": 7})),
                r"unknown field `valu` - at `\$\.steps\[1\]",
            ),
            (document(weeks="four"), r"Expected `int`, got `str` - at `\$\.weeks`"),
            (document(step()), "week 2 thu 17:00: one thing at a time"),
            (document(step(pause="mara-ben", resume="mara-ben")), "week 2 thu 17:00: one thing at a time"),
            (document(step(check_in={"goal": "exam"})), "week 2 thu 17:00: the goal exam is not set at all"),
            (
                document(step(at="week 1 mon 09:45", check_in={"goal": "exams"})),
                "week 1 mon 09:45: the goal exams is not set yet",
            ),
            (document(step(set=GOAL)), "week 2 thu 17:00: there is a goal exams already"),
            (
                document(step(set={**GOAL, "goal": "other", "mentorship": "mara"})),
                "week 2 thu 17:00: there is no mentorship mara",
            ),
            (
                document(step(who="kim", set={**GOAL, "goal": "other"})),
                "week 2 thu 17:00: kim is not in mara-ben",
            ),
            (document(step(who="bob", pause="mara-ben")), "week 2 thu 17:00: bob is not among the people"),
            (document(step(pause="mara")), "week 2 thu 17:00: there is no mentorship mara"),
            (
                document(step(who="lena", check_in={"goal": "exams"})),
                "week 2 thu 17:00: lena is neither owner nor counterpart of exams",
            ),
            (
                document(step(who="mara", revise={"goal": "exams", "due": "week 4 fri"})),
                "week 2 thu 17:00: mara does not own exams",
            ),
            (
                document(step(who="mara", acknowledge={"goal": "exams"})),
                "week 2 thu 17:00: there is no check-in on exams to acknowledge yet",
            ),
            (
                document(step(check_in={"goal": "exams", "done": True})),
                "week 2 thu 17:00: progress on exams is told by value",
            ),
            (
                document(
                    step(
                        set={**GOAL, "goal": "talk", "measure": {"kind": "milestones", "milestones": ["a"]}}
                    ),
                    step(at="week 2 fri 10:00", check_in={"goal": "talk", "milestones": ["b"]}),
                ),
                "week 2 fri 10:00: talk has no milestone b",
            ),
            (
                document(step(at="week 5 mon 10:00", pause="mara-ben")),
                "week 5 mon 10:00 is not in weeks 1 to 4",
            ),
            (
                document(step(at="2 thu", pause="mara-ben")),
                "steps: no moment such as `week 3 tue 14:00`: 2 thu",
            ),
            (
                document(step(at="week 2 thu 24:00", pause="mara-ben")),
                "steps: no moment such as `week 3 tue 14:00`: week 2 thu 24:00",
            ),
            (
                document(step(revise={"goal": "exams", "due": "next week"})),
                "week 2 thu 17:00: no moment such as `week 3 tue 14:00`: next week",
            ),
            (document(time_zone="Europe/Bonn"), "no such time zone: Europe/Bonn"),
            (document(coordinator="kay"), "the coordinator, kay, is not among the people"),
            (document(steps=[]), "nobody does anything"),
            (
                document(mentorships={"mara-ben": {"mentor": "mara", "mentee": "bob"}}),
                "mara-ben: bob is not among the people",
            ),
            (
                document(mentorships={"mara-ben": {"mentor": "ben", "mentee": "ben"}}),
                "mara-ben: its participants are different people",
            ),
            (document(expect={"goals.met": 1}), "expect: the numbers of fewer than 5 people are withheld"),
            (document(**SIX, expect={"goals.lost": 1}), "expect: there is no number goals.lost"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_place(
        self, tmp_path: Path, wrong: dict[str, Any], told: str
    ) -> None:
        file = written(tmp_path, wrong)
        with pytest.raises(ProgramError, match=rf"^{file}: .*{told}"):
            read(file)

    def test_what_is_no_yaml_is_told_with_its_line(self, tmp_path: Path) -> None:
        file = tmp_path / "program.yaml"
        file.write_text("organization: acme\nsteps: [")
        with pytest.raises(ProgramError, match=r"(?s)program\.yaml: .*line 3"):
            read(file)


class TestCalendar:
    calendar = Calendar(date(2026, 11, 30), "Europe/Berlin")

    def test_moments_are_instants(self) -> None:
        assert self.calendar.instant("week 1 mon 09:30") == datetime(2026, 11, 30, 8, 30, tzinfo=UTC)
        assert self.calendar.instant("week 3 sun") == datetime(2026, 12, 19, 23, tzinfo=UTC)

    def test_a_deadline_without_a_time_is_the_end_of_its_day(self) -> None:
        assert self.calendar.deadline("week 1 fri") == {
            "date": "2026-12-04",
            "time_zone": "Europe/Berlin",
            "cutoff": "24:00",
        }
        assert self.calendar.due("week 1 fri") == datetime(2026, 12, 4, 23, tzinfo=UTC)
        assert self.calendar.due("week 1 fri 17:00") == datetime(2026, 12, 4, 16, tzinfo=UTC)


def test_a_program_has_no_numbers_that_are_vouched_for_unless_it_says_so(tmp_path: Path) -> None:
    program: Program = read(written(tmp_path, document()))
    assert program.expect == {}
