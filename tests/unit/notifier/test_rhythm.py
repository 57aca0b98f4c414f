"""A person's own time: workdays, quiet hours, the daily message, and the two days on which clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notifier.domain.moments import Morning, WorkdaysLater, time_of
from services.notifier.domain.person import Recipient
from services.notifier.domain.rhythm import QuietHours, Rhythm
from tests.builders import NOW
from tests.unit.notifier.story import BERLIN, berlin

NIGHT = QuietHours(time(20), time(8))
OFFICE = Rhythm(BERLIN, quiet=NIGHT)
DAILY = Rhythm(BERLIN, quiet=NIGHT, daily=True)


def seconds_after(first: datetime, *, days: int) -> st.SearchStrategy[datetime]:
    return st.integers(0, days * 86_400).map(lambda seconds: first + timedelta(seconds=seconds))


def minutes_after(first: datetime, *, days: int) -> st.SearchStrategy[datetime]:
    return st.integers(0, days * 1_440).map(lambda minutes: first + timedelta(minutes=minutes))


class TestQuietHoursAndDaysOff:
    @pytest.mark.parametrize(
        ("wanted", "granted"),
        [
            ("2026-11-04 12:00", "2026-11-04 12:00"),  # a Wednesday at noon
            ("2026-11-04 20:00", "2026-11-05 08:00"),  # the evening waits for the morning
            ("2026-11-05 07:59", "2026-11-05 08:00"),
            ("2026-11-05 08:00", "2026-11-05 08:00"),  # the end is not quiet any more
            ("2026-11-06 21:00", "2026-11-09 08:00"),  # Friday night waits for Monday
            ("2026-11-07 12:00", "2026-11-09 08:00"),  # a Saturday
        ],
    )
    def test_postpone_to_the_next_time_awake(self, wanted: str, granted: str) -> None:
        assert OFFICE.opportunity(berlin(wanted)) == berlin(granted)

    def test_the_same_time_twice_is_no_quiet_hours_at_all(self) -> None:
        always = Rhythm(BERLIN, quiet=QuietHours(time(0), time(0)))
        assert always.opportunity(berlin("2026-11-04 03:00")) == berlin("2026-11-04 03:00")
        assert always.opportunity(berlin("2026-11-07 03:00")) == berlin("2026-11-09 00:00")

    def test_at_noon_are_quiet_hours_within_a_day(self) -> None:
        siesta = Rhythm(BERLIN, quiet=QuietHours(time(12), time(14)))
        assert siesta.opportunity(berlin("2026-11-04 13:00")) == berlin("2026-11-04 14:00")
        assert siesta.opportunity(berlin("2026-11-04 23:00")) == berlin("2026-11-04 23:00")

    def test_that_leave_no_time_are_found_out(self) -> None:
        almost_all_day = Rhythm(BERLIN, quiet=QuietHours(time(0, 1), time(0)))
        assert almost_all_day.leaves_time()
        assert not Rhythm(BERLIN, frozenset()).leaves_time()

    @pytest.mark.parametrize(
        ("start", "end", "leave"),
        [
            ("00:00", "24:00", False),
            ("00:00", "23:59", True),
            ("00:00", "00:00", True),
            ("24:00", "24:00", True),
            ("24:00", "00:00", True),
            ("12:00", "24:00", True),
        ],
    )
    def test_of_a_whole_day_leave_none(self, start: str, end: str, leave: bool) -> None:
        chosen = Recipient(time_zone=BERLIN, quiet_from=start, quiet_to=end, put_at=NOW)
        assert chosen.leaves_time is leave


class TestTheDailyMessage:
    @pytest.mark.parametrize(
        ("wanted", "granted"),
        [
            ("2026-11-04 09:00", "2026-11-04 09:00"),
            ("2026-11-04 09:01", "2026-11-05 09:00"),
            ("2026-11-06 10:00", "2026-11-09 09:00"),
        ],
    )
    def test_comes_at_nine_on_workdays(self, wanted: str, granted: str) -> None:
        assert DAILY.opportunity(berlin(wanted)) == berlin(granted)

    def test_comes_when_quiet_hours_end_if_that_is_later(self) -> None:
        late = Rhythm(BERLIN, quiet=QuietHours(time(22), time(10, 30)), daily=True)
        assert late.opportunity(berlin("2026-11-04 09:00")) == berlin("2026-11-04 10:30")

    def test_comes_on_its_own_day_to_who_is_awake_at_night(self) -> None:
        monday_night = Rhythm(BERLIN, frozenset({0}), QuietHours(time(1), time(0)), daily=True)
        assert monday_night.opportunity(berlin("2026-11-04 09:00")) == berlin("2026-11-09 00:00")
        assert monday_night.opportunity(berlin("2026-11-09 00:00")) == berlin("2026-11-09 00:00")


class TestWhenTheClocksChange:
    def test_quiet_hours_that_end_in_the_gap_end_with_it(self) -> None:
        # 2027-03-28 is a Sunday; 02:30 does not exist, the gap ends at 01:00 UTC.
        early = Rhythm(BERLIN, frozenset(range(7)), QuietHours(time(22), time(2, 30)))
        assert early.opportunity(berlin("2027-03-28 01:00")) == datetime(2027, 3, 28, 1, tzinfo=UTC)

    def test_an_hour_that_comes_twice_is_quiet_twice(self) -> None:
        # 2026-10-25: at 01:00 UTC the clocks go back from 03:00 to 02:00.
        early = Rhythm(BERLIN, frozenset(range(7)), QuietHours(time(22), time(2, 30)))
        first_end, second_end = (
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
        )
        assert early.opportunity(first_end - timedelta(minutes=5)) == first_end
        assert early.rests(second_end - timedelta(minutes=5))
        assert early.opportunity(second_end - timedelta(minutes=5)) == second_end

    def test_nine_o_clock_stays_nine_o_clock(self) -> None:
        assert DAILY.opportunity(berlin("2026-10-23 10:00")) == datetime(2026, 10, 26, 8, tzinfo=UTC)
        assert DAILY.opportunity(berlin("2027-03-26 10:00")) == datetime(2027, 3, 29, 7, tzinfo=UTC)

    @given(
        wanted=seconds_after(datetime(2026, 10, 20, tzinfo=UTC), days=164),
        zone=st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"]),
        start=st.integers(0, 23),
        end=st.integers(0, 23),
        days=st.sets(st.integers(0, 6), min_size=1),
        daily=st.booleans(),
    )
    def test_nobody_is_written_to_at_rest_and_nobody_is_forgotten(
        self, wanted: datetime, zone: str, start: int, end: int, days: set[int], daily: bool
    ) -> None:
        rhythm = Rhythm(zone, frozenset(days), QuietHours(time(start), time(end)), daily)
        granted = rhythm.opportunity(wanted)
        assert granted >= wanted
        assert not rhythm.rests(granted)
        assert granted - wanted < timedelta(days=10)
        assert rhythm.opportunity(granted) == granted

    @given(
        wanted=minutes_after(datetime(2026, 10, 20, tzinfo=UTC), days=11),
        start=st.integers(0, 23),
        end=st.integers(0, 23),
    )
    def test_no_earlier_minute_would_have_done(self, wanted: datetime, start: int, end: int) -> None:
        rhythm = Rhythm(BERLIN, frozenset(range(7)), QuietHours(time(start), time(end)))
        granted = rhythm.opportunity(wanted)
        minutes = int((granted - wanted) / timedelta(minutes=1))
        assert all(rhythm.rests(wanted + timedelta(minutes=passed)) for passed in range(minutes))


class TestMoments:
    def test_workdays_later_is_at_the_same_local_time(self) -> None:
        thursday = berlin("2026-10-22 15:30")
        assert time_of(WorkdaysLater(since=thursday, days=2), OFFICE) == berlin("2026-10-26 15:30")

    def test_workdays_are_the_recipient_s_own(self) -> None:
        sunday_to_thursday = Rhythm("Asia/Jerusalem", frozenset({6, 0, 1, 2, 3}))
        thursday = datetime(2026, 11, 5, 10, tzinfo=UTC)
        assert time_of(WorkdaysLater(since=thursday, days=2), sunday_to_thursday) == thursday + timedelta(
            days=4
        )

    def test_a_morning_is_the_recipient_s_own(self) -> None:
        assert time_of(Morning(date=date(2026, 11, 4)), Rhythm("Asia/Tokyo")) == datetime(
            2026, 11, 4, 0, tzinfo=UTC
        )

    @pytest.mark.parametrize(
        ("day", "moment"), [("2026-11-04", "2026-11-04 09:00"), ("2026-11-08", "2026-11-06 09:00")]
    )
    def test_the_last_own_workday_up_to_a_date(self, day: str, moment: str) -> None:
        rule = Morning(date=date.fromisoformat(day), on_workday=True)
        assert time_of(rule, OFFICE) == berlin(moment)

    def test_two_workdays_before_a_monday_is_thursday(self) -> None:
        rule = Morning(date=date(2026, 11, 9), workdays_before=2)
        assert time_of(rule, OFFICE) == berlin("2026-11-05 09:00")
