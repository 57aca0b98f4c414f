"""Rule 8, the cadence: when a check-in about a goal is expected, and when one has lapsed.

What is decided depends on instants alone, never on the order in which news came: a goal's history is kept as facts
with the instant at which goals recorded each (`ce_time`), and a period is decided by those recorded up to a grace
after its end. So a replay, a lag or a moved clock gives the same lapses.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

from shared.time import end_of_day, local_date

FactKind = Literal["set", "revised", "met", "missed", "dropped", "paused", "resumed", "ended"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a goal asks for: a check-in every so many days, in the deadline's zone, until it is due."""

    every_days: int
    time_zone: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that goals recorded: of the goal itself, or of its mentorship (paused, resumed, ended).

    `recorded` is when (`ce_time`), `at` from when on it holds; `terms` belong to what sets or revises.
    """

    kind: FactKind
    recorded: datetime
    at: datetime
    terms: Terms | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """A check-in is expected by the end of the date `period`, which is `expected_by`."""

    period: date
    expected_by: datetime


@dataclass(frozen=True, slots=True)
class Cadence:
    """Where a goal's cadence stands at one instant.

    `counted_from` is what the pending period is counted from: an instant (of a check-in, of the goal being set), or
    the date of the period that lapsed before. `afterwards` is what the next one is to be counted from: something
    that came when the pending period had already ended, and waits for its grace. A check-in is expected up to and
    including `due_at` and what else ended the goal's time: `missed_at`, `paused_at`, `ended_at`.
    """

    terms: Terms
    counted_from: datetime | Period
    afterwards: datetime | None = None
    closed: bool = False
    missed_at: datetime | None = None
    paused_at: datetime | None = None
    ended_at: datetime | None = None


def remembered(facts: tuple[Fact, ...], fact: Fact) -> tuple[Fact, ...]:
    """The history with one fact more, unless it changes nothing for the cadence (a new title, say)."""
    if fact.kind == "revised" and facts and facts[-1].terms == fact.terms:
        return facts
    return (*facts, fact)


def next_period(
    facts: Iterable[Fact], logged: Iterable[datetime], lapsed: Period | None, grace: timedelta
) -> Period | None:
    """The first period that is not decided yet and, by all that is known, will lapse; None when none will.

    It is to be decided a grace after its `expected_by`, once all is known that was recorded by then and every
    check-in logged up to its `expected_by`.

    Args:
        facts: the goal's, and its mentorship's, in any order.
        logged: when the check-ins about the goal were logged, in any order; leaving some out can only make the
            answer come too early, never too late.
        lapsed: the period that lapsed last.
        grace: how long after `expected_by` a period is decided.
    """
    decided_until = lapsed.expected_by + grace if lapsed is not None else None
    cadence: Cadence | None = None
    for at, step in _in_order(facts, logged):
        if decided_until is not None and at > decided_until:
            cadence = _from_lapse(cadence, lapsed)
            decided_until = None
        if cadence is None:
            cadence = _begun(step)
            continue
        period = pending(cadence)
        if period is not None and decided_until is None and period.expected_by + grace < at:
            return period
        cadence = _checked_in(cadence, at) if step is None else after(cadence, step)
    if decided_until is not None:
        cadence = _from_lapse(cadence, lapsed)
    return pending(cadence) if cadence is not None else None


def pending(cadence: Cadence) -> Period | None:
    """The period in which a check-in is expected, or None when none is."""
    if cadence.closed:
        return None
    terms, origin = cadence.terms, cadence.counted_from
    start = origin.period if isinstance(origin, Period) else local_date(origin, terms.time_zone)
    day = start + timedelta(days=terms.every_days)
    expected_by = end_of_day(day, terms.time_zone)
    bounds = (terms.due_at, cadence.missed_at, cadence.paused_at, cadence.ended_at)
    if any(bound is not None and expected_by > bound for bound in bounds):
        return None
    return Period(day, expected_by)


def after(cadence: Cadence, fact: Fact) -> Cadence:
    """The cadence after a fact that was recorded before the pending period was decided."""
    match fact.kind:
        case "met":
            return replace(cadence, closed=True)
        case "dropped":
            # After an end only the end itself drops goals, and what was expected before it is decided as ever.
            return cadence if cadence.ended_at is not None else replace(cadence, closed=True)
        case "missed":
            return replace(cadence, missed_at=fact.recorded)
        case "paused":
            return replace(cadence, paused_at=fact.at)
        case "resumed":
            return replace(_counted_anew(cadence, fact.at), paused_at=None)
        case "ended":
            return replace(cadence, ended_at=fact.at)
        case "set" | "revised":
            return _revised(cadence, fact)


def _revised(cadence: Cadence, fact: Fact) -> Cadence:
    terms = fact.terms or cadence.terms
    revived = cadence.missed_at is not None
    if revived or terms.every_days != cadence.terms.every_days:
        return replace(cadence, terms=terms, missed_at=None, counted_from=fact.recorded, afterwards=None)
    revised = replace(cadence, terms=terms)
    period = pending(revised)
    if revised.afterwards is not None and (period is None or revised.afterwards <= period.expected_by):
        return replace(revised, counted_from=revised.afterwards, afterwards=None)
    return revised


def _checked_in(cadence: Cadence, at: datetime) -> Cadence:
    period = pending(cadence)
    if period is not None and at > period.expected_by:
        return replace(cadence, afterwards=at)
    return replace(cadence, counted_from=at, afterwards=None)


def _counted_anew(cadence: Cadence, at: datetime) -> Cadence:
    """What was expected before a pause is decided as ever; the next is counted from the end of the pause."""
    if pending(cadence) is not None:
        return replace(cadence, afterwards=at)
    return replace(cadence, counted_from=at, afterwards=None)


def _from_lapse(cadence: Cadence | None, lapsed: Period | None) -> Cadence | None:
    """The cadence once `lapsed` was decided: counted from there, or from what came later."""
    if cadence is None or lapsed is None:
        return cadence
    later = cadence.afterwards
    if later is None and isinstance(cadence.counted_from, datetime):
        later = cadence.counted_from
    if later is not None and later >= lapsed.expected_by:
        return replace(cadence, counted_from=later, afterwards=None)
    return replace(cadence, counted_from=lapsed, afterwards=None)


def _begun(step: Fact | None) -> Cadence | None:
    if step is None or step.terms is None:
        return None
    return Cadence(terms=step.terms, counted_from=step.recorded)


def _in_order(facts: Iterable[Fact], logged: Iterable[datetime]) -> Iterable[tuple[datetime, Fact | None]]:
    """Facts and check-ins (None) by their instants; of one instant, an end comes before the drops that it brings."""
    history = sorted(facts, key=lambda fact: (fact.recorded, _RANK.get(fact.kind, 2)))
    return heapq.merge(
        ((fact.recorded, fact) for fact in history),
        ((at, None) for at in sorted(logged)),
        key=lambda step: step[0],
    )


_RANK = {"set": 0, "paused": 1, "resumed": 1, "ended": 1}
