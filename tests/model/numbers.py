"""The Numbers, counted one by one from the list of all that was told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from tests.model.steps import ROLES, SYSTEM, Told

Whose = Callable[[str | None, str], bool]
"""Whether what a person did in a role is counted."""


@dataclass(frozen=True)
class Count:
    """One that counts for a person in their role on a day; `weight` is more than 1 where values are added."""

    number: str
    day: date
    role: str | None
    person: str
    weight: int = 1


def anybody(role: str | None, person: str) -> bool:
    """What everybody did."""
    return True


def numbers(
    told: Sequence[Told],
    first: date,
    last: date,
    as_of: date,
    whose: Whose = anybody,
) -> dict[str, Any]:
    """What metrics has to answer for a window, by what had been recorded by the end of a day."""
    known = [each for each in told if _day(each.time) <= as_of]
    answer = _answer(known, first, last, whose)
    answer["by_role"] = {role: _answer(known, first, last, _in_role(role, whose)) for role in ROLES}
    return answer


def engaged(told: Sequence[Told], first: date, last: date, as_of: date) -> set[str]:
    """Who logged or acknowledged in a window, by what had been recorded by the end of a day."""
    return {
        _who(each)[1]
        for each in told
        if each.type in ("CheckInLogged", "CheckInAcknowledged")
        and _day(each.time) <= as_of
        and first <= _counts_on(each) <= last
    }


def by(person: str) -> Whose:
    """What one person did."""
    return lambda _, who: who == person


def _in_role(role: str, whose: Whose) -> Whose:
    return lambda of, who: of == role and whose(of, who)


def of_goal(told: Sequence[Told], goal: str) -> list[Told]:
    """What was told of one goal."""
    return [each for each in told if each.data.get("goal_id") == goal]


def _answer(known: Sequence[Told], first: date, last: date, whose: Whose) -> dict[str, Any]:
    counts = [
        count for count in _counts(known) if first <= count.day <= last and whose(count.role, count.person)
    ]

    def total(number: str) -> int:
        return sum(count.weight for count in counts if count.number == number)

    def mean(some: int, of: int) -> float | None:
        return some / of if of > 0 else None

    goals = ("set", "met", "met_late", "missed", "retracted", "dropped", "revised", "eased")
    return {
        "goals": {**{name: total(name) for name in goals}, "open": _open(known, last, whose)},
        "follow_through": mean(total("met"), total("met") + total("missed")),
        "check_ins": {name: total(name) for name in ("logged", "lapsed", "acknowledged")},
        "check_in_rate": mean(total("logged"), total("logged") + total("lapsed")),
        "confidence_mean": mean(total("confidence"), total("confident")),
        "unrealistic": total("unrealistic"),
        "unattainable": total("unattainable"),
    }


def _counts(known: Sequence[Told]) -> list[Count]:
    found: list[Count] = []
    for number, each in enumerate(known):
        data = each.data
        role, person = _who(each)
        on = _counts_on(each)

        def count(
            what: str, weight: int = 1, *, on: date = on, role: Any = role, person: Any = person
        ) -> None:
            found.append(Count(what, on, role, person, weight))

        match each.type:
            case "GoalSet":
                count("set")
            case "GoalRevised":
                if data["revised_by"] != SYSTEM:
                    count("revised")
                if data["eased"]:
                    count("eased")
            case "GoalMet" if not _later_same(known, number):
                count("met" if data["met_at"] < data["due_at"] else "met_late")
            case "GoalMissed":
                count("retracted" if _retracted(known, each) else "missed")
            case "GoalDropped":
                count("dropped")
            case "CheckInLogged":
                count("logged")
                if "confidence" in data:
                    count("confident")
                    count("confidence", data["confidence"])
                if data.get("realistic") is False:
                    count("unrealistic")
                if data.get("attainable") is False:
                    count("unattainable")
            case "CheckInAcknowledged":
                count("acknowledged")
            case "CheckInLapsed":
                count("lapsed")
    return found


def _open(known: Sequence[Told], last: date, whose: Whose) -> int:
    """Goals that are set and, by all that counts up to a day, in their last revision not decided."""
    still = 0
    for goal in {each.data["goal_id"] for each in known if each.type == "GoalSet"}:
        own = of_goal(known, goal)
        up_to = [
            each
            for number, each in enumerate(own)
            if each.type in ("GoalSet", "GoalRevised", "GoalMissed", "GoalDropped", "GoalMet")
            and _counts_on(each) <= last
            and not (each.type == "GoalMet" and _later_same(own, number))
            and not (each.type == "GoalMissed" and _retracted(own, each))
        ]
        revisions = [each for each in up_to if each.type in ("GoalSet", "GoalRevised")]
        if not revisions or not whose(*_who(revisions[0])):
            continue
        revision = max(each.data["revision"] for each in revisions)
        decided = [
            each
            for each in up_to
            if each.data["revision"] == revision and each.type in ("GoalMissed", "GoalDropped", "GoalMet")
        ]
        still += not decided
    return still


def _counts_on(told: Told) -> date:
    data = told.data
    match told.type:
        case "GoalMet":
            return _day(data["met_at"])
        case "GoalMissed":
            return _day(min(data["due_at"], data["missed_at"]))
        case "CheckInLogged":
            return _day(data["occurred_at"])
        case "CheckInLapsed":
            return _day(data["expected_by"])
        case "CheckInAcknowledged":
            return _day(data["acknowledged_at"])
    return _day(told.time)


def _who(told: Told) -> tuple[str | None, str]:
    data = told.data
    if told.type == "CheckInLogged":
        return data["author_role"], data["author_id"]
    if told.type == "CheckInAcknowledged":
        return data.get("acknowledger_role"), data["acknowledged_by"]
    return data.get("owner_role"), data.get("owner_id", "")


def _later_same(known: Sequence[Told], number: int) -> bool:
    """Of several GoalMet of a revision the last counts."""
    return any(_of_same(known[number], later, "GoalMet") for later in known[number + 1 :])


def _retracted(known: Sequence[Told], miss: Told) -> bool:
    return any(_of_same(miss, each, "GoalMissRetracted") for each in known)


def _of_same(one: Told, other: Told, type_: str) -> bool:
    return other.type == type_ and all(one.data[name] == other.data[name] for name in ("goal_id", "revision"))


def _day(instant: datetime) -> date:
    return instant.astimezone(UTC).date()
