"""The numbers: what is counted, how counts add up, and how they are shown.

An event *weighs*: each `Weight` adds an amount to a number on the day that the event counts on. What takes
something back (a retraction, a second GoalMet of a revision) weighs negatively on the day where it had counted,
so that a number is always a plain sum of weights, and `as_of` a sum over fewer of them.

`open` is a sum over all days up to the window's end; all others are sums over the window's days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from services.metrics.domain.days import Window, bucket_index

ROLES = ("mentor", "mentee", "leader")
NO_ROLE = "none"
"""Of acknowledgements by who is no participant: they count in the whole and in no role."""

GOALS = ("set", "met", "met_late", "missed", "retracted", "dropped", "revised", "eased", "open")
CHECK_INS = ("logged", "lapsed", "acknowledged")
ANSWERS = ("unrealistic", "unattainable")
CONFIDENCE = "confidence"
"""The sum of the confidences told."""
CONFIDENCES = "confidences"
"""How many were told."""
NUMBERS = (*GOALS, *CHECK_INS, *ANSWERS, CONFIDENCE, CONFIDENCES)

EXPLAINED: dict[str, tuple[str, ...]] = {
    **{f"goals.{number}": (number,) for number in GOALS},
    "follow_through": ("met", "missed"),
    **{f"check_ins.{number}": (number,) for number in CHECK_INS},
    "check_in_rate": ("logged", "lapsed"),
    "confidence_mean": (CONFIDENCE,),
    **{number: (number,) for number in ANSWERS},
}
"""The numbers that can be explained, as they are named in answers, and the sums that each is made of."""

Sums = dict[str, int]


class Weight(NamedTuple):
    """An amount that an event adds to a number, on the day it counts on."""

    number: str
    day: int
    amount: int


class Contribution(NamedTuple):
    """A weight, or the sum of many, in a role."""

    role: str
    number: str
    day: int
    amount: int


class Part(NamedTuple):
    """The sums of one stretch of days: over all, and by role."""

    whole: Sums
    roles: Mapping[str, Sums]


NOTHING = Part({}, {role: {} for role in ROLES})


def add_up(contributions: Iterable[Contribution], windows: Sequence[Window]) -> list[Part]:
    """The sums of each of some contiguous windows. Of days before the first one `open` alone is counted."""
    starts = windows[0].start
    ends = [window.end for window in windows]
    parts = [Part({}, {role: {} for role in ROLES}) for _ in windows]
    for role, number, day, amount in contributions:
        if day > ends[-1]:
            continue
        if day < starts:
            if number != "open":
                continue
            index = 0
        else:
            index = bucket_index(ends, day)
        whole, roles = parts[index]
        whole[number] = whole.get(number, 0) + amount
        if role in roles:
            sums = roles[role]
            sums[number] = sums.get(number, 0) + amount
    for before, after in pairwise(parts):
        after.whole["open"] = after.whole.get("open", 0) + before.whole.get("open", 0)
        for role in ROLES:
            sums = after.roles[role]
            sums["open"] = sums.get("open", 0) + before.roles[role].get("open", 0)
    return parts


def shown(sums: Mapping[str, int]) -> dict[str, Any]:
    """The numbers as an answer shows them; shares and means over nothing are None."""
    goals = {number: sums.get(number, 0) for number in GOALS}
    check_ins = {number: sums.get(number, 0) for number in CHECK_INS}
    return {
        "goals": goals,
        "follow_through": share(goals["met"], goals["met"] + goals["missed"]),
        "check_ins": check_ins,
        "check_in_rate": share(check_ins["logged"], check_ins["logged"] + check_ins["lapsed"]),
        "confidence_mean": share(sums.get(CONFIDENCE, 0), sums.get(CONFIDENCES, 0)),
        **{number: sums.get(number, 0) for number in ANSWERS},
    }


def share(some: int, of: int) -> float | None:
    """`some / of`, unrounded, or None over nothing."""
    return some / of if of else None
