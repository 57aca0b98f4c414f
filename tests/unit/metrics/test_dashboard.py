"""What the dashboard makes of answers: a chart, a heat map, and timelines."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.metrics.dashboard import pair, program
from services.metrics.dashboard.words import percent, points
from services.metrics.domain.days import Window
from services.metrics.domain.diary import Entry
from services.metrics.domain.goal import Goal, Line
from services.metrics.domain.mentorship import Crew, End, Mentorship
from shared import events as contract

BEGIN = datetime(2026, 3, 2, 9, tzinfo=UTC)
DAY = timedelta(days=1)


def bucket(start: str, met: int = 0, late: int = 0, missed: int = 0, **changes: Any) -> dict[str, Any]:
    goals = {"set": 0, "met": met, "met_late": late, "missed": missed, "open": 0}
    return {
        "from": start,
        "to": start,
        "goals": goals,
        "follow_through": met / (met + missed) if met + missed else None,
        "check_ins": {"logged": 0, "lapsed": 0},
        **changes,
    }


class TestChart:
    def test_bars_stand_on_each_other_and_share_one_scale(self) -> None:
        found = program.chart([bucket("2026-03-02", 2, 1, 1), bucket("2026-03-03", 8)])
        low, high = found.bars
        assert [kind for kind, _, _ in low.parts] == ["met", "met_late", "missed"]
        (_, met_y, met_height), (_, late_y, late_height), (_, missed_y, _) = low.parts
        assert met_y + met_height == found.base
        assert late_y + late_height == met_y
        assert missed_y < late_y
        assert high.parts[0][2] == 4 * met_height

    def test_the_line_breaks_where_nothing_was_decided_and_where_it_is_withheld(self) -> None:
        withheld = {"from": "2026-03-04", "to": "2026-03-04", "withheld": "fewer than 5 people"}
        found = program.chart(
            [bucket("2026-03-02", 1), bucket("2026-03-03"), bucket("2026-03-05", 1, missed=1), withheld]
        )
        assert [len(points) for points in found.line] == [1, 1]
        assert found.bars[3].withheld
        assert set(found.bars[3].row) == {"–"}

    def test_of_nothing_there_is_a_chart_too(self) -> None:
        assert program.chart([]).bars == []


def mentorship(id_: str, since: int, end: int | None = None) -> Mentorship:
    return Mentorship(
        mentorship_id=id_,
        org_id="org-1",
        program_id="program-1",
        crews=[Crew(since, f"mentor-{id_}", f"mentee-{id_}")],
        end=None if end is None else End(end, end),
    )


class TestHeat:
    def test_the_quietest_come_first_and_weeks_outside_of_a_mentorship_are_blank(self) -> None:
        monday = date(2026, 3, 2).toordinal()
        window = Window(monday + 2, monday + 20)
        found = program.heat(
            [
                mentorship("busy", monday - 100),
                mentorship("new", monday + 8),
                mentorship("over", monday, monday + 5),
            ],
            {"busy": {monday: 3, monday + 7: 9}, "new": {monday + 14: 1}},
            window,
        )
        assert [short for short, _ in found.weeks] == ["2 Mar", "9 Mar", "16 Mar"]
        rows = {row.mentorship_id: row.cells for row in found.rows}
        assert list(rows) == ["over", "new", "busy"]
        assert rows["busy"] == [(3, 3), (9, 4), (0, 0)]
        assert rows["new"] == [None, (0, 0), (1, 1)]
        assert rows["over"] == [(0, 0), None, None]

    def test_more_than_fit_are_counted(self) -> None:
        day = date(2026, 3, 2).toordinal()
        found = program.heat([mentorship(str(n), day) for n in range(60)], {}, Window(day, day + 400))
        assert (len(found.rows), found.left_out) == (program.MOST_PAIRS, 60 - program.MOST_PAIRS)
        assert len(found.weeks) == program.MOST_WEEKS


def goal(state: Any = "active", **changes: Any) -> Goal:
    values: dict[str, Any] = {
        "goal_id": "goal-1",
        "org_id": "org-1",
        "program_id": "program-1",
        "mentorship_id": "mentorship-1",
        "state": state,
        "owner_id": "mentee-1",
        "owner_role": "mentee",
        "counterpart_id": "mentor-1",
        "title": "Read",
        "measure": contract.Measure(kind="number", target=10.0),
        "deadline": contract.Deadline(date="2026-03-30", time_zone="Europe/Berlin"),
        "due_at": BEGIN + 28 * DAY,
        "check_in_every_days": 7,
        "set_at": BEGIN,
    }
    return Goal(**{**values, **changes})


def line(name: str, days: float, at: float | None = None, by: str | None = None) -> Line:
    told = None if at is None else BEGIN + at * DAY
    return Line(type=name, id=f"event-{name}-{days}", time=BEGIN + days * DAY, at=told, by=by)


def checked_in(days: float, value: float) -> Entry:
    at = BEGIN + days * DAY
    return Entry(
        type="CheckInLogged",
        id="event",
        subject="checkin/1",
        time=at,
        at=at,
        logged_at=at,
        by="mentee-1",
        progress=contract.Progress(value=value),
        confidence=6,
    )


class TestTimelines:
    def one(self, told: Goal, lines: list[Line], entries: list[Entry], day: float = 14) -> pair.Timeline:
        (found,), ends = pair.timelines([(told, lines, entries)], BEGIN + day * DAY)
        assert ends is not None
        return found

    def test_a_goal_is_a_bar_filled_as_far_as_it_is_done(self) -> None:
        found = self.one(goal(), [line("GoalSet", 0, 28, "mentee-1")], [checked_in(3, 5.0)])
        assert found.due_x is not None
        assert found.reached == round((found.due_x - found.start) / 2, 1)
        assert found.percent == "50 %"
        assert [happened.text for happened in found.story] == [
            "set, due 2026-03-30 09:00 UTC, by mentee-1",
            "check-in by mentee-1: 50 % done, confidence 6 of 10",
        ]

    def test_a_deadline_that_was_moved_is_still_seen(self) -> None:
        lines = [line("GoalSet", 0, 14), line("GoalRevised", 7, 28, "mentee-1")]
        assert [mark.kind for mark in self.one(goal(), lines, []).marks] == ["was-due", "revised"]

    def test_a_miss_taken_back_is_told_with_the_miss(self) -> None:
        lines = [
            line("GoalSet", 0, 14),
            line("GoalMissed", 14.1, 14.1),
            line("GoalMissRetracted", 16),
            line("GoalMet", 16, 13),
        ]
        found = self.one(goal("met", met_at=BEGIN + 13 * DAY), lines, [])
        assert [mark.kind for mark in found.marks] == ["missed", "back", "met"]
        assert [happened.text for happened in found.story][1:] == ["met", "missed", "miss taken back"]
        assert found.fraction == 1.0

    def test_what_is_next_is_the_check_in_and_the_deadline(self) -> None:
        found = self.one(goal(), [line("GoalSet", 0, 28)], [checked_in(10, 5.0)])
        assert found.next_steps == [
            "Check-in by mentee-1 or mentor-1 up to 2026-03-19",
            "Deadline 2026-03-30 09:00 UTC, in 14 days",
        ]

    def test_a_missed_goal_can_be_renegotiated_and_for_two_weeks_disputed(self) -> None:
        missed = goal("missed", missed_at=BEGIN + 28 * DAY)
        lines = [line("GoalSet", 0, 28), line("GoalMissed", 28, 28)]
        assert len(self.one(missed, lines, [], day=30).next_steps) == 2
        assert self.one(missed, lines, [], day=43).next_steps == [
            "It can be renegotiated with a new deadline"
        ]

    def test_open_goals_come_first(self) -> None:
        told: list[pair.Told] = [
            (goal("met", goal_id="early", due_at=BEGIN + DAY), [line("GoalSet", 0, 1)], []),
            (goal(goal_id="open"), [line("GoalSet", 0, 28)], []),
        ]
        assert [each.goal_id for each in pair.timelines(told, BEGIN + DAY)[0]] == ["open", "early"]
        assert pair.timelines([], BEGIN) == ([], None)


class TestWords:
    def test_shares_and_effects_are_for_people(self) -> None:
        assert (percent(None), percent(0.833)) == ("–", "83 %")
        assert points(None) == "–"
        assert points({"difference": 0.2, "low": -0.05, "high": 0.334}) == "+20 (-5 to +33)"
