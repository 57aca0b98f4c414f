"""A table of deadlines against instants that the code under test had no part in.

The instants were worked out with `zdump -v -c <year-1>,<year+2> <zone>`: each of its lines tells a transition's UTC
and the offset beside it; a wall time stands for the first instant at which the zone's clocks show it, or, where they
never do, for the transition that skips it. `TestTable` works them out again wherever there is a zdump.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import NamedTuple

import pytest

from shared.time import due_at, end_of_day, format_instant, local_date, parse_instant

TABLE = """
2026-12-18 Europe/Berlin        17:00    2026-12-18T16:00:00Z in winter
2026-07-17 Europe/Berlin        17:00    2026-07-17T15:00:00Z in summer
2026-12-18 Europe/Berlin        24:00    2026-12-18T23:00:00Z the end of the day
2026-12-18 Europe/Berlin        17:00:30 2026-12-18T16:00:30Z to the second
2027-03-28 Europe/Berlin        02:30    2027-03-28T01:00:00Z in the gap
2027-03-28 Europe/Berlin        02:00    2027-03-28T01:00:00Z at the beginning of the gap
2027-03-28 Europe/Berlin        02:59:59 2027-03-28T01:00:00Z in the last second of the gap
2027-03-28 Europe/Berlin        03:00    2027-03-28T01:00:00Z at the end of the gap
2027-03-28 Europe/Berlin        01:59:59 2027-03-28T00:59:59Z before the gap
2027-03-28 Europe/Berlin        24:00    2027-03-28T22:00:00Z the end of a day of 23 hours
2026-10-25 Europe/Berlin        02:30    2026-10-25T00:30:00Z in the fold: the first
2026-10-25 Europe/Berlin        02:00    2026-10-25T00:00:00Z at the beginning of the fold
2026-10-25 Europe/Berlin        02:59:59 2026-10-25T00:59:59Z in the last second of the fold
2026-10-25 Europe/Berlin        03:00    2026-10-25T02:00:00Z after the fold
2026-10-25 Europe/Berlin        24:00    2026-10-25T23:00:00Z the end of a day of 25 hours
2027-03-28 Europe/London        01:15    2027-03-28T01:00:00Z in the gap
2026-10-25 Europe/London        01:59    2026-10-25T00:59:00Z in the fold
2027-03-28 Europe/Lisbon        01:30    2027-03-28T01:00:00Z in the gap, from winter's UTC
2026-10-25 Europe/Dublin        01:30    2026-10-25T00:30:00Z in the fold, where winter has the negative saving
2027-03-27 Atlantic/Azores      24:00    2027-03-28T01:00:00Z a midnight gap: the day ends as it begins
2027-03-28 Atlantic/Azores      00:30    2027-03-28T01:00:00Z in the midnight gap
2026-10-25 Atlantic/Azores      00:30    2026-10-25T00:30:00Z in the fold
2027-03-28 Africa/Ceuta         02:30    2027-03-28T01:00:00Z in the gap
2026-07-01 Europe/Istanbul      24:00    2026-07-01T21:00:00Z without summer time
2027-03-14 America/New_York     02:15    2027-03-14T07:00:00Z in the gap
2026-11-01 America/New_York     01:30    2026-11-01T05:30:00Z in the fold
2026-11-01 America/New_York     24:00    2026-11-02T05:00:00Z the end of a day of 25 hours
2027-03-14 America/Los_Angeles  02:59:59 2027-03-14T10:00:00Z in the last second of the gap
2026-11-01 America/Chicago      01:00    2026-11-01T06:00:00Z at the beginning of the fold
2027-03-14 America/St_Johns     02:30    2027-03-14T05:30:00Z in the gap, half an hour beside
2026-11-01 America/St_Johns     01:30    2026-11-01T04:00:00Z in the fold, half an hour beside
2027-03-13 America/Havana       24:00    2027-03-14T05:00:00Z a midnight gap
2026-11-01 America/Havana       00:30    2026-11-01T04:30:00Z in a fold that begins at midnight
2026-12-31 America/Phoenix      24:00    2027-01-01T07:00:00Z without summer time, the end of the year
2026-09-05 America/Santiago     24:00    2026-09-06T04:00:00Z a midnight gap
2026-09-06 America/Santiago     00:30    2026-09-06T04:00:00Z in the midnight gap
2027-04-03 America/Santiago     23:30    2027-04-04T02:30:00Z in a fold before midnight
2027-04-03 America/Santiago     24:00    2027-04-04T04:00:00Z midnight after the fold
2018-11-03 America/Sao_Paulo    24:00    2018-11-04T03:00:00Z a midnight gap, while there was summer time
2018-11-04 America/Sao_Paulo    00:00    2018-11-04T03:00:00Z in the midnight gap
2018-02-17 America/Sao_Paulo    23:15    2018-02-18T01:15:00Z in a fold before midnight
2027-07-01 America/Sao_Paulo    09:00    2027-07-01T12:00:00Z since then without
2026-10-04 Australia/Lord_Howe  02:15    2026-10-03T15:30:00Z in a gap of half an hour
2026-10-04 Australia/Lord_Howe  02:29:59 2026-10-03T15:30:00Z in the last second of it
2026-10-04 Australia/Lord_Howe  02:30    2026-10-03T15:30:00Z at the end of it
2027-04-04 Australia/Lord_Howe  01:45    2027-04-03T14:45:00Z in a fold of half an hour
2027-04-04 Australia/Lord_Howe  02:00    2027-04-03T15:30:00Z after it
2026-10-04 Australia/Sydney     02:30    2026-10-03T16:00:00Z in the gap of the southern spring
2027-04-04 Australia/Adelaide   02:30    2027-04-03T16:00:00Z in the fold, half an hour beside
2026-09-27 Pacific/Auckland     02:30    2026-09-26T14:00:00Z in the gap
2026-09-27 Pacific/Chatham      03:00    2026-09-26T14:00:00Z in the gap, 12:45 ahead
2027-04-04 Pacific/Chatham      03:30    2027-04-03T13:45:00Z in the fold
2027-03-27 Asia/Beirut          24:00    2027-03-27T22:00:00Z a midnight gap
2027-03-28 Asia/Beirut          00:30    2027-03-27T22:00:00Z in the midnight gap
2026-10-24 Asia/Beirut          23:30    2026-10-24T20:30:00Z in a fold before midnight
2026-10-24 Asia/Beirut          24:00    2026-10-24T22:00:00Z midnight after the fold
2027-03-26 Asia/Jerusalem       02:30    2027-03-26T00:00:00Z in a gap on a Friday
2026-11-27 Asia/Kathmandu       12:00    2026-11-27T06:15:00Z 5:45 ahead
2026-11-27 Asia/Kolkata         24:00    2026-11-27T18:30:00Z 5:30 ahead
2026-11-27 Pacific/Kiritimati   24:00    2026-11-27T10:00:00Z 14 hours ahead
2026-11-27 Pacific/Pago_Pago    24:00    2026-11-28T11:00:00Z 11 hours behind
2026-11-27 Pacific/Marquesas    18:00    2026-11-28T03:30:00Z 9:30 behind
2011-12-29 Pacific/Apia         24:00    2011-12-30T10:00:00Z the day before the day that was skipped
2011-12-30 Pacific/Apia         12:00    2011-12-30T10:00:00Z on the day that was skipped
2011-12-30 Pacific/Apia         24:00    2011-12-30T10:00:00Z the end of the day that was skipped
2011-12-31 Pacific/Apia         00:30    2011-12-30T10:30:00Z after the day that was skipped
2011-12-30 Pacific/Fakaofo      09:00    2011-12-30T11:00:00Z on the day that was skipped
1994-12-31 Pacific/Kiritimati   17:00    1994-12-31T10:00:00Z on the day that was skipped
1993-08-21 Pacific/Kwajalein    12:00    1993-08-21T12:00:00Z on the day that was skipped
2028-02-29 UTC                  24:00    2028-03-01T00:00:00Z the end of a leap day
2028-02-29 Asia/Tokyo           24:00    2028-02-29T15:00:00Z the end of a leap day
2100-02-28 Europe/Paris         24:00    2100-02-28T23:00:00Z 2100 has no leap day
2099-12-31 America/New_York     24:00    2100-01-01T05:00:00Z the end of a century's year
2100-03-28 Europe/Berlin        02:30    2100-03-28T01:00:00Z in the gap of 2100
2100-10-31 Europe/Berlin        02:30    2100-10-31T00:30:00Z in the fold of 2100
2068-07-15 America/Los_Angeles  17:00    2068-07-16T00:00:00Z in summer, beyond the table of transitions
2050-04-03 Australia/Lord_Howe  01:45    2050-04-02T14:45:00Z in the fold of 2050
2026-12-31 Etc/GMT+12           24:00    2027-01-01T12:00:00Z the last zone to end the year
"""


class Row(NamedTuple):
    """A date, a zone and a cutoff, the instant that they stand for, and what is special about it."""

    day: date
    zone: str
    cutoff: str
    instant: datetime
    why: str


def _row(line: str) -> Row:
    day, zone, cutoff, instant, why = line.split(maxsplit=4)
    return Row(date.fromisoformat(day), zone, cutoff, parse_instant(instant), why)


ROWS = [_row(line) for line in TABLE.strip().splitlines()]
DAYS_2026_TO_2028 = [date(2026, 1, 1) + timedelta(days=number) for number in range(3 * 365 + 1)]

of_each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.zone} {row.day} {row.cutoff}")


class TestDueAt:
    @of_each_row
    def test_a_deadline_stands_for_the_instant_of_the_table(self, row: Row) -> None:
        assert format_instant(due_at(row.day, row.zone, row.cutoff)) == format_instant(row.instant), row.why

    @pytest.mark.parametrize("zone", sorted({row.zone for row in ROWS}))
    def test_a_day_begins_where_the_one_before_ends(self, zone: str) -> None:
        ends = [end_of_day(day, zone) for day in DAYS_2026_TO_2028]
        assert ends == sorted(set(ends))
        for day, end in zip(DAYS_2026_TO_2028, ends, strict=True):
            assert local_date(end - timedelta(milliseconds=1), zone) == day
            assert local_date(end, zone) == day + timedelta(days=1)


class TestTable:
    def test_it_is_long_and_says_nothing_twice(self) -> None:
        assert len(ROWS) >= 70
        assert len({row[:3] for row in ROWS}) == len(ROWS)

    @of_each_row
    def test_zdump_tells_the_same(self, row: Row) -> None:
        if shutil.which("zdump") is None:
            pytest.skip("there is no zdump on this machine")
        found = _by_zdump(row.day, row.zone, row.cutoff)
        assert found == row.instant, f"{row.why}: the system's zones say {found}"


# --- by zdump


class Stretch(NamedTuple):
    """From one instant until another (Unix seconds) a zone is `offset` seconds ahead of UTC."""

    begins: float
    ends: float
    offset: int


def _by_zdump(day: date, zone: str, cutoff: str) -> datetime:
    hours, minutes, seconds = (int(part) for part in f"{cutoff}:00".split(":")[:3])
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    wall = int(midnight.timestamp()) + hours * 3600 + minutes * 60 + seconds
    stretches = _stretches(zone, day.year)
    shown_at = [wall - each.offset for each in stretches if each.begins <= wall - each.offset < each.ends]
    skipped_by = [each.ends for each in stretches if each.ends + each.offset <= wall]
    return datetime.fromtimestamp(min(shown_at, default=max(skipped_by, default=0)), UTC)


@cache
def _stretches(zone: str, year: int) -> list[Stretch]:
    told = _run("zdump", "-v", "-c", f"{year - 1},{year + 2}", zone)
    # Two lines a transition: the last second before it, and its first.
    lines = re.findall(r"^\S+\s+\w+ (\w+ +\d+ [\d:]+ \d+) UTC? = .* gmtoff=(-?\d+)$", told, re.MULTILINE)
    seconds = [
        (datetime.strptime(f"{at} +0000", "%b %d %H:%M:%S %Y %z"), int(offset)) for at, offset in lines
    ]
    if not seconds:
        return [Stretch(float("-inf"), float("inf"), _offset(zone, year))]
    befores, firsts = seconds[::2], seconds[1::2]
    begins = [float("-inf"), *(at.timestamp() for at, _ in firsts)]
    ends = [*(at.timestamp() for at, _ in firsts), float("inf")]
    offsets = [befores[0][1], *(offset for _, offset in firsts)]
    return [Stretch(*each) for each in zip(begins, ends, offsets, strict=True)]


def _offset(zone: str, year: int) -> int:
    """Of a zone without transitions, of which zdump tells no offset."""
    told = _run("date", "-d", f"{year}-07-01T00:00:00Z", "+%z", zone=zone)
    sign, hours, minutes = told[0], int(told[1:3]), int(told[3:5])
    return (hours * 3600 + minutes * 60) * (-1 if sign == "-" else 1)


def _run(*command: str, zone: str = "UTC") -> str:
    surroundings = {**os.environ, "TZ": zone, "LC_ALL": "C"}
    return subprocess.run(command, env=surroundings, capture_output=True, text=True, check=True).stdout
