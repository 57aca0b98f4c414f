"""Signals that an open goal may be missed: each rule at its edge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.metrics.domain.diary import Entry
from services.metrics.domain.goal import Goal
from services.metrics.domain.risk import assess, fraction
from shared import events as contract

SET = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NUMBER = contract.Measure(kind="number", target=10.0)


def goal(days: float = 100, measure: contract.Measure = NUMBER) -> Goal:
    return Goal(
        goal_id="goal-1",
        org_id="org-1",
        program_id="program-1",
        mentorship_id="mentorship-1",
        state="active",
        owner_id="mentee-1",
        measure=measure,
        set_at=SET,
        due_at=SET + days * DAY,
    )


def logged(day: float, by: str = "mentee-1", logged_day: float | None = None, **said: Any) -> Entry:
    at = SET + day * DAY
    return Entry(
        type="CheckInLogged",
        id="event",
        subject="checkin/1",
        time=at,
        at=at,
        by=by,
        role="mentee",
        checkin_id=f"checkin-{day}",
        logged_at=SET + (day if logged_day is None else logged_day) * DAY,
        **said,
    )


def lapsed(day: float) -> Entry:
    at = SET + day * DAY
    return Entry(type="CheckInLapsed", id="event", subject="cadence/1", time=at, at=at, by="mentee-1")


def reached(value: float) -> contract.Progress:
    return contract.Progress(value=value)


def signals(day: float, *entries: Entry, of: Goal | None = None) -> list[str]:
    return assess(of or goal(), entries, SET + day * DAY).signals


class TestDueSoon:
    @pytest.mark.parametrize(("day", "soon"), [(92.9, False), (93, True), (99, True), (101, True)])
    def test_it_is_within_seven_days(self, day: float, soon: bool) -> None:
        enough = logged(1, progress=reached(10))
        assert ("due_soon" in signals(day, enough)) == soon


class TestBehindPace:
    @pytest.mark.parametrize(
        ("day", "value", "behind"),
        [
            (24, 0, False),  # less than a quarter of the time gone
            (25, 0, True),
            (40, 3.01, False),  # 0.75 of 0.4 is 0.3
            (40, 2.99, True),
            (80, 6.01, False),
        ],
    )
    def test_the_fraction_is_under_three_quarters_of_the_time_gone(
        self, day: float, value: float, behind: bool
    ) -> None:
        assert ("behind_pace" in signals(day, logged(1, progress=reached(value)))) == behind

    def test_a_goal_that_is_done_or_not_has_no_pace(self) -> None:
        assert "behind_pace" not in signals(90, of=goal(measure=contract.Measure(kind="done")))

    def test_progress_is_that_of_the_latest_check_in_up_to_now_that_fits(self) -> None:
        entries = [
            logged(30, progress=reached(8)),
            logged(20, progress=reached(1)),
            logged(35, progress=contract.Progress(done=True)),
            logged(60, progress=reached(0)),
        ]
        assert assess(goal(), entries, SET + 50 * DAY).fraction == 0.8


class TestConfidence:
    @pytest.mark.parametrize(("latest", "low"), [(4, False), (3, True), (0, True)])
    def test_three_or_less_is_low(self, latest: int, low: bool) -> None:
        assert ("confidence_low" in signals(5, logged(2, confidence=latest))) == low

    @pytest.mark.parametrize(
        ("best_on", "best", "latest", "falling"),
        [(10, 8, 5, True), (10, 8, 6, False), (2, 8, 5, True), (1.9, 8, 5, False)],
    )
    def test_falling_is_three_below_the_best_of_the_28_days_before(
        self, best_on: float, best: int, latest: int, falling: bool
    ) -> None:
        entries = [logged(30, confidence=latest), logged(best_on, confidence=best)]
        assert ("confidence_falling" in signals(31, *entries)) == falling

    def test_the_order_is_that_of_what_happened_not_of_what_was_told(self) -> None:
        told_late = logged(3, logged_day=9, confidence=2)
        assert signals(10, logged(5, confidence=8), told_late) == []

    def test_what_the_counterpart_says_is_no_signal(self) -> None:
        said: dict[str, Any] = {"confidence": 1, "realistic": False, "attainable": False}
        assert signals(5, logged(2, by="mentor-1", **said)) == []


class TestAnswers:
    @pytest.mark.parametrize("name", ["realistic", "attainable"])
    def test_the_latest_answer_counts_and_silence_is_none(self, name: str) -> None:
        no: dict[str, Any] = {name: False}
        yes: dict[str, Any] = {name: True}
        assert signals(5, logged(1, **no), logged(2)) == [f"un{name}"]
        assert signals(5, logged(1, **no), logged(2, **yes)) == []


class TestCheckInLapsed:
    def test_it_stands_until_somebody_checks_in(self) -> None:
        assert signals(10, lapsed(8)) == ["check_in_lapsed"]
        assert signals(10, lapsed(8), logged(7)) == ["check_in_lapsed"]
        assert signals(10, lapsed(8), logged(9, by="mentor-1")) == []
        assert signals(10, lapsed(8), logged(7, logged_day=9)) == []


class TestNextLook:
    @given(
        target=st.sampled_from([NUMBER, contract.Measure(kind="done")]),
        value=st.floats(0, 11),
        ahead=st.floats(-3, 3),
        first=st.floats(0, 110),
        later=st.floats(0, 60),
    )
    def test_until_then_time_alone_changes_nothing(
        self, target: contract.Measure, value: float, ahead: float, first: float, later: float
    ) -> None:
        entries = [logged(max(0, first + ahead), progress=reached(value), confidence=5)]
        now = SET + first * DAY
        found = assess(goal(measure=target), entries, now)
        then = now + later * DAY
        if found.holds(then):
            again = assess(goal(measure=target), entries, then)
            assert (again.signals, again.fraction) == (found.signals, found.fraction)

    def test_a_look_is_due_once_and_not_for_ever(self) -> None:
        entries = [logged(1, progress=reached(7.5), confidence=5)]
        for day in (10, 92.99, 93, 99, 100, 101, 200):
            found = assess(goal(), entries, SET + day * DAY)
            assert found.next_at is None or found.next_at > SET + day * DAY
        assert assess(goal(), entries, SET + 100 * DAY).next_at is None


class TestFraction:
    @pytest.mark.parametrize(
        ("measure", "progress", "expected"),
        [
            ({"kind": "number", "target": 10.0}, {"value": 7.0}, 0.7),
            ({"kind": "number", "target": 10.0, "baseline": 5.0}, {"value": 7.5}, 0.5),
            ({"kind": "number", "target": 0.0, "baseline": 8.0}, {"value": 2.0}, 0.75),
            ({"kind": "number", "target": 10.0}, {"value": 12.0}, 1.0),
            ({"kind": "number", "target": 10.0}, {"value": -3.0}, 0.0),
            ({"kind": "number", "target": 1.5e308, "baseline": -1.5e308}, {"value": 0.0}, 0.5),
            ({"kind": "milestones", "milestones": ["a", "b", "c", "d"]}, {"milestones": ["b"]}, 0.25),
            ({"kind": "done"}, {"done": True}, 1.0),
            ({"kind": "done"}, {"value": 1.0}, None),
            ({"kind": "number", "target": 10.0}, {"done": True}, None),
        ],
    )
    def test_it_is_how_much_of_the_measure_is_reached(
        self, measure: dict[str, Any], progress: dict[str, Any], expected: float | None
    ) -> None:
        assert fraction(contract.Measure(**measure), contract.Progress(**progress)) == expected
