"""The numbers worked out the slow and obvious way: from the list of all events, sentence by sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Any

from tests.unit.metrics.histories import ROLES, Happened

Filter = Callable[[str | None, str | None], bool]
"""Of a role and a person: whether what they did counts."""


def anybody(role: str | None, person: str | None) -> bool:
    return True


def of_goal_or_pair(events: Sequence[Happened], field: str, id_: str) -> list[Happened]:
    """The events about one goal, mentorship, program or organization."""
    return [event for event in events if getattr(event.data, field, None) == id_]


def recount(
    events: Sequence[Happened],
    start: date,
    end: date,
    as_of: date,
    counts: Filter = anybody,
    by_role: bool = True,
) -> dict[str, Any]:
    """The numbers of a window, by what had been recorded up to the end of `as_of`."""
    known = [event for event in events if event.time.date() <= as_of]

    def within(instant: datetime) -> bool:
        return start <= instant.date() <= end

    def of(*names: str) -> Iterable[Happened]:
        for event in known:
            if event.type in names and counts(*_whose(event)):
                yield event

    def number(*names: str, when: Callable[[Happened], bool]) -> int:
        return sum(1 for event in of(*names) if when(event))

    last_met = {(e.data.goal_id, e.data.revision): e.data for e in of("GoalMet")}
    mets = [met for met in last_met.values() if within(met.met_at)]
    retracted = [(e.data.goal_id, e.data.revision) for e in of("GoalMissRetracted")]
    misses = [e.data for e in of("GoalMissed") if within(min(e.data.due_at, e.data.missed_at))]
    logged = [e.data for e in of("CheckInLogged") if within(e.data.occurred_at)]
    told = [data.confidence for data in logged if data.confidence is not None]
    goals = {
        "set": number("GoalSet", when=lambda e: within(e.time)),
        "met": sum(1 for met in mets if met.met_at < met.due_at),
        "met_late": sum(1 for met in mets if met.met_at >= met.due_at),
        "missed": sum(1 for miss in misses if (miss.goal_id, miss.revision) not in retracted),
        "retracted": sum(1 for miss in misses if (miss.goal_id, miss.revision) in retracted),
        "dropped": number("GoalDropped", when=lambda e: within(e.time)),
        "revised": number("GoalRevised", when=lambda e: within(e.time) and e.data.revised_by != "system"),
        "eased": number("GoalRevised", when=lambda e: within(e.time) and e.data.eased),
        "open": sum(1 for goal in {e.data.goal_id for e in of("GoalSet")} if _open(known, goal, end)),
    }
    lapsed = number("CheckInLapsed", when=lambda e: within(e.data.expected_by))
    answer: dict[str, Any] = {
        "goals": goals,
        "follow_through": _over(goals["met"], goals["met"] + goals["missed"]),
        "check_ins": {
            "logged": len(logged),
            "lapsed": lapsed,
            "acknowledged": number("CheckInAcknowledged", when=lambda e: within(e.data.acknowledged_at)),
        },
        "check_in_rate": _over(len(logged), len(logged) + lapsed),
        "confidence_mean": _over(sum(told), len(told)),
        "unrealistic": sum(1 for data in logged if data.realistic is False),
        "unattainable": sum(1 for data in logged if data.attainable is False),
    }
    if by_role:
        answer["by_role"] = {
            role: recount(events, start, end, as_of, _in_role(role, counts), by_role=False) for role in ROLES
        }
    return answer


def people(events: Sequence[Happened], start: date, end: date, as_of: date) -> dict[str, str | None]:
    """The participants of the mentorships in a window, as `role:person`, by what had been recorded."""
    known = [event for event in events if event.time.date() <= as_of]
    found: dict[str, str | None] = {}
    for started in known:
        if started.type != "MentorshipStarted" or started.time.date() > end:
            continue
        own = [e for e in known if e.subject == started.subject]
        if any(e.type == "MentorshipEnded" and e.data.at.date() < start for e in own):
            continue
        told = [e for e in own if hasattr(e.data, "mentor_id") and e.time.date() <= end][-1].data
        for role in ROLES:
            person = getattr(told, f"{role}_id")
            if person is not None:
                found[f"{role}:{person}"] = person
    return found


def engaged(events: Sequence[Happened], start: date, end: date, as_of: date) -> set[str]:
    """Who logged or acknowledged in a window."""
    found = set()
    for event in events:
        if event.time.date() > as_of:
            continue
        if event.type == "CheckInLogged" and start <= event.data.occurred_at.date() <= end:
            found.add(event.data.author_id)
        if event.type == "CheckInAcknowledged" and start <= event.data.acknowledged_at.date() <= end:
            found.add(event.data.acknowledged_by)
    return found


def _in_role(role: str, counts: Filter) -> Filter:
    return lambda found, person: found == role and counts(found, person)


def _open(known: Sequence[Happened], goal_id: str, end: date) -> bool:
    own = [e for e in known if e.subject == f"goal/{goal_id}"]
    revisions = [
        e.data.revision for e in own if e.type in ("GoalSet", "GoalRevised") and e.time.date() <= end
    ]
    if not revisions:
        return False
    of_last = [e for e in own if e.data.revision == revisions[-1]]
    met = [e for e in of_last if e.type == "GoalMet"]
    if met and met[-1].data.met_at.date() <= end:
        return False
    if any(e.type == "GoalDropped" and e.time.date() <= end for e in of_last):
        return False
    missed = any(
        e.type == "GoalMissed" and min(e.data.due_at, e.data.missed_at).date() <= end for e in of_last
    )
    return not missed or any(e.type == "GoalMissRetracted" for e in of_last)


def _whose(event: Happened) -> tuple[str | None, str | None]:
    data = event.data
    if event.type == "CheckInLogged":
        return data.author_role, data.author_id
    if event.type == "CheckInAcknowledged":
        return data.acknowledger_role, data.acknowledged_by
    return getattr(data, "owner_role", None), getattr(data, "owner_id", None)


def _over(some: int, of: int) -> float | None:
    return some / of if of else None
