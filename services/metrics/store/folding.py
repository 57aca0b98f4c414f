"""What a fold reads and writes, within its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime

import msgspec
from pymongo import InsertOne, ReplaceOne, UpdateOne

from services.metrics.domain.days import day_of, week_of
from services.metrics.domain.diary import Entry
from services.metrics.domain.fold import PROGRAMS, Cell, CellKey, Changes, Diary, Month, MonthKey
from services.metrics.domain.goal import Goal, Line
from services.metrics.domain.mentorship import Mentorship
from services.metrics.store.generations import Generation
from shared.mongo import Doc, Session, write_all


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
            (
                kept.goals,
                [
                    _goal_write(goal, changes.lines[id_], f"goal/{id_}" in new)
                    for id_, goal in changes.goals.items()
                ],
            ),
            (kept.mentorships, _replaced(changes.mentorships, "mentorship", new)),
            (kept.diaries, [_diary_write(*key, diary) for key, diary in changes.diaries.items()]),
            (kept.cells, [_cell_write(key, cell, part) for key, cell in changes.cells.items()]),
            (kept.months, [_month_write(key, month, part) for key, month in months.items()]),
            (
                kept.engaged,
                [
                    _engaged_write(key, month, part)
                    for key, month in months.items()
                    if key.scope == PROGRAMS and month.engaged
                ],
            ),
            (kept.nudges, _replaced(changes.nudges, "nudge", new)),
            (
                kept.stale,
                [
                    InsertOne({"org_id": org_id, "goals": sorted(goals)})
                    for org_id, goals in changes.goals_touched().items()
                ],
            ),
        ):
            await write_all(collection, writes, session)


def _plain(struct: msgspec.Struct) -> Doc:
    plain: Doc = msgspec.to_builtins(struct, builtin_types=(datetime,))
    return plain


def _replaced(
    structs: Mapping[str, msgspec.Struct], kind: str, new: Set[str]
) -> list[InsertOne[Doc] | ReplaceOne[Doc]]:
    return [
        InsertOne(_plain(found))
        if f"{kind}/{id_}" in new
        else ReplaceOne({"_id": id_}, _plain(found), upsert=True)
        for id_, found in structs.items()
    ]


def _goal_write(goal: Goal, lines: Sequence[Line], new: bool) -> InsertOne[Doc] | UpdateOne:
    state = _plain(goal)
    told = [_plain(line) for line in lines]
    if new:
        return InsertOne(state | {"lines": told})
    del state["_id"]
    return UpdateOne({"_id": goal.goal_id}, {"$set": state, "$push": {"lines": {"$each": told}}}, upsert=True)


def _diary_write(about: str, month: str, diary: Diary) -> UpdateOne:
    first: Doc = {
        "org_id": diary.org_id,
        "program_id": diary.program_id,
        "mentorship_id": diary.mentorship_id,
        "month": month,
    }
    if diary.goal_id is not None:
        first["goal_id"] = diary.goal_id
    update: Doc = {
        "$setOnInsert": first,
        "$push": {"entries": {"$each": [_plain(entry) for entry in diary.entries]}},
        "$addToSet": {"people": {"$each": sorted({entry.by for entry in diary.entries})}},
    }
    if logged := _logged_by_week(diary.entries):
        update["$inc"] = logged
    # Diaries that are new at the same moment shall not lie side by side: to find that one is not there, MongoDB walks
    # over what other partitions' open transactions have inserted next to it.
    spread = diary.mentorship_id[-2:]
    return UpdateOne({"_id": f"{spread}|{about}|{month}"}, update, upsert=True)


def _logged_by_week(entries: Sequence[Entry]) -> dict[str, int]:
    logged: dict[str, int] = {}
    for entry in entries:
        if entry.type == "CheckInLogged":
            path = f"weeks.{week_of(day_of(entry.at))}"
            logged[path] = logged.get(path, 0) + 1
    return logged


def _cell_write(key: CellKey, cell: Cell, part: str) -> UpdateOne:
    org_id, scope, id_, day, recorded = key
    update: Doc = {
        "$setOnInsert": {"org_id": org_id, "scope": scope, "id": id_, "day": day, "recorded": recorded}
    }
    sums = {path: amount for path, amount in cell.sums.items() if amount}
    if sums:
        update["$inc"] = sums
    if cell.engaged:
        update["$addToSet"] = {"engaged": {"$each": sorted(cell.engaged)}}
    return UpdateOne({"_id": f"{org_id}|{scope}|{id_}|{day}|{recorded}|{part}"}, update, upsert=True)


def _month_write(key: MonthKey, month: Month, part: str) -> UpdateOne:
    org_id, scope, id_, name = key
    update: Doc = {"$setOnInsert": {"org_id": org_id, "scope": scope, "id": id_, "month": name}}
    sums = {f"total.{path}": amount for path, amount in month.total.items() if amount}
    for day, of_day in month.days.items():
        sums |= {f"days.{day}.{path}": amount for path, amount in of_day.items() if amount}
    if sums:
        update["$inc"] = sums
    return UpdateOne({"_id": f"{org_id}|{scope}|{id_}|{name}|{part}"}, update, upsert=True)


def _engaged_write(key: MonthKey, month: Month, part: str) -> UpdateOne:
    everyone = sorted(set[str]().union(*month.engaged.values()))
    sets: Doc = {"all": {"$each": everyone}}
    sets |= {f"days.{day}": {"$each": sorted(people)} for day, people in month.engaged.items()}
    return UpdateOne(
        {"_id": f"{key.org_id}|{key.id}|{key.month}|{part}"},
        {
            "$setOnInsert": {"org_id": key.org_id, "program_id": key.id, "month": key.month},
            "$addToSet": sets,
        },
        upsert=True,
    )
