"""Rule 8: a check-in is expected every so many days; one that does not come lapses, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.checkins.domain.cadence import Fact, Period, Terms, next_period

GRACE = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
BERLIN = "Europe/Berlin"
# Monday morning; the first check-in is expected by the end of Monday, 9 November.
SET_AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
FAR = datetime(2027, 6, 30, 22, tzinfo=UTC)


def utc(month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


def set_(every: int = 7, zone: str = BERLIN, due: datetime = FAR, at: datetime = SET_AT) -> Fact:
    return Fact("set", at, at, Terms(every, zone, due))


def revised(at: datetime, every: int = 7, zone: str = BERLIN, due: datetime = FAR) -> Fact:
    return Fact("revised", at, at, Terms(every, zone, due))


def said(kind: str, at: datetime) -> Fact:
    return Fact(kind, at, at)  # type: ignore[arg-type]


def lapses(
    *facts: Fact, logged: Sequence[datetime] = (), until: datetime, lapsed: Period | None = None
) -> list[str]:
    """The periods that lapse, decided one after the other as a worker does, up to `until`."""
    found: list[str] = []
    while True:
        period = next_period(facts, logged, lapsed, GRACE)
        if period is None or period.expected_by + GRACE > until:
            return found
        found.append(period.period.isoformat())
        lapsed = period


def expected(*facts: Fact, logged: Sequence[datetime] = ()) -> datetime | None:
    period = next_period(facts, logged, None, GRACE)
    return period.expected_by if period else None


class TestExpectation:
    def test_the_first_is_counted_from_the_goal_being_set_to_the_end_of_the_day_in_the_deadlines_zone(
        self,
    ) -> None:
        assert expected(set_()) == utc(11, 9, 23)
        assert expected(set_(zone="America/New_York")) == utc(11, 10, 5)
        assert expected(set_(zone="Pacific/Auckland")) == utc(11, 9, 11)

    def test_the_next_is_counted_from_the_last_one_logged(self) -> None:
        assert expected(set_(), logged=[utc(11, 5, 12)]) == utc(11, 12, 23)
        assert expected(set_(), logged=[utc(11, 8, 8), utc(11, 5, 12)]) == utc(11, 15, 23)

    def test_a_check_in_late_in_the_evening_counts_from_the_date_it_has_there(self) -> None:
        assert expected(set_(), logged=[utc(11, 5, 23, 30)]) == utc(11, 13, 23)

    def test_the_change_of_summer_time_moves_the_instant_and_not_the_date(self) -> None:
        at = datetime(2026, 10, 20, 9, tzinfo=UTC)
        assert expected(set_(at=at)) == datetime(2026, 10, 27, 23, tzinfo=UTC)
        assert expected(set_(at=at, every=4)) == datetime(2026, 10, 24, 22, tzinfo=UTC)

    def test_none_is_expected_once_the_goal_would_be_due(self) -> None:
        assert expected(set_(due=utc(11, 9, 23))) == utc(11, 9, 23)
        assert expected(set_(due=utc(11, 9, 22, 59, 59))) is None

    def test_a_later_deadline_brings_it_back(self) -> None:
        early = set_(due=utc(11, 8, 16))
        assert expected(early) is None
        assert expected(early, revised(utc(11, 7), due=utc(11, 20, 16))) == utc(11, 9, 23)

    def test_an_earlier_deadline_takes_it_away(self) -> None:
        assert lapses(set_(), revised(utc(11, 7), due=utc(11, 9, 16)), until=FAR) == []

    def test_a_new_zone_moves_the_end_of_the_day(self) -> None:
        assert expected(set_(), revised(utc(11, 5), zone="America/New_York")) == utc(11, 10, 5)


class TestLapse:
    def test_each_period_lapses_and_the_next_is_counted_from_there(self) -> None:
        assert lapses(set_(), until=utc(11, 30)) == ["2026-11-09", "2026-11-16", "2026-11-23"]

    def test_it_is_decided_a_grace_later_and_not_before(self) -> None:
        end = utc(11, 9, 23)
        assert lapses(set_(), until=end + GRACE - SECOND) == []
        assert lapses(set_(), until=end + GRACE) == ["2026-11-09"]

    def test_one_logged_up_to_its_end_is_none(self) -> None:
        end = utc(11, 9, 23)
        assert lapses(set_(), logged=[end], until=utc(11, 12)) == []
        assert lapses(set_(), logged=[end + SECOND], until=utc(11, 12)) == ["2026-11-09"]

    def test_a_check_in_within_the_grace_is_what_the_next_one_is_counted_from(self) -> None:
        late = utc(11, 9, 23, 0, 30)
        assert lapses(set_(), logged=[late], until=utc(11, 30)) == ["2026-11-09", "2026-11-17", "2026-11-24"]

    def test_a_later_check_in_too(self) -> None:
        assert lapses(set_(), logged=[utc(11, 12, 12)], until=utc(11, 30)) == [
            "2026-11-09",
            "2026-11-19",
            "2026-11-26",
        ]

    def test_a_check_in_in_a_period_that_follows_a_lapse_keeps_it_from_lapsing(self) -> None:
        assert lapses(set_(), logged=[utc(11, 16, 22)], until=utc(11, 20)) == ["2026-11-09"]

    def test_after_a_long_outage_all_are_made_up_in_order(self) -> None:
        made_up = lapses(set_(every=1, due=utc(12, 1)), until=utc(12, 31))
        assert made_up == [date(2026, 11, day).isoformat() for day in range(3, 31)]

    def test_the_last_one_may_end_at_the_deadline(self) -> None:
        assert lapses(set_(due=utc(11, 9, 23)), until=FAR) == ["2026-11-09"]


class TestDecidedGoals:
    """By what goals had recorded up to the grace after the period's end."""

    END = utc(11, 9, 23)

    @pytest.mark.parametrize("kind", ["met", "dropped"])
    def test_a_goal_met_or_dropped_within_the_grace_takes_the_lapse_away(self, kind: str) -> None:
        assert lapses(set_(), said(kind, self.END + GRACE), until=FAR) == []

    @pytest.mark.parametrize("kind", ["met", "dropped", "missed"])
    def test_one_decided_after_it_does_not_but_ends_the_cadence(self, kind: str) -> None:
        assert lapses(set_(), said(kind, self.END + GRACE + SECOND), until=FAR) == ["2026-11-09"]

    def test_a_miss_decided_meanwhile_takes_no_lapse_away(self) -> None:
        facts = (set_(due=self.END), said("missed", self.END + GRACE))
        assert lapses(*facts, until=FAR) == ["2026-11-09"]

    def test_a_miss_that_was_recorded_late_takes_none_away_that_ended_before(self) -> None:
        facts = (set_(every=3, due=utc(11, 9, 23)), said("missed", utc(11, 20)))
        assert lapses(*facts, until=FAR) == ["2026-11-05", "2026-11-08"]

    def test_a_goal_said_missed_early_expects_no_more(self) -> None:
        assert lapses(set_(), said("missed", self.END - SECOND), until=FAR) == []

    def test_a_revived_goal_counts_anew(self) -> None:
        facts = (set_(due=utc(11, 8)), said("missed", utc(11, 8, 0, 1)), revised(utc(11, 12, 9)))
        assert lapses(*facts, until=utc(11, 28)) == ["2026-11-19", "2026-11-26"]

    def test_a_retracted_miss_expects_no_more(self) -> None:
        facts = (set_(due=utc(11, 8)), said("missed", utc(11, 8, 0, 1)), said("met", utc(11, 8, 12)))
        assert lapses(*facts, until=FAR) == []


class TestChangedCadence:
    def test_counts_anew_from_the_change(self) -> None:
        facts = (set_(), revised(utc(11, 6, 9), every=14))
        assert lapses(*facts, until=utc(11, 22)) == ["2026-11-20"]

    def test_within_the_grace_too(self) -> None:
        facts = (set_(), revised(utc(11, 9, 23, 0, 30), every=3))
        assert lapses(*facts, until=utc(11, 14)) == ["2026-11-13"]

    def test_another_revision_does_not(self) -> None:
        facts = (set_(), revised(utc(11, 6, 9), due=utc(12, 24)))
        assert lapses(*facts, until=utc(11, 12)) == ["2026-11-09"]

    def test_a_zone_changed_within_the_grace_leaves_the_period_open_until_its_day_ends_there(self) -> None:
        facts = (set_(), revised(utc(11, 9, 23, 0, 30), zone="America/New_York"))
        assert expected(*facts) == utc(11, 10, 5)
        assert expected(*facts, logged=[utc(11, 9, 23, 0, 10)]) == utc(11, 17, 5)


class TestPauses:
    """Rule 7: nothing lapses in a pause; what was expected before is decided as ever."""

    def test_nothing_lapses_in_a_pause(self) -> None:
        assert lapses(set_(), said("paused", utc(11, 9, 22, 59)), until=FAR) == []

    def test_what_was_expected_at_its_beginning_is_decided_as_ever(self) -> None:
        end = utc(11, 9, 23)
        assert lapses(set_(), said("paused", end), until=FAR) == ["2026-11-09"]
        assert lapses(set_(), said("paused", end + SECOND), until=FAR) == ["2026-11-09"]

    def test_it_counts_anew_from_the_resumption(self) -> None:
        facts = (set_(), said("paused", utc(11, 5)), said("resumed", utc(11, 25, 9)))
        assert lapses(*facts, until=utc(12, 5)) == ["2026-12-02"]

    def test_a_short_pause_within_the_grace_takes_nothing_away(self) -> None:
        end = utc(11, 9, 23)
        facts = (set_(), said("paused", end + SECOND), said("resumed", end + 2 * SECOND))
        assert lapses(*facts, until=utc(11, 20)) == ["2026-11-09", "2026-11-17"]

    def test_a_check_in_during_the_pause_is_older_than_the_resumption(self) -> None:
        facts = (set_(), said("paused", utc(11, 5)), said("resumed", utc(11, 25, 9)))
        assert lapses(*facts, logged=[utc(11, 20)], until=utc(12, 5)) == ["2026-12-02"]

    def test_the_deadlines_that_a_resumption_moves_carry_the_cadence_further(self) -> None:
        due, moved = utc(11, 12, 23), utc(12, 2, 23)
        facts = (
            set_(due=due),
            said("paused", utc(11, 5)),
            revised(utc(11, 25, 9), due=moved),
            said("resumed", utc(11, 25, 9)),
        )
        assert lapses(*facts, until=FAR) == ["2026-12-02"]


class TestEnd:
    def test_what_was_expected_before_the_end_is_decided_as_ever_although_the_end_drops_the_goal(
        self,
    ) -> None:
        end = utc(11, 9, 23)
        facts = (set_(), said("dropped", end + 2 * SECOND), said("ended", end + SECOND))
        assert lapses(*facts, until=FAR) == ["2026-11-09"]

    def test_nothing_is_expected_after_it(self) -> None:
        assert lapses(set_(), said("ended", utc(11, 9, 22)), until=FAR) == []

    def test_what_fell_into_a_pause_that_turns_into_an_end_is_dropped(self) -> None:
        assert lapses(set_(), said("paused", utc(11, 5)), said("ended", utc(11, 25)), until=FAR) == []


class TestOnceOnly:
    """However the worker was interrupted, each period is decided once, and from the whole history."""

    def test_a_fact_that_comes_to_be_known_late_changes_no_period_that_was_decided(self) -> None:
        decided = Period(date(2026, 11, 9), utc(11, 9, 23))
        facts = (set_(), revised(utc(11, 8), every=14))
        assert lapses(*facts, lapsed=decided, until=utc(11, 24)) == ["2026-11-23"]

    instants = st.integers(0, 60 * 24).map(lambda hours: SET_AT + timedelta(hours=hours, minutes=7))
    kinds = st.sampled_from(
        ["met", "missed", "dropped", "paused", "resumed", "ended", "every", "due", "zone"]
    )

    @staticmethod
    def fact(kind: str, at: datetime) -> Fact:
        match kind:
            case "every":
                return revised(at, every=3)
            case "due":
                return revised(at, due=SET_AT + timedelta(days=30))
            case "zone":
                return revised(at, zone="America/New_York")
            case _:
                return said(kind, at)

    @given(
        facts=st.lists(st.tuples(kinds, instants), max_size=6),
        logged=st.lists(instants, max_size=8),
        looks=st.lists(instants, max_size=6),
    )
    @settings(max_examples=300, deadline=None)
    def test_looking_often_gives_what_looking_once_gives(
        self, facts: list[tuple[str, datetime]], logged: list[datetime], looks: list[datetime]
    ) -> None:
        history = [set_(), *(self.fact(kind, at) for kind, at in facts)]
        until = SET_AT + timedelta(days=90)
        at_once = lapses(*history, logged=logged, until=until)
        assert at_once == sorted(set(at_once))

        step_by_step: list[str] = []
        lapsed: Period | None = None
        for now in [*sorted(looks), until]:
            known = [fact for fact in history if fact.recorded <= now]
            here = [at for at in logged if at <= now]
            while True:
                period = next_period(known, here, lapsed, GRACE)
                if period is None or period.expected_by + GRACE > now:
                    break
                step_by_step.append(period.period.isoformat())
                lapsed = period
        assert step_by_step == at_once
