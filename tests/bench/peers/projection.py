"""One event as the updates that keep the product's projections, one update a document that it counts in.

What a good engineer would write who is given the documents to keep: no classes, no folding, each event by itself.
`$inc` and `$push` are what makes it simple, and right as long as no record comes twice.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from pymongo import UpdateOne

Update = tuple[str, UpdateOne]
"""The collection, and what to do in it."""


def updates_of(type_: str, id_: str, subject: str, time: str, data: dict[str, Any]) -> list[Update]:
    """All updates of an event; `type_` is the short name."""
    if type_ == "MentorshipStarted":
        return [("mentorships", _upsert(data["mentorship_id"], {"$set": _started(data, time)}))]
    if type_ in ("GoalSet", "GoalMet", "GoalMissed"):
        return _goal(type_, id_, time, data)
    if type_ in ("CheckInLogged", "CheckInAcknowledged"):
        return _check_in(type_, id_, subject, time, data)
    return []


def _started(data: dict[str, Any], time: str) -> dict[str, Any]:
    return {**data, "people": [data["mentor_id"], data["mentee_id"]], "started_at": _instant(time)}


def _goal(type_: str, id_: str, time: str, data: dict[str, Any]) -> list[Update]:
    recorded = _day(_instant(time))
    set_: dict[str, Any]
    if type_ == "GoalSet":
        weights = {"set": 1, "open": 1}
        day = recorded
        set_ = {**data, "state": "active", "set_at": _instant(time), "due_at": _instant(data["due_at"])}
    elif type_ == "GoalMet":
        met_at = _instant(data["met_at"])
        day = _day(met_at)
        weights = {"met" if met_at < _instant(data["due_at"]) else "met_late": 1, "open": -1}
        set_ = {"state": "met", "met_at": met_at}
    else:
        missed_at = _instant(data["missed_at"])
        day = _day(min(missed_at, _instant(data["due_at"])))
        weights = {"missed": 1, "open": -1}
        set_ = {"state": "missed", "missed_at": missed_at}
    line = {
        "type": type_,
        "id": id_,
        "time": _instant(time),
        "weights": [[n, day, w] for n, w in weights.items()],
    }
    found = [("goals", _upsert(data["goal_id"], {"$set": set_, "$push": {"lines": line}}))]
    return found + _counted(data, data["owner_role"], day, recorded, weights, None)


def _check_in(type_: str, id_: str, subject: str, time: str, data: dict[str, Any]) -> list[Update]:
    recorded = _day(_instant(time))
    entry: dict[str, Any] = {"type": type_, "id": id_, "subject": subject, "time": _instant(time)}
    entry["checkin_id"] = data["checkin_id"]
    if type_ == "CheckInLogged":
        at = _instant(data["occurred_at"])
        by, role = data["author_id"], data["author_role"]
        weights = {"logged": 1}
        if data.get("confidence") is not None:
            weights |= {"confidence": data["confidence"], "confidences": 1}
        for name, number in (("realistic", "unrealistic"), ("attainable", "unattainable")):
            if data.get(name) is False:
                weights[number] = 1
        entry |= {
            name: data[name] for name in ("progress", "confidence", "realistic", "attainable") if name in data
        }
        entry["logged_at"] = _instant(data["logged_at"])
    else:
        at = _instant(data["acknowledged_at"])
        by, role = data["acknowledged_by"], data.get("acknowledger_role", "none")
        weights = {"acknowledged": 1}
    entry |= {"at": at, "by": by, "role": role}
    day = _day(at)
    about, month = data.get("goal_id") or data["mentorship_id"], f"{at:%Y-%m}"
    update: dict[str, Any] = {
        "$setOnInsert": {
            **{
                name: data[name]
                for name in ("org_id", "program_id", "mentorship_id", "goal_id")
                if name in data
            },
            "month": month,
        },
        "$push": {"entries": entry},
        "$addToSet": {"people": by},
    }
    if type_ == "CheckInLogged":
        update["$inc"] = {f"weeks.{day - date.fromordinal(day).weekday()}": 1}
    return [
        ("diaries", _upsert(f"{about}|{month}", update)),
        *_counted(data, role, day, recorded, weights, by),
    ]


def _counted(
    data: dict[str, Any], role: str, day: int, recorded: int, weights: dict[str, int], engaged: str | None
) -> list[Update]:
    """The sums by day, and by month, of the program and of the organization."""
    org_id, program_id = data["org_id"], data["program_id"]
    when = date.fromordinal(day)
    month = f"{when.year:04d}-{when.month:02d}"
    found: list[Update] = []
    for scope, scope_id in (("programs", program_id), ("orgs", org_id)):
        of = {"org_id": org_id, "scope": scope, "id": scope_id}
        cell: dict[str, Any] = {
            "$setOnInsert": {**of, "day": day, "recorded": recorded},
            "$inc": {f"{role}.{number}": amount for number, amount in weights.items()},
        }
        if engaged is not None and scope == "programs":
            cell["$addToSet"] = {"engaged": engaged}
        found.append(("cells", _upsert(f"{org_id}|{scope}|{scope_id}|{day}|{recorded}", cell)))
        sums = {f"total.{role}.{number}": amount for number, amount in weights.items()}
        sums |= {f"days.{day}.{role}.{number}": amount for number, amount in weights.items()}
        of_month = {"$setOnInsert": {**of, "month": month}, "$inc": sums}
        found.append(("months", _upsert(f"{org_id}|{scope}|{scope_id}|{month}", of_month)))
    if engaged is not None:
        people = {
            "$setOnInsert": {"org_id": org_id, "program_id": program_id, "month": month},
            "$addToSet": {"all": engaged, f"days.{day}": engaged},
        }
        found.append(("engaged", _upsert(f"{org_id}|{program_id}|{month}", people)))
    return found


def _upsert(id_: str, update: dict[str, Any]) -> UpdateOne:
    return UpdateOne({"_id": id_}, update, upsert=True)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _day(instant: datetime) -> int:
    return instant.toordinal()
