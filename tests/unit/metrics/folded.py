"""What a store does with changes, in memory: for tests of the fold without an engine."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from services.metrics.domain.explain import Item
from services.metrics.domain.fold import Cell, CellKey, Changes, Diary, fold_checkins, fold_goals, touched
from services.metrics.domain.goal import Goal, Line
from services.metrics.domain.mentorship import Mentorship
from services.metrics.domain.numbers import Contribution
from tests.unit.metrics.histories import Happened


class Folded:
    """Everything folded so far."""

    def __init__(self) -> None:
        self.goals: dict[str, Goal] = {}
        self.lines: dict[str, list[Line]] = {}
        self.mentorships: dict[str, Mentorship] = {}
        self.diaries: dict[tuple[str, str], list[Diary]] = {}
        self.cells: dict[CellKey, Cell] = {}

    def take(self, topic: str, batch: Sequence[Happened]) -> None:
        """Fold one batch onto copies of what is kept, as a transaction does."""
        if topic == "goals":
            goals, mentorships = touched(batch)
            changes = fold_goals(
                batch,
                {id_: copy.deepcopy(self.goals[id_]) for id_ in goals if id_ in self.goals},
                {id_: copy.deepcopy(self.mentorships[id_]) for id_ in mentorships if id_ in self.mentorships},
            )
        else:
            changes = fold_checkins(batch)
        self._apply(changes)

    def _apply(self, changes: Changes) -> None:
        self.goals |= changes.goals
        self.mentorships |= changes.mentorships
        for id_, lines in changes.lines.items():
            self.lines.setdefault(id_, []).extend(lines)
        for key, diary in changes.diaries.items():
            self.diaries.setdefault(key, []).append(diary)
        for cell_key, cell in changes.cells.items():
            kept = self.cells.setdefault(cell_key, Cell())
            kept.engaged |= cell.engaged
            for path, amount in cell.sums.items():
                kept.sums[path] = kept.sums.get(path, 0) + amount

    def items(self, scope: str, id_: str) -> list[Item]:
        """The events that count for a goal, a mentorship or a person."""
        found = [
            Item.of_line(goal.goal_id, goal.owner_role, line)
            for goal in self.goals.values()
            if id_
            == {"goals": goal.goal_id, "mentorships": goal.mentorship_id, "people": goal.owner_id}[scope]
            for line in self.lines[goal.goal_id]
        ]
        for diaries in self.diaries.values():
            for diary in diaries:
                if (
                    scope != "people"
                    and id_ != {"goals": diary.goal_id, "mentorships": diary.mentorship_id}[scope]
                ):
                    continue
                found += [
                    Item.of_entry(entry) for entry in diary.entries if scope != "people" or entry.by == id_
                ]
        return found

    def sums(self, scope: str, id_: str, as_of: int) -> list[Contribution]:
        """The cells of a program or the organization."""
        return [
            Contribution(role, number, key.day, amount)
            for key, cell in self.cells.items()
            if (key.scope, key.id) == (scope, id_) and key.recorded <= as_of
            for path, amount in cell.sums.items()
            for role, _, number in [path.partition(".")]
        ]

    def engaged(self, scope: str, id_: str, as_of: int) -> list[tuple[int, list[str]]]:
        """Who was engaged on which day; in an organization, those of its programs."""
        return [
            (key.day, sorted(cell.engaged))
            for key, cell in self.cells.items()
            if key.scope == "programs"
            and (key.org_id if scope == "orgs" else key.id) == id_
            and key.recorded <= as_of
        ]
