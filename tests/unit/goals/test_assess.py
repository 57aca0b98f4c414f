"""Whether a goal is SMART, by rules that advise and never block."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from services.goals.domain.assess import RULES, Draft, Pace, assess
from services.goals.domain.progress import Measure
from tests.unit.goals.world import DAY, DEADLINE, DUE, NOW, due_on

SMART = Draft(
    title="Give two talks at the team's meetup",
    measure=Measure(kind="number", unit="talks", target=2.0),
    deadline=DEADLINE,
    check_in_every_days=7,
    why="I want to speak with less fear.",
)
LETTERS = ("specific", "measurable", "attainable", "relevant", "time_bound")


def wanting(draft: Draft) -> dict[str, str]:
    """What is not all right, and the advice."""
    found = assess(draft, NOW)
    verdicts = {letter: getattr(found, letter) for letter in LETTERS}
    return {letter: verdict.advice for letter, verdict in verdicts.items() if not verdict.ok}


def steps(*names: str) -> Measure:
    return Measure(kind="milestones", milestones=names)


class TestAssess:
    def test_a_goal_that_is_smart_has_nothing_wanting(self) -> None:
        assert wanting(SMART) == {}

    def test_of_nothing_everything_is_wanting(self) -> None:
        assert tuple(wanting(Draft())) == LETTERS

    @pytest.mark.parametrize(
        ("changes", "letter", "advice"),
        [
            ({"title": "Improve"}, "specific", "three words"),
            ({"title": "Public speaking"}, "specific", "three words"),
            ({"title": "Be better at speaking", "measure": Measure(kind="done")}, "specific", "'better'"),
            ({"title": "Work on public speaking", "measure": Measure(kind="done")}, "specific", "for ever"),
            ({"measure": None}, "measurable", "Measure it"),
            ({"measure": Measure(kind="number", unit="talks")}, "measurable", "number to reach"),
            ({"measure": Measure(kind="number", target=2.0)}, "measurable", "unit"),
            ({"measure": steps("Give it")}, "measurable", "two milestones"),
            ({"measure": steps(*(f"Talk {n}" for n in range(48)))}, "attainable", "milestone a day"),
            ({"check_in_every_days": 47}, "attainable", "check in more often"),
            ({"why": None}, "relevant", "why it matters"),
            ({"why": "Because."}, "relevant", "why it matters"),
            ({"deadline": due_on(date(2027, 11, 5))}, "time_bound", "More than a year"),
        ],
    )
    def test_one_thing_wanting_is_said_and_no_other(
        self, changes: dict[str, Any], letter: str, advice: str
    ) -> None:
        found = wanting(replace(SMART, **changes))
        assert list(found) == [letter]
        assert advice in found[letter]

    def test_vague_words_are_fine_once_they_are_measured(self) -> None:
        assert wanting(replace(SMART, title="Give better talks at work")) == {}
        assert wanting(replace(SMART, title="Work on two talks")) == {}

    def test_a_date_that_has_passed_leaves_no_time(self) -> None:
        found = assess(SMART, DUE)
        assert (found.time_bound.ok, found.attainable.ok, found.specific.ok) == (False, False, True)

    def test_a_date_beyond_the_calendar_is_no_date(self) -> None:
        assert "time_bound" in wanting(replace(SMART, deadline=due_on(date.max, "24:00")))

    def test_what_is_only_done_is_measurable_with_advice(self) -> None:
        verdict = assess(replace(SMART, measure=Measure(kind="done")), NOW).measurable
        assert (verdict.ok, verdict.advice) == (True, "Agree with your counterpart what done looks like.")


class TestPace:
    """Of a goal that runs already, the pace asked is held against the pace so far."""

    def after(self, days: int, fraction: float, **changes: Any) -> dict[str, str]:
        begun = DUE - 40 * DAY
        pace = Pace(since=begun, at=begun + days * DAY, fraction=fraction)
        return wanting(replace(SMART, pace=pace, **changes))

    @pytest.mark.parametrize(
        ("days", "fraction", "attainable"),
        [
            (6, 0.0, True),  # too early to tell
            (7, 0.0, False),
            (20, 0.5, True),
            (20, 0.34, True),
            (20, 0.33, False),
            (39, 1.0, True),
            (41, 0.0, True),  # that it is overdue is said elsewhere
        ],
    )
    def test_more_than_twice_of_it_is_not_attainable(
        self, days: int, fraction: float, attainable: bool
    ) -> None:
        assert ("attainable" not in self.after(days, fraction)) is attainable

    def test_what_is_only_done_has_no_pace(self) -> None:
        assert self.after(30, 0.0, measure=Measure(kind="done")) == {}


def test_every_rule_has_advice_of_its_own() -> None:
    said = [rule.advice for letter in RULES.values() for rule in letter.rules]
    assert tuple(RULES) == LETTERS
    assert len(set(said)) == len(said)
