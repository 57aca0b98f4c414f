"""Who stands behind numbers: the participants of the mentorships in a window, and how many of them are engaged.

A mentorship is in a window when it started by its end and did not end before its start; its participants are those
of the window's last day.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from services.metrics.domain.days import Window
from services.metrics.domain.mentorship import Crew, Mentorship
from services.metrics.domain.numbers import ROLES
from services.metrics.domain.withheld import FEWEST, Crowd


@dataclass(frozen=True, slots=True)
class Present:
    """The people of one window: all, by role, and how many are engaged."""

    everyone: Crowd
    roles: Mapping[str, Crowd]
    engaged: int


def present(
    mentorships: Iterable[Mentorship],
    windows: Sequence[Window],
    as_of: int,
    engaged: Sequence[AbstractSet[str]],
) -> list[Present]:
    """The people of each of some contiguous windows, by what had been recorded up to the end of `as_of`.

    `engaged`: who logged or acknowledged in each window. One sweep: its cost is that of the mentorships plus
    that of the windows, not of their product.
    """
    coming: list[list[Crew]] = [[] for _ in windows]
    going: list[list[Crew]] = [[] for _ in windows]
    for mentorship in mentorships:
        for crew, first, last in _stays(mentorship, windows, as_of):
            coming[first].append(crew)
            if last + 1 < len(windows):
                going[last + 1].append(crew)
    counted: dict[str, Counter[str]] = {role: Counter() for role in ROLES}
    everyone: Counter[str] = Counter()
    found = []
    for index in range(len(windows)):
        for crew in going[index]:
            _count(crew, counted, everyone, -1)
        for crew in coming[index]:
            _count(crew, counted, everyone, 1)
        found.append(
            Present(
                _crowd(everyone),
                {role: _crowd(counted[role]) for role in ROLES},
                sum(1 for person in engaged[index] if person in everyone),
            )
        )
    return found


def _stays(mentorship: Mentorship, windows: Sequence[Window], as_of: int) -> Iterable[tuple[Crew, int, int]]:
    """Each crew with the first and the last window that it is in."""
    crews = [crew for crew in mentorship.crews if crew.since <= as_of]
    end = mentorship.end
    if end is not None and end.recorded <= as_of:
        last_of_all = bisect_right(windows, end.day, key=lambda window: window.start) - 1
    else:
        last_of_all = len(windows) - 1
    for index, crew in enumerate(crews):
        first = bisect_left(windows, crew.since, key=lambda window: window.end)
        last = last_of_all
        if index + 1 < len(crews):
            last = min(last, bisect_left(windows, crews[index + 1].since, key=lambda window: window.end) - 1)
        if first <= last:
            yield crew, first, last


def _count(crew: Crew, counted: Mapping[str, Counter[str]], everyone: Counter[str], by: int) -> None:
    for role, person in zip(ROLES, (crew.mentor_id, crew.mentee_id, crew.leader_id), strict=True):
        if person is None:
            continue
        for counter in (counted[role], everyone):
            counter[person] += by
            if not counter[person]:
                del counter[person]


def _crowd(counter: Counter[str]) -> Crowd:
    return Crowd(len(counter), frozenset(counter) if len(counter) < FEWEST else frozenset())
