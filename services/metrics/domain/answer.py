"""Answers: the numbers of one thing in one window, whole, by role, and bucket by bucket."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.metrics.domain.crowds import Present, present
from services.metrics.domain.days import Asked, Granularity, Window, bucket_index, buckets, shown_day
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.numbers import NOTHING, ROLES, Contribution, Part, add_up, share, shown
from services.metrics.domain.withheld import NOTICE, too_few, withheld_parts


def of_few(
    scope: str,
    id_: str,
    asked: Asked,
    granularity: Granularity | None,
    contributions: Sequence[Contribution],
) -> dict[str, Any]:
    """The numbers of a goal, a mentorship or a person: of those who may see them, nothing is withheld."""
    answer = _head(scope, id_, asked)
    answer |= _part(add_up(contributions, [asked.window])[0], frozenset())
    if granularity is not None:
        cut = buckets(asked.window, granularity)
        answer["series"] = [
            {**_span(window), **_part(part, frozenset())}
            for window, part in zip(cut, add_up(contributions, cut), strict=True)
        ]
    return answer


def of_many(
    scope: str,
    id_: str,
    asked: Asked,
    granularity: Granularity | None,
    contributions: Sequence[Contribution],
    engaged: Iterable[tuple[int, Iterable[str]]],
    mentorships: Sequence[Mentorship],
) -> dict[str, Any]:
    """The numbers of a program or an organization, with what is over few people withheld.

    `engaged`: days, and who logged or acknowledged on them; of days in the window alone.
    """
    answer = _head(scope, id_, asked)
    days = [(day, list(people)) for day, people in engaged]
    window = [asked.window]
    people = present(mentorships, window, asked.as_of, _engaged(days, window))[0]
    if too_few(people.everyone):
        return answer | NOTICE
    answer |= _shown(add_up(contributions, window)[0], people, _roles_withheld(people))
    if granularity is not None:
        cut = buckets(asked.window, granularity)
        crowds = present(mentorships, cut, asked.as_of, _engaged(days, cut))
        answer["series"] = _series(cut, add_up(contributions, cut), crowds, answer["by_role"])
    return answer


def over_few(asked: Asked, mentorships: Sequence[Mentorship]) -> bool:
    """Whether numbers of these mentorships over a window are withheld."""
    return too_few(present(mentorships, [asked.window], asked.as_of, [frozenset()])[0].everyone)


def _series(
    cut: Sequence[Window], parts: Sequence[Part], people: Sequence[Present], by_role: Mapping[str, Any]
) -> list[dict[str, Any]]:
    hidden = withheld_parts([found.everyone for found in people])
    roles_hidden = [set(ROLES) if i in hidden else _roles_withheld(found) for i, found in enumerate(people)]
    for role in ROLES:
        if by_role[role] == NOTICE:
            continue
        # Where the role is shown over the window, its buckets are parts of that whole as well.
        already = {i for i, roles in enumerate(roles_hidden) if role in roles}
        for index in withheld_parts([found.roles[role] for found in people], already):
            roles_hidden[index].add(role)
    series = []
    for index, window in enumerate(cut):
        if index in hidden:
            series.append({**_span(window), **NOTICE})
        else:
            found = _shown(parts[index], people[index], roles_hidden[index])
            series.append({**_span(window), **found})
    return series


def _roles_withheld(people: Present) -> set[str]:
    return {ROLES[index] for index in withheld_parts([people.roles[role] for role in ROLES])}


def _shown(part: Part, people: Present, roles_withheld: Iterable[str]) -> dict[str, Any]:
    """What is shown of a part: over nobody, whole or role, zeros."""
    nobody = {role for role in ROLES if not people.roles[role].size}
    if not people.everyone.size:
        part = NOTHING
    return {
        **_part(part, frozenset(roles_withheld) - nobody, nobody),
        "people": people.everyone.size,
        "engaged": people.engaged,
        "engaged_share": share(people.engaged, people.everyone.size),
    }


def _part(part: Part, roles_withheld: Iterable[str], nobody: Iterable[str] = frozenset()) -> dict[str, Any]:
    by_role: dict[str, Any] = {}
    for role in ROLES:
        if role in roles_withheld:
            by_role[role] = dict(NOTICE)
        else:
            by_role[role] = shown({} if role in nobody else part.roles[role])
    return {**shown(part.whole), "by_role": by_role}


def _engaged(days: Iterable[tuple[int, Sequence[str]]], windows: Sequence[Window]) -> list[set[str]]:
    ends = [window.end for window in windows]
    found: list[set[str]] = [set() for _ in windows]
    for day, people in days:
        if windows[0].start <= day <= ends[-1]:
            found[bucket_index(ends, day)].update(people)
    return found


def _head(scope: str, id_: str, asked: Asked) -> dict[str, Any]:
    return {"scope": scope, "id": id_, **_span(asked.window), "as_of": shown_day(asked.as_of)}


def _span(window: Window) -> dict[str, str]:
    return {"from": shown_day(window.start), "to": shown_day(window.end)}
