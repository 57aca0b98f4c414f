"""What the dashboard shows of an answer: pure shaping, words and percentages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.metrics.domain.numbers import ROLES

CHART_HEIGHT = 80
BAR_WIDTH = 10

SIGNALS = {
    "due_soon": "due within a week",
    "behind_pace": "behind pace",
    "check_in_lapsed": "check-in lapsed",
    "confidence_low": "low confidence",
    "confidence_falling": "falling confidence",
    "unrealistic": "said to be unrealistic",
    "unattainable": "said to be unattainable",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One number, large; `share` 0 to 1 where there is one."""

    name: str
    value: str
    detail: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """Goals met, met late and missed in one bucket, as heights in the chart; None: withheld."""

    label: str
    x: int
    met: float
    late: float
    missed: float
    withheld: bool
    row: Sequence[str]


def percent(share: float | None) -> str:
    """A share for people: `83 %`, or a dash over nothing."""
    return "–" if share is None else f"{share * 100:.0f} %"


def tiles(answer: Mapping[str, Any]) -> list[Tile]:
    """The numbers that come first."""
    goals, check_ins = answer["goals"], answer["check_ins"]
    decided = goals["met"] + goals["missed"]
    expected = check_ins["logged"] + check_ins["lapsed"]
    confidence = answer["confidence_mean"]
    return [
        Tile(
            "Follow-through",
            percent(answer["follow_through"]),
            f"{goals['met']} of {decided} goals met in time",
            answer["follow_through"],
        ),
        Tile(
            "Check-ins",
            percent(answer["check_in_rate"]),
            f"{check_ins['logged']} of {expected} came",
            answer["check_in_rate"],
        ),
        Tile(
            "Engaged",
            percent(answer["engaged_share"]),
            f"{answer['engaged']} of {answer['people']} people",
            answer["engaged_share"],
        ),
        Tile("Open goals", str(goals["open"]), f"{goals['set']} set, {goals['revised']} renegotiated"),
        Tile(
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


def bars(series: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """The chart: a bar a bucket, all to one scale."""
    shown = [bucket["goals"] for bucket in series if "withheld" not in bucket]
    tallest = max((goals["met"] + goals["met_late"] + goals["missed"] for goals in shown), default=0)
    scale = CHART_HEIGHT / tallest if tallest > 0 else 0.0
    found = []
    for index, bucket in enumerate(series):
        withheld = "withheld" in bucket
        goals = {"met": 0, "met_late": 0, "missed": 0} if withheld else bucket["goals"]
        found.append(
            Bar(
                bucket["from"] if bucket["from"] == bucket["to"] else f"{bucket['from']} – {bucket['to']}",
                index * (BAR_WIDTH + 4),
                round(goals["met"] * scale, 2),
                round(goals["met_late"] * scale, 2),
                round(goals["missed"] * scale, 2),
                withheld,
                row(bucket),
            )
        )
    return found
