"""Rule 1: progress, as check-ins tell it."""

from __future__ import annotations

from itertools import permutations

import pytest

from services.goals.domain.evidence import fraction_at, fraction_now, last_check_in_at, track
from services.goals.domain.progress import Measure, Progress, complete, fits, fraction, reaches
from tests.unit.goals.world import DAY, MS, NOW, a_check_in, value

UP = Measure(kind="number", target=8.0)
FROM_FOUR = Measure(kind="number", baseline=4.0, target=8.0)
DOWN = Measure(kind="number", baseline=10.0, target=2.0)
STEPS = Measure(kind="milestones", milestones=("draft", "review", "talk", "paper"))
DONE = Measure(kind="done")


def steps(*reached: str) -> Progress:
    return Progress(milestones=reached)


class TestFraction:
    @pytest.mark.parametrize(
        ("measure", "progress", "expected"),
        [
            (UP, value(0), 0.0),
            (UP, value(2), 0.25),
            (UP, value(8), 1.0),
            (UP, value(9), 1.0),
            (UP, value(-3), 0.0),
            (FROM_FOUR, value(4), 0.0),
            (FROM_FOUR, value(5), 0.25),
            (FROM_FOUR, value(3), 0.0),
            (DOWN, value(10), 0.0),
            (DOWN, value(8), 0.25),
            (DOWN, value(2), 1.0),
            (DOWN, value(0), 1.0),
            (DOWN, value(11), 0.0),
            (STEPS, steps(), 0.0),
            (STEPS, steps("review"), 0.25),
            (STEPS, steps("talk", "draft", "review", "paper"), 1.0),
            (DONE, Progress(done=False), 0.0),
            (DONE, Progress(done=True), 1.0),
        ],
    )
    def test_is_the_share_of_the_way(self, measure: Measure, progress: Progress, expected: float) -> None:
        assert fraction(progress, measure) == expected

    def test_of_what_lacks_the_last_bit_is_less_than_one(self) -> None:
        measure = Measure(kind="number", target=0.3)
        assert not reaches(value(0.1 + 0.2 - 1e-12), measure)
        assert reaches(value(0.1 + 0.2), measure)

    def test_of_the_greatest_numbers_does_not_overflow(self) -> None:
        measure = Measure(kind="number", baseline=-1.7e308, target=1.7e308)
        assert fraction(value(0), measure) == 0.5

    @pytest.mark.parametrize(
        ("measure", "progress"), [(UP, Progress(done=True)), (DONE, value(8)), (STEPS, value(4)), (UP, None)]
    )
    def test_of_what_does_not_fit_the_measure_is_nothing(
        self, measure: Measure, progress: Progress | None
    ) -> None:
        assert not fits(progress, measure)
        assert not reaches(progress, measure)
        assert fraction(progress, measure) == 0.0

    def test_counts_only_the_milestones_that_are_asked_for(self) -> None:
        """A revision may have dropped some that were reached before."""
        assert fraction(steps("draft", "poster"), STEPS) == 0.25

    @pytest.mark.parametrize("measure", [UP, DOWN, FROM_FOUR, STEPS, DONE])
    def test_of_what_is_complete_is_one(self, measure: Measure) -> None:
        assert reaches(complete(measure), measure)


class TestProgressAtAnInstant:
    def test_is_what_the_latest_occurrence_up_to_it_says_not_the_best(self) -> None:
        check_ins = [a_check_in(NOW, progress=value(6)), a_check_in(NOW + DAY, progress=value(4))]
        assert fraction_at(check_ins, UP, NOW) == 0.75
        assert fraction_at(check_ins, UP, NOW + DAY - MS) == 0.75
        assert fraction_at(check_ins, UP, NOW + DAY) == 0.5

    def test_is_nothing_before_the_first(self) -> None:
        assert fraction_at([a_check_in(NOW)], UP, NOW - MS) == 0.0
        assert fraction_at([], UP, NOW) == 0.0

    def test_is_that_of_what_occurred_last_whenever_it_was_logged(self) -> None:
        backdated = a_check_in(NOW, NOW + 2 * DAY, progress=value(2))
        assert fraction_at([a_check_in(NOW + DAY, progress=value(4)), backdated], UP, NOW + 3 * DAY) == 0.5

    def test_of_two_that_occurred_at_once_the_later_logged_counts_then_the_greater_id(self) -> None:
        first = a_check_in(NOW, NOW + MS, progress=value(2))
        second = a_check_in(NOW, NOW + 2 * MS, progress=value(4))
        third = a_check_in(NOW, NOW + 2 * MS, progress=value(6))
        for order in permutations([first, second, third]):
            assert fraction_at(order, UP, NOW) == 0.75

    def test_passes_over_what_does_not_fit_the_measure_or_reports_none(self) -> None:
        check_ins = [
            a_check_in(NOW, progress=value(2)),
            a_check_in(NOW + DAY, progress=Progress(done=True)),
            a_check_in(NOW + 2 * DAY, progress=None),
        ]
        assert fraction_at(check_ins, UP, NOW + 3 * DAY) == 0.25

    def test_the_last_check_in_is_any_but_not_an_outcome_that_was_said(self) -> None:
        check_ins = [a_check_in(NOW, progress=None), a_check_in(NOW + DAY, said=True)]
        assert last_check_in_at(check_ins, NOW + 2 * DAY) == NOW
        assert last_check_in_at(check_ins, NOW - MS) is None


class TestTrack:
    def test_tells_progress_from_now_on_without_the_check_ins(self) -> None:
        """A check-in may lie five minutes ahead: a list of goals tells it when it is there."""
        ahead = NOW + 4 * MS
        kept = track(
            [a_check_in(NOW - DAY, progress=value(2)), a_check_in(ahead, progress=value(4))], UP, NOW
        )
        assert [fraction_now(kept, at) for at in (NOW, ahead - MS, ahead)] == [0.25, 0.25, 0.5]

    def test_is_the_same_as_asking_the_check_ins_in_whatever_order_they_came(self) -> None:
        check_ins = [
            a_check_in(NOW + n * DAY, progress=value(v)) for n, v in ((0, 2), (1, 6), (2, 6), (3, 1))
        ]
        for order in permutations(check_ins):
            for day in range(5):
                kept = track(order, UP, NOW + day * DAY)
                for later in range(day, 5):
                    at = NOW + later * DAY
                    assert fraction_now(kept, at) == fraction_at(check_ins, UP, at)
