"""What a fold reads and writes, within its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from functools import lru_cache

import msgspec
from bson import ObjectId

from services.metrics.domain.days import day_of, week_of
from services.metrics.domain.diary import Entry
from services.metrics.domain.fold import PROGRAMS, Cell, CellKey, Changes, Diary, Month, MonthKey
from services.metrics.domain.goal import Goal, Line
from services.metrics.domain.mentorship import Mentorship
from services.metrics.store.generations import Generation
from shared.mongo import Doc, Session, Writes, write_all

Update = tuple[str, Doc]
"""The id of a document, and what to do with it."""


class Folding:
    """The documents of a generation as a fold changes them."""

    def __init__(self, generation: Generation) -> None:
        self._kept = generation

    async def goals(self, ids: Iterable[str], session: Session) -> dict[str, Goal]:
        """The present state of goals, as far as they are known."""
        found = self._kept.goals.find({"_id": {"$in": list(ids)}}, {"lines": 0}, session=session)
        return {document["_id"]: msgspec.convert(document, Goal) for document in await found.to_list(None)}

    async def mentorships(self, ids: Iterable[str], session: Session) -> dict[str, Mentorship]:
        """The present state of mentorships, as far as they are known."""
        found = self._kept.mentorships.find({"_id": {"$in": list(ids)}}, session=session)
        return {
            document["_id"]: msgspec.convert(document, Mentorship) for document in await found.to_list(None)
        }

    async def write(self, changes: Changes, part: str, new: Set[str], session: Session) -> None:
        """Store what a batch changes: one bulk write per collection.

        `part` names the topic's partition; `new` are the subjects of which nothing can be stored yet.

        Raises:
            BulkWriteError: something is, all the same.
        """
        kept = self._kept
        months = changes.months()
        for collection, writes in (
            (kept.goals, _goals(changes, new)),
            (kept.mentorships, _whole(changes.mentorships, "mentorship", new)),
            (kept.diaries, _upserts(diary_update(*key, diary) for key, diary in changes.diaries.items())),
            (kept.cells, _upserts(_cell_update(key, cell, part) for key, cell in changes.cells.items())),
            (kept.months, _upserts(_month_update(key, month, part) for key, month in months.items())),
            (
                kept.engaged,
                _upserts(
                    _engaged_update(key, month, part)
                    for key, month in months.items()
                    if key.scope == PROGRAMS and month.engaged
                ),
            ),
            (kept.nudges, _whole(changes.nudges, "nudge", new)),
            (
                kept.stale,
                Writes(
                    [
                        {"_id": ObjectId(), "org_id": org_id, "goals": sorted(goals)}
                        for org_id, goals in changes.goals_touched().items()
                    ]
                ),
            ),
        ):
            await write_all(collection, writes, session)


def plain(struct: msgspec.Struct) -> Doc:
    """A struct in MongoDB's own types."""
    found: Doc = msgspec.to_builtins(struct, builtin_types=(datetime,))
    return found


def _upserts(updates: Iterable[Update]) -> Writes:
    writes = Writes()
    for id_, update in updates:
        writes.upsert(id_, update)
    return writes


def _whole(structs: Mapping[str, msgspec.Struct], kind: str, new: Set[str]) -> Writes:
    writes = Writes()
    for id_, found in structs.items():
        if f"{kind}/{id_}" in new:
            writes.insert(plain(found))
        else:
            writes.upsert(id_, plain(found))
    return writes


def _goals(changes: Changes, new: Set[str]) -> Writes:
    writes = Writes()
    for id_, goal in changes.goals.items():
        if f"goal/{id_}" in new:
            writes.insert(plain(goal) | {"lines": [plain(line) for line in changes.lines[id_]]})
        else:
            writes.upsert(*goal_update(goal, changes.lines[id_]))
    return writes


def goal_update(goal: Goal, lines: Sequence[Line]) -> Update:
    """The present state of a goal, with lines that are added."""
    state = plain(goal)
    del state["_id"]
    told = [plain(line) for line in lines]
    return goal.goal_id, {"$set": state, "$push": {"lines": {"$each": told}}}


def diary_update(about: str, month: str, diary: Diary) -> Update:
    """What is added to a diary."""
    first: Doc = {
        "org_id": diary.org_id,
        "program_id": diary.program_id,
        "mentorship_id": diary.mentorship_id,
        "month": month,
    }
    if diary.goal_id is not None:
        first["goal_id"] = diary.goal_id
    added: Doc | str
    people: Doc | str
    if len(diary.entries) == 1:
        # As mostly; MongoDB has less to read, too.
        added, people = plain(diary.entries[0]), diary.entries[0].by
    else:
        added = {"$each": [plain(entry) for entry in diary.entries]}
        people = {"$each": sorted({entry.by for entry in diary.entries})}
    update: Doc = {"$setOnInsert": first, "$push": {"entries": added}, "$addToSet": {"people": people}}
    if logged := _logged_by_week(diary.entries):
        update["$inc"] = logged
    # Diaries that are new at the same moment shall not lie side by side: to find that one is not there, MongoDB walks
    # over what other partitions' open transactions have inserted next to it.
    spread = diary.mentorship_id[-2:]
    return f"{spread}|{about}|{month}", update


def _logged_by_week(entries: Sequence[Entry]) -> dict[str, int]:
    logged: dict[str, int] = {}
    for entry in entries:
        if entry.type == "CheckInLogged":
            path = _week_path(day_of(entry.at))
            logged[path] = logged.get(path, 0) + 1
    return logged


@lru_cache(maxsize=4096)
def _week_path(day: int) -> str:
    return f"weeks.{week_of(day)}"


def _cell_update(key: CellKey, cell: Cell, part: str) -> Update:
    org_id, scope, id_, day, recorded = key
    update: Doc = {
        "$setOnInsert": {"org_id": org_id, "scope": scope, "id": id_, "day": day, "recorded": recorded}
    }
    sums = {path: amount for path, amount in cell.sums.items() if amount}
    if sums:
        update["$inc"] = sums
    if cell.engaged:
        update["$addToSet"] = {"engaged": {"$each": sorted(cell.engaged)}}
    return f"{org_id}|{scope}|{id_}|{day}|{recorded}|{part}", update


def _month_update(key: MonthKey, month: Month, part: str) -> Update:
    org_id, scope, id_, name = key
    update: Doc = {"$setOnInsert": {"org_id": org_id, "scope": scope, "id": id_, "month": name}}
    sums = {f"total.{path}": amount for path, amount in month.total.items() if amount}
    for day, of_day in month.days.items():
        sums |= {f"days.{day}.{path}": amount for path, amount in of_day.items() if amount}
    if sums:
        update["$inc"] = sums
    return f"{org_id}|{scope}|{id_}|{name}|{part}", update


def _engaged_update(key: MonthKey, month: Month, part: str) -> Update:
    everyone = sorted(set[str]().union(*month.engaged.values()))
    sets: Doc = {"all": {"$each": everyone}}
    sets |= {f"days.{day}": {"$each": sorted(people)} for day, people in month.engaged.items()}
    return f"{key.org_id}|{key.id}|{key.month}|{part}", {
        "$setOnInsert": {"org_id": key.org_id, "program_id": key.id, "month": key.month},
        "$addToSet": sets,
    }
