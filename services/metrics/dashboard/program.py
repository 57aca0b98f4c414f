"""A program's page: pure shaping of answers into tiles, a chart, a heat map and tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from services.metrics.dashboard.words import percent
from services.metrics.domain.days import Window, shown_day, week_of
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.numbers import ROLES

WIDTH, HEIGHT = 760, 200
LEFT, RIGHT, TOP, BOTTOM = 34, 40, 12, 26
PLOT_WIDTH, PLOT_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
MOST_LABELS = 13
MOST_PAIRS = 40
MOST_WEEKS = 26


@dataclass(frozen=True, slots=True)
class Tile:
    """One number, large; `share` 0 to 1 where there is one; `key` names its meaning."""

    key: str
    name: str
    value: str
    detail: str
    share: float | None = None


def tiles(answer: Mapping[str, Any]) -> list[Tile]:
    """The numbers that come first."""
    goals, check_ins = answer["goals"], answer["check_ins"]
    decided = goals["met"] + goals["missed"]
    expected = check_ins["logged"] + check_ins["lapsed"]
    confidence = answer["confidence_mean"]
    return [
        Tile(
            "follow_through",
            "Follow-through",
            percent(answer["follow_through"]),
            f"{goals['met']} of {decided} goals met in time",
            answer["follow_through"],
        ),
        Tile(
            "check_in_rate",
            "Check-ins",
            percent(answer["check_in_rate"]),
            f"{check_ins['logged']} of {expected} came",
            answer["check_in_rate"],
        ),
        Tile(
            "engaged",
            "Engaged",
            percent(answer["engaged_share"]),
            f"{answer['engaged']} of {answer['people']} people",
            answer["engaged_share"],
        ),
        Tile(
            "open", "Open goals", str(goals["open"]), f"{goals['set']} set, {goals['revised']} renegotiated"
        ),
        Tile(
            "confidence",
            "Confidence",
            "–" if confidence is None else f"{confidence:.1f}",
            f"of 10; {answer['unrealistic']} called a goal unrealistic",
            None if confidence is None else confidence / 10,
        ),
    ]


COLUMNS = ("Set", "Met", "Met late", "Missed", "Open", "Follow-through", "Check-ins", "Lapsed")


def row(numbers: Mapping[str, Any]) -> list[str]:
    """The columns of a table; dashes where the numbers are withheld."""
    if "withheld" in numbers:
        return ["–"] * len(COLUMNS)
    goals, check_ins = numbers["goals"], numbers["check_ins"]
    return [
        str(goals["set"]),
        str(goals["met"]),
        str(goals["met_late"]),
        str(goals["missed"]),
        str(goals["open"]),
        percent(numbers["follow_through"]),
        str(check_ins["logged"]),
        str(check_ins["lapsed"]),
    ]


def roles(answer: Mapping[str, Any]) -> list[tuple[str, bool, list[str]]]:
    """The table by role: its name, whether it is withheld, its columns."""
    by_role = answer["by_role"]
    return [(f"{role.capitalize()}s", "withheld" in by_role[role], row(by_role[role])) for role in ROLES]


# --- over time


@dataclass(frozen=True, slots=True)
class Bar:
    """Goals met, met late and missed in one bucket, as rectangles `(kind, y, height)`; `row` are its numbers."""

    label: str
    short: str
    x: float
    width: float
    parts: Sequence[tuple[str, float, float]]
    withheld: bool
    row: Sequence[str]


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars of goals, a line of follow-through over them, and both scales, in the coordinates of the picture."""

    bars: Sequence[Bar]
    line: Sequence[Sequence[tuple[float, float]]]
    counts: Sequence[tuple[int, float]]
    shares: Sequence[tuple[str, float]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    base: int = HEIGHT - BOTTOM


def chart(series: Sequence[Mapping[str, Any]]) -> Chart:
    """The chart: a bar a bucket, all to one scale, and the follow-through of the buckets that have one."""
    tallest = max((_decided(bucket) for bucket in series if "withheld" not in bucket), default=0)
    top = _round_up(max(tallest, 1))
    slot = PLOT_WIDTH / max(1, len(series))
    every = -(-len(series) // MOST_LABELS)
    bars = []
    line: list[list[tuple[float, float]]] = [[]]
    for index, bucket in enumerate(series):
        x = LEFT + index * slot
        withheld = "withheld" in bucket
        bars.append(
            Bar(
                _span(bucket),
                _short(bucket) if index % every == 0 else "",
                round(x + slot * 0.15, 2),
                round(slot * 0.7, 2),
                () if withheld else _stacked(bucket["goals"], top),
                withheld,
                row(bucket),
            )
        )
        share = None if withheld else bucket["follow_through"]
        if share is not None:
            line[-1].append((round(x + slot / 2, 2), _y(share)))
        elif line[-1]:
            line.append([])
    return Chart(
        bars,
        [points for points in line if points],
        [(count, _y(count / top)) for count in sorted({0, top // 2, top})],
        [(f"{share} %", _y(share / 100)) for share in (0, 50, 100)],
    )


def _decided(bucket: Mapping[str, Any]) -> int:
    goals = bucket["goals"]
    return int(goals["met"] + goals["met_late"] + goals["missed"])


def _stacked(goals: Mapping[str, int], top: int) -> list[tuple[str, float, float]]:
    parts = []
    below = 0
    for kind in ("met", "met_late", "missed"):
        count = max(0, goals[kind])
        if count:
            parts.append((kind, _y((below + count) / top), round(count / top * PLOT_HEIGHT, 2)))
        below += count
    return parts


def _y(share: float) -> float:
    return round(TOP + (1 - share) * PLOT_HEIGHT, 2)


def _round_up(count: int) -> int:
    """A round number not under `count`: 2, 4, 10, 20, 40, 100 and so on."""
    step = 1
    while True:
        for factor in (2, 4, 10):
            if factor * step >= count:
                return factor * step
        step *= 10


def _span(bucket: Mapping[str, Any]) -> str:
    return bucket["from"] if bucket["from"] == bucket["to"] else f"{bucket['from']} to {bucket['to']}"


def _short(bucket: Mapping[str, Any]) -> str:
    when = date.fromisoformat(bucket["from"])
    return f"{when.day} {when:%b}"


# --- the heat map


@dataclass(frozen=True, slots=True)
class Heat:
    """Check-ins by mentorship and week: the quietest mentorships first. `left_out` are more than fit."""

    weeks: Sequence[tuple[str, str]]
    rows: Sequence[HeatRow]
    left_out: int


@dataclass(frozen=True, slots=True)
class HeatRow:
    """One mentorship: its id, its people, and `(count, step 0 to 4)` by week; None: it was not there."""

    mentorship_id: str
    people: str
    cells: Sequence[tuple[int, int] | None]
    total: int


def heat(mentorships: Iterable[Mentorship], logged: Mapping[str, Mapping[int, int]], window: Window) -> Heat:
    """The heat map of a program over a window; of its last weeks, where it has many."""
    mondays = list(range(week_of(window.start), window.end + 1, 7))[-MOST_WEEKS:]
    rows = []
    for mentorship in mentorships:
        if not mentorship.crews:
            continue
        counts = logged.get(mentorship.mentorship_id, {})
        first = mentorship.crews[0].since
        last = mentorship.end.day if mentorship.end is not None else window.end
        cells = [
            (counts.get(monday, 0), _step(counts.get(monday, 0)))
            if counts.get(monday) or (monday + 6 >= first and monday <= last)
            else None
            for monday in mondays
        ]
        total = sum(cell[0] for cell in cells if cell is not None)
        rows.append(HeatRow(mentorship.mentorship_id, people(mentorship), cells, total))
    rows.sort(key=lambda each: (each.total, each.people, each.mentorship_id))
    return Heat([_week(monday) for monday in mondays], rows[:MOST_PAIRS], max(0, len(rows) - MOST_PAIRS))


def people(mentorship: Mentorship) -> str:
    """Who takes part in a mentorship: `mentor & mentee`, and the leader."""
    if not mentorship.crews:
        return mentorship.mentorship_id
    crew = mentorship.crews[-1]
    leader = f", {crew.leader_id}" if crew.leader_id else ""
    return f"{crew.mentor_id} & {crew.mentee_id}{leader}"


def _step(count: int) -> int:
    return 0 if count <= 0 else 1 if count == 1 else 2 if count == 2 else 3 if count <= 4 else 4


def _week(monday: int) -> tuple[str, str]:
    when = date.fromordinal(monday)
    return f"{when.day} {when:%b}", f"week of {shown_day(monday)}"
