"""What must come of a program, worked out from its file: small programs whose outcome is plain."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from deploy.local.demo.expected import WITHHELD, Expected, expected
from deploy.local.demo.program import Calendar, Program

DEADLINE = "week 3 fri 17:00"
TALK = {"goal": "talk", "mentorship": "pair", "title": "Talk", "measure": {"kind": "done"}, "due": DEADLINE}


def program(*steps: dict[str, Any], pairs: int = 1, **changes: Any) -> Program:
    names = ["pair", *(f"pair-{number}" for number in range(1, pairs))]
    people = {f"{role}{name[4:]}": "" for name in names for role in ("mentor", "mentee")}
    document = {
        "organization": "acme",
        "program": "spring",
        "time_zone": "Europe/Berlin",
        "weeks": 6,
        "coordinator": "kim",
        "people": {**people, "kim": "Kim", "leader": "Lena"},
        "mentorships": {
            name: {"mentor": f"mentor{name[4:]}", "mentee": f"mentee{name[4:]}"} for name in names
        },
        "expectations": {
            "proposed": "week 1 mon 09:30",
            "signed": "week 1 tue 09:30",
            "review": "week 2 wed",
            "items": [],
        },
        "steps": [{"at": "week 1 mon 10:00", "who": "mentee", "set": {**TALK, "every_days": 28}}, *steps],
    }
    return msgspec.convert({**document, **changes}, Program)


def worked_out(*steps: dict[str, Any], first_day: date = date(2026, 11, 30), **changes: Any) -> Expected:
    return expected(program(*steps, **changes), Calendar(first_day, "Europe/Berlin"))


def check_in(at: str, who: str = "mentee", **said: Any) -> dict[str, Any]:
    return {"at": at, "who": who, "check_in": {"goal": "talk", **said}}


def counted(found: Expected) -> dict[str, int]:
    """The goals' numbers of the pair that are not zero."""
    return {name: count for name, count in found.mentorships["pair"]["goals"].items() if count}


class TestGoals:
    @pytest.mark.parametrize(
        ("steps", "numbers"),
        [
            ([], {"missed": 1}),
            ([check_in("week 3 fri 16:59", done=True)], {"met": 1}),
            ([check_in("week 3 fri 17:00", done=True)], {"met_late": 1}),
            ([check_in("week 3 fri 17:02", done=True)], {"missed": 1, "met_late": 1}),
            ([check_in("week 3 fri 16:00", done=False)], {"missed": 1}),
            ([check_in("week 4 mon 09:00", occurred="week 3 fri 16:00", done=True)], {"missed": 1}),
            (
                [check_in("week 4 mon 09:00", "mentor", occurred="week 3 fri 16:00", done=True)],
                {"met": 1, "retracted": 1},
            ),
            (
                [
                    {
                        "at": "week 2 mon 09:00",
                        "who": "mentee",
                        "revise": {"goal": "talk", "due": "week 5 fri"},
                    },
                    check_in("week 5 thu 16:00", done=True),
                ],
                {"met": 1, "revised": 1, "eased": 1},
            ),
            (
                [
                    {
                        "at": "week 2 mon 09:00",
                        "who": "mentee",
                        "revise": {"goal": "talk", "due": "week 8 fri"},
                    }
                ],
                {"open": 1, "revised": 1, "eased": 1},
            ),
        ],
    )
    def test_what_becomes_of_one(self, steps: list[dict[str, Any]], numbers: dict[str, int]) -> None:
        assert counted(worked_out(*steps)) == {"set": 1, **numbers}

    def test_a_pause_moves_its_deadline_by_every_day_begun(self) -> None:
        steps = [
            {"at": "week 2 mon 09:00", "who": "kim", "pause": "pair"},
            {"at": "week 3 mon 08:30", "who": "kim", "resume": "pair"},
            check_in("week 4 fri 16:59", done=True),
        ]
        found = worked_out(*steps)
        assert counted(found) == {"set": 1, "met": 1}
        assert found.follows == {2: [("GoalRevised", "talk")], 3: [("GoalMet", "talk")]}

    def test_a_pause_before_it_was_set_is_nothing_to_it(self) -> None:
        found = worked_out(
            {"at": "week 1 tue 09:00", "who": "kim", "pause": "pair"},
            {"at": "week 2 tue 09:00", "who": "kim", "resume": "pair"},
            {"at": "week 2 wed 09:00", "who": "mentor", "set": {**TALK, "goal": "later"}},
            {"at": "week 3 fri 17:01", "who": "mentor", "check_in": {"goal": "later", "done": True}},
        )
        assert found.mentorships["pair"]["by_role"]["mentor"]["goals"]["met_late"] == 1

    def test_a_pause_over_the_change_to_summer_time_moves_the_date_not_the_wall_time(self) -> None:
        steps = [
            {"at": "week 2 mon 09:00", "who": "kim", "pause": "pair"},
            {"at": "week 3 mon 08:30", "who": "kim", "resume": "pair"},
            check_in("week 4 fri 16:30", done=True),
        ]
        # The deadline comes to lie after 2027-03-28 by the pause alone.
        assert counted(worked_out(*steps, first_day=date(2027, 3, 8))) == {"set": 1, "met": 1}

    def test_what_becomes_due_stands_in_the_order_of_time(self) -> None:
        found = worked_out(
            {"at": "week 1 tue 10:00", "who": "mentor", "set": {**TALK, "goal": "first", "due": "week 2 fri"}}
        )
        assert [(due.type, due.goal) for due in found.due if due.kind is None] == [
            ("CheckInLapsed", "first"),
            ("GoalMissed", "first"),
            ("GoalMissed", "talk"),
        ]


class TestCadence:
    def weekly(self, *steps: dict[str, Any]) -> Expected:
        goal = {**TALK, "goal": "weekly", "every_days": 7, "due": "week 3 wed"}
        return worked_out({"at": "week 1 mon 10:00", "who": "mentor", "set": goal}, *steps)

    def test_each_week_without_a_check_in_lapses_until_the_deadline(self) -> None:
        assert self.weekly().mentorships["pair"]["check_ins"] == {"logged": 0, "lapsed": 2, "acknowledged": 0}

    def test_it_is_counted_from_a_check_in_by_either(self) -> None:
        said = {"at": "week 1 fri 10:00", "who": "mentee", "check_in": {"goal": "weekly"}}
        found = self.weekly(said)
        assert found.mentorships["pair"]["check_ins"] == {"logged": 1, "lapsed": 1, "acknowledged": 0}
        assert found.mentorships["pair"]["check_in_rate"] == 0.5

    def test_a_pause_begins_it_anew(self) -> None:
        found = self.weekly(
            {"at": "week 1 wed 10:00", "who": "kim", "pause": "pair"},
            {"at": "week 2 wed 10:00", "who": "kim", "resume": "pair"},
        )
        lapses = [due.at.date().isoformat() for due in found.due if due.type == "CheckInLapsed"]
        assert lapses == ["2026-12-16", "2026-12-23"]


class TestNumbers:
    def test_what_is_said_is_counted_for_who_said_it(self) -> None:
        found = worked_out(
            check_in("week 1 fri 10:00", confidence=8),
            check_in("week 2 fri 10:00", "mentor", confidence=5, realistic=False, attainable=False),
            {"at": "week 2 fri 11:00", "who": "mentor", "acknowledge": {"goal": "talk"}},
        )
        pair = found.mentorships["pair"]
        assert (pair["confidence_mean"], pair["unrealistic"], pair["unattainable"]) == (6.5, 1, 1)
        assert pair["by_role"]["mentee"]["confidence_mean"] == 8
        assert pair["by_role"]["mentor"]["check_ins"] == {"logged": 1, "lapsed": 0, "acknowledged": 1}
        assert pair["by_role"]["mentor"]["follow_through"] is None
        assert pair["by_role"]["leader"]["goals"]["set"] == 0

    def test_people_are_counted_once(self) -> None:
        found = worked_out(check_in("week 1 fri 10:00"), pairs=5)
        assert [found.program[name] for name in ("people", "engaged", "engaged_share")] == [10, 1, 0.1]

    def test_fewer_than_five_people_are_withheld(self) -> None:
        assert worked_out(pairs=2).program == WITHHELD
        assert worked_out(pairs=3).program["goals"]["set"] == 1

    def test_roles_of_few_are_withheld_and_one_more_where_few_are_hidden(self) -> None:
        mentorships = {
            f"pair-{number}": {"mentor": f"mentor-{number}", "mentee": f"mentee-{number}"}
            for number in range(1, 5)
        }
        mentorships["pair"] = {"mentor": "mentor", "mentee": "mentee", "leader": "leader"}
        by_role = worked_out(pairs=5, mentorships=mentorships).program["by_role"]
        assert [role for role, numbers in by_role.items() if numbers == WITHHELD] == ["mentor", "leader"]

    def test_what_the_author_vouches_for_wins(self) -> None:
        found = worked_out(pairs=3, expect={"goals.missed": 3, "follow_through": None, "people": 2})
        assert found.program["goals"]["missed"] == 3
        assert (found.program["follow_through"], found.program["people"]) == (None, 2)
        assert found.mentorships["pair"]["goals"]["missed"] == 1


class TestReminders:
    def test_they_are_looked_for_on_the_morning_of_the_last_workday_and_two_workdays_ahead(self) -> None:
        goal = {**TALK, "goal": "weekly", "every_days": 5, "due": "week 2 tue"}
        found = worked_out({"at": "week 1 mon 10:00", "who": "mentor", "set": goal})
        reminders = [(due.kind, due.at.isoformat()) for due in found.due if due.goal == "weekly" and due.kind]
        assert reminders == [
            ("check_in_due", "2026-12-04T08:00:00+00:00"),
            ("goal_due_soon", "2026-12-04T08:00:00+00:00"),
        ]
