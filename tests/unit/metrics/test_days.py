"""Days, and how windows are cut, up to the ends of the calendar."""

from __future__ import annotations

from datetime import date, timedelta
from typing import get_args

import pytest

from services.metrics.domain.days import FIRST, LAST, Granularity, Window, asked, buckets, first_of, month_of

TODAY = date(2026, 11, 27)


class TestBuckets:
    @pytest.mark.parametrize("granularity", get_args(Granularity))
    @pytest.mark.parametrize(
        "window", [Window(FIRST, FIRST + 40), Window(LAST - 40, LAST), Window(LAST, LAST)]
    )
    def test_they_follow_each_other_through_the_whole_window(
        self, window: Window, granularity: Granularity
    ) -> None:
        cut = buckets(window, granularity)
        assert [day for bucket in cut for day in range(bucket.start, bucket.end + 1)] == [
            *range(window.start, window.end + 1)
        ]

    def test_a_month_ends_with_its_last_day(self) -> None:
        year = Window(date(2028, 1, 1).toordinal(), date(2028, 12, 31).toordinal())
        following = [date(2028, month, 1) for month in range(2, 13)]
        assert [bucket.end for bucket in buckets(year, "month")] == [
            *((day - timedelta(days=1)).toordinal() for day in following),
            year.end,
        ]


class TestTheEndsOfTheCalendar:
    def test_a_day_beyond_lies_in_the_first_or_the_last_month(self) -> None:
        assert (month_of(FIRST - 31), month_of(FIRST)) == ("0001-01", "0001-01")
        assert (month_of(LAST), month_of(LAST + 4)) == ("9999-12", "9999-12")

    def test_a_window_begins_with_the_first_day_at_the_earliest(self) -> None:
        assert first_of(84, date(1, 1, 5)) == date.min
        assert first_of(28, date(2026, 1, 28)) == date(2026, 1, 1)
        assert asked(None, date.min, None, TODAY).window == Window(FIRST, FIRST)
        assert asked(None, date.max, None, TODAY).window == Window(LAST - 27, LAST)
