from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from shared import time as onbelay_time
from shared.time import (
    due_at,
    end_of_day,
    format_instant,
    local_date,
    local_instant,
    parse_instant,
    workdays_after,
    workdays_before,
    zone,
)

# Worked out with `date -u -d 'TZ="..." ...'` and zdump, not with the code under test.
DEADLINES = [
    ("2026-12-18", "Europe/Berlin", "17:00", "2026-12-18T16:00:00Z"),
    ("2026-12-18", "Europe/Berlin", "24:00", "2026-12-18T23:00:00Z"),
    ("2026-12-18", "Europe/Berlin", "17:00:30", "2026-12-18T16:00:30Z"),
    ("2027-03-28", "Europe/Berlin", "02:30", "2027-03-28T01:00:00Z"),
    ("2027-03-28", "Europe/Berlin", "02:00", "2027-03-28T01:00:00Z"),
    ("2027-03-28", "Europe/Berlin", "03:00", "2027-03-28T01:00:00Z"),
    ("2027-03-28", "Europe/Berlin", "01:59:59", "2027-03-28T00:59:59Z"),
    ("2026-10-25", "Europe/Berlin", "02:30", "2026-10-25T00:30:00Z"),
    ("2026-10-25", "Europe/Berlin", "03:00", "2026-10-25T02:00:00Z"),
    ("2027-03-14", "America/New_York", "02:15", "2027-03-14T07:00:00Z"),
    ("2026-11-01", "America/New_York", "01:30", "2026-11-01T05:30:00Z"),
    ("2026-10-04", "Australia/Lord_Howe", "02:15", "2026-10-03T15:30:00Z"),
    ("2027-04-04", "Australia/Lord_Howe", "01:45", "2027-04-03T14:45:00Z"),
    ("2027-03-27", "Asia/Beirut", "24:00", "2027-03-27T22:00:00Z"),
    ("2011-12-30", "Pacific/Apia", "12:00", "2011-12-30T10:00:00Z"),
    ("2028-02-29", "UTC", "24:00", "2028-03-01T00:00:00Z"),
]


class TestDueAt:
    @pytest.mark.parametrize(("day", "name", "cutoff", "expected"), DEADLINES)
    def test_a_deadline_stands_for_an_instant(self, day: str, name: str, cutoff: str, expected: str) -> None:
        assert format_instant(due_at(date.fromisoformat(day), name, cutoff)) == expected

    @pytest.mark.parametrize(
        "cutoff", ["24:01", "25:00", "1:00", "12:60", "12:00:60", "noon", "", "24:00:01"]
    )
    def test_a_malformed_cutoff_is_refused(self, cutoff: str) -> None:
        with pytest.raises(ValueError, match="cutoff"):
            due_at(date(2027, 1, 1), "UTC", cutoff)

    @pytest.mark.parametrize(
        "name", ["Mars/Olympus", "", "Europe", "../etc/passwd", "europe/berlin", "localtime"]
    )
    def test_an_unknown_zone_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match="no such time zone"):
            zone(name)

    def test_the_edge_of_the_calendar_is_refused(self) -> None:
        with pytest.raises(ValueError, match="edge"):
            due_at(date.max, "UTC", "24:00")

    def test_nine_in_the_morning_is_local(self) -> None:
        assert (
            format_instant(local_instant(date(2027, 7, 1), time(9), "America/Sao_Paulo"))
            == "2027-07-01T12:00:00Z"
        )

    def test_a_day_ends_where_the_next_begins(self) -> None:
        assert format_instant(end_of_day(date(2026, 3, 28), "Asia/Beirut")) == "2026-03-28T22:00:00Z"
        assert local_date(datetime(2026, 12, 31, 23, 30, tzinfo=UTC), "Europe/Berlin") == date(2027, 1, 1)


class TestInstants:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("2026-12-18T17:00:00+01:00", "2026-12-18T16:00:00Z"),
            ("2026-12-18t16:00:00z", "2026-12-18T16:00:00Z"),
            ("2026-12-18T16:00:00.1239Z", "2026-12-18T16:00:00.123Z"),
            ("2026-12-18T16:00:00.000999Z", "2026-12-18T16:00:00Z"),
            ("2026-12-18T16:00:00.1234567891Z", "2026-12-18T16:00:00.123Z"),
        ],
    )
    def test_any_offset_is_read_and_utc_is_shown(self, text: str, shown: str) -> None:
        assert format_instant(parse_instant(text)) == shown

    @pytest.mark.parametrize(
        "text",
        [
            "2026-12-18", "2026-12-18T16:00:00", "2026-12-18 16:00:00Z", "2026-13-01T00:00:00Z", "20261218T160000Z",
            "2026-12-18T16:00Z", "2026-12-18T16:00:61Z", "0001-01-01T00:00:00+12:00", "2026-12-18T16:00:00+25:00",
            "٢٠٢٦-12-18T16:00:00Z",
        ],
    )  # fmt: skip
    def test_what_is_no_instant_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"RFC 3339|range|month|second|hour|minute"):
            parse_instant(text)


class TestWorkdays:
    def test_monday_to_friday_count(self) -> None:
        assert workdays_before(date(2026, 11, 30), 2) == date(2026, 11, 26)
        assert workdays_after(date(2026, 11, 27), 2) == date(2026, 12, 1)
        assert workdays_after(date(2026, 11, 28), 0) == date(2026, 11, 28)

    def test_a_recipient_may_have_others(self) -> None:
        sunday_to_thursday = frozenset({6, 0, 1, 2, 3})
        assert workdays_before(date(2026, 11, 29), 1, sunday_to_thursday) == date(2026, 11, 26)

    def test_none_at_all_is_refused_instead_of_searched_for(self) -> None:
        with pytest.raises(ValueError, match="workdays"):
            onbelay_time.workdays_after(date(2026, 11, 29), 1, frozenset())
